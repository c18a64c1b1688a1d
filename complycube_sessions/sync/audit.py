"""Fetching the vendor's audit log of one session and its checks: who decided what there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from django.db import DatabaseError, InterfaceError

from complycube_sessions.api.audit_logs import AuditPayload
from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import Account, conf
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import (
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubePermissionError,
    ComplyCubeServerError,
    ComplyCubeStorageError,
)
from complycube_sessions.mirror.audit import store_audit_entries
from complycube_sessions.models import RelatedCheck
from complycube_sessions.sync.errors import STOP_ERRORS
from complycube_sessions.sync.request_budget import shared_throttle

logger = logging.getLogger("complycube_sessions.refresh")

SESSION: Final = "workflowSession"
CHECK: Final = "check"
# Each costs a request; real workflows run some ten checks.
MAX_CHECKS: Final = 50
# Of up to 1,000 entries each, newest first.
MAX_PAGES: Final = 3
# The next request would get the same.
_GENERAL: Final = (
    *STOP_ERRORS,
    ComplyCubePermissionError,
    ComplyCubeConnectionError,
    ComplyCubeServerError,
)

OnError = Callable[[ComplyCubeError], None]


def refresh_audit_log(
    account: Account,
    session_id: str,
    *,
    patience: Patience | None = None,
    on_error: OnError | None = None,
) -> int:
    """
    Fetch and store the audit log of a stored session and its checks; return how many entries were new.

    Nothing of it is raised: the session is good without. What could not be fetched is logged, and told to
    ``on_error``, once. Call it outside of a transaction.

    Args:
        account: Whose session.
        session_id: The session.
        patience: How long to wait for others' requests; without end by default.
        on_error: Called with the first error.
    """
    began_at = datetime.now(UTC)
    errors: list[ComplyCubeError] = []
    # Nobody is to wait long for what a session is good without.
    throttle = shared_throttle(account, patience)
    client = ComplyCubeClient(replace(account, max_retries=min(1, account.max_retries)), throttle)
    try:
        entries = list(_read(client, session_id, errors))
    finally:
        throttle.close()
        client.close()
    stored = 0
    try:
        stored = store_audit_entries(account, session_id, entries, began_at)
    except (DatabaseError, InterfaceError) as error:
        # The database's own words may quote an entry.
        errors.append(ComplyCubeStorageError(f"The database refused it ({type(error).__name__})."))
    if errors:
        logger.warning(
            "%s: its audit log is not complete here: %s",
            session_id,
            errors[0],
            extra={"account": account.name, "session_id": session_id},
        )
        if on_error is not None:
            on_error(errors[0])
    return stored


def _read(
    client: ComplyCubeClient, session_id: str, errors: list[ComplyCubeError]
) -> Iterator[AuditPayload]:
    """Yield the entries of a session and its checks; note what could not be read."""
    checks = RelatedCheck.objects.using(write_alias()).filter(
        session=session_id, missing_since=None
    )
    ids = list(
        checks.order_by("-updated_at", "-pk").values_list("check_id", flat=True)[: MAX_CHECKS + 1]
    )
    if len(ids) > MAX_CHECKS:
        errors.append(ComplyCubeError(f"No more than {MAX_CHECKS} checks were asked about."))
    for kind, pk in [(SESSION, session_id), *((CHECK, pk) for pk in ids[:MAX_CHECKS])]:
        try:
            yield from _pages(client, kind, pk, errors)
        except _GENERAL as error:
            errors.append(error)
            return
        except ComplyCubeError as error:
            errors.append(error)


def _pages(
    client: ComplyCubeClient, kind: str, pk: str, errors: list[ComplyCubeError]
) -> Iterator[AuditPayload]:
    keeps_results = conf.COMPLYCUBE_CHECK_RESULTS != "none"
    for number in range(1, MAX_PAGES + 1):
        page = client.list_audit_logs(page=number, resource_type=kind, resource_id=pk).value
        for entry in page.items:
            # A difference may hold what of a result is to be stored nowhere.
            yield entry if keeps_results else replace(entry, diff=[])
        errors += [ComplyCubeError(reason) for reason in page.unreadable.values()]
        if not page.items or number >= page.pages:
            return
    errors.append(ComplyCubeError(f"{pk}: only the newest {MAX_PAGES} pages were read."))
