"""Fetching the vendor's audit log of one session and its checks: who decided what at the vendor's."""

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
# Each check costs a request; real workflows run about ten.
MAX_CHECKS: Final = 50
# Pages hold up to 1,000 entries each, newest first.
MAX_PAGES: Final = 3
# Every further request would fail in the same way.
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

    API and database errors are not raised, as the session is useful without its audit log. They are logged,
    and ``on_error`` is called once. Call it outside of a transaction.

    Args:
        account: The account of the session.
        session_id: The session.
        patience: How long to wait for the requests of others; no limit by default.
        on_error: Called with the first error.
    """
    began_at = datetime.now(UTC)
    errors: list[ComplyCubeError] = []
    # One retry at most: the audit log is not worth a long wait.
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
        # The database's message may quote an entry.
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
    """Yield the entries of a session and its checks; collect the errors."""
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
            # The diff may contain parts of a check result, which the settings forbid to store.
            yield entry if keeps_results else replace(entry, diff=[])
        errors += [ComplyCubeError(reason) for reason in page.unreadable.values()]
        if not page.items or number >= page.pages:
            return
    errors.append(ComplyCubeError(f"{pk}: only the newest {MAX_PAGES} pages were read."))
