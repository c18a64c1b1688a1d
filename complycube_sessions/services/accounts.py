"""Which accounts there are: those of the settings, and those of which rows are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db import models

from complycube_sessions.conf import account_names
from complycube_sessions.models import PendingRefresh, RefreshRun, WebhookEvent, WorkflowSession
from complycube_sessions.services.database import write_alias

# Each has an index that begins with the account.
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
    """Return the accounts that have sessions, events or work due and are not configured, with what they have."""
    configured = set(account_names())
    left: dict[str, list[str]] = {}
    for model in (WorkflowSession, WebhookEvent, PendingRefresh):
        for name in accounts_of(model):
            if name not in configured:
                left.setdefault(name, []).append(str(model._meta.verbose_name_plural))
    return left


def accounts_of(model: type[models.Model]) -> Iterator[str]:
    """Yield the accounts of a model's rows, by one look at an index for each."""
    rows: Any = model._default_manager.using(write_alias()).order_by("account")
    last = ""
    while (
        name := rows.filter(account__gt=last).values_list("account", flat=True).first()
    ) is not None:
        yield name
        last = name
