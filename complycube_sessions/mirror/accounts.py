"""The accounts of the settings, and accounts that have rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.db import models

from complycube_sessions.conf import account_names
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeOwnershipError
from complycube_sessions.models import PendingRefresh, RefreshRun, WebhookEvent, WorkflowSession

LATEST_RUNS: Final = 5
_REFUSED: Final = ComplyCubeOwnershipError.__name__
# Each of these has an index that begins with the account.
OF_ACCOUNTS: Final[tuple[type[models.Model], ...]] = (
    WorkflowSession,
    WebhookEvent,
    PendingRefresh,
    RefreshRun,
)


def known_accounts() -> set[str]:
    """Return the accounts that are configured or have rows of any kind."""
    return {*account_names(), *(name for model in OF_ACCOUNTS for name in accounts_of(model))}


def accounts_left() -> dict[str, list[str]]:
    """Return accounts that are not configured but have sessions, events or pending work, with the kinds of rows."""
    configured = set(account_names())
    left: dict[str, list[str]] = {}
    for model in (WorkflowSession, WebhookEvent, PendingRefresh):
        for name in accounts_of(model):
            if name not in configured:
                left.setdefault(name, []).append(str(model._meta.verbose_name_plural))
    return left


def shared_sessions() -> Counter[tuple[str, str]]:
    """
    Count the sessions that two configured accounts both see, by owner and other account.

    The row of such a session names its owner, and the runs of the other account record an ownership error.
    """
    names = account_names()
    alias = write_alias()
    shared: Counter[tuple[str, str]] = Counter()
    for name in names:
        refused: set[str] = set()
        runs = RefreshRun.objects.using(alias).filter(account=name, error_count__gt=0)
        for errors in runs.order_by("-pk").values_list("errors", flat=True)[:LATEST_RUNS]:
            refused.update(i for i, why in dict(errors).items() if why.startswith(_REFUSED))
        owners = WorkflowSession.objects.using(alias).filter(pk__in=refused)
        for owner in owners.values_list("account", flat=True):
            if owner != name and owner in names:
                shared[owner, name] += 1
    return shared


def accounts_of(model: type[models.Model]) -> Iterator[str]:
    """Yield the accounts of a model's rows, with one index lookup for each."""
    rows: Any = model._default_manager.using(write_alias()).order_by("account")
    last = ""
    while (
        name := rows.filter(account__gt=last).values_list("account", flat=True).first()
    ) is not None:
        yield name
        last = name
