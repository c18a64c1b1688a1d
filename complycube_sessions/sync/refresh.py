"""
Refreshing the mirror: one session, several sessions, or everything that changed in an account.

``sync/account_run.py`` plans which requests a run sends. This module holds what all runs share: how a run
begins, how each error ends it, and what it records.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from complycube_sessions import tracing
from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.ids import validate_id
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import Account, conf, get_account
from complycube_sessions.db.connections import (
    ensure_no_open_transaction,
    is_connected,
    write_alias,
)
from complycube_sessions.exceptions import (
    ComplyCubeErasedError,
    ComplyCubeError,
    ComplyCubeInvalidIdError,
    ComplyCubeNotFoundError,
    ComplyCubeOwnershipError,
    ComplyCubeRateLimitError,
    ComplyCubeStorageError,
)
from complycube_sessions.mirror.environments import refuse_other_environment
from complycube_sessions.mirror.write import mark_missing, ownership_reason, store_batch
from complycube_sessions.models import RefreshRun, WorkflowSession
from complycube_sessions.privacy import tombstones
from complycube_sessions.statistics.by_day import store_day_statistics
from complycube_sessions.sync.account_run import AccountRun, Progress, RunEnd
from complycube_sessions.sync.audit import OnError, refresh_audit_log
from complycube_sessions.sync.errors import RAISED_ERRORS, explain_end
from complycube_sessions.sync.fetch import fetch_session_with_all_results
from complycube_sessions.sync.lease import LeaseLostError
from complycube_sessions.sync.options import RunOptions, wanted_results
from complycube_sessions.sync.request_budget import shared_throttle
from complycube_sessions.sync.run import RunRecord

logger = logging.getLogger("complycube_sessions.refresh")


@tracing.traced("complycube.refresh_session")
def refresh_session(
    session_id: str,
    *,
    account: str = "default",
    source: str = "refresh",
    patience: Patience | None = None,
    on_audit_error: OnError | None = None,
) -> WorkflowSession:
    """
    Fetch one session with all of its checks, store it and return the stored row.

    If ``COMPLYCUBE_AUDIT_LOGS`` is on, the vendor's audit log of the session is fetched after that.

    Call it outside of a transaction: it sends requests, then stores in a transaction of its own.

    Args:
        session_id: The vendor's id; the session need not be stored yet.
        account: A name of ``COMPLYCUBE_ACCOUNTS``.
        source: ``refresh``, ``webhook`` or ``admin``; recorded in the history.
        patience: How long to wait for the requests of others, for callers that a page waits for; no limit
            by default.
        on_audit_error: Called if the audit log could not be fetched; the session is stored all the same.

    Raises:
        ComplyCubeInvalidIdError: The id is malformed; nothing was sent.
        ComplyCubeBusyError: Others use the request budget for longer than ``patience``; nothing is stored.
        ComplyCubeNotFoundError: The API does not know the session; a stored row is now marked as missing.
        ComplyCubeOwnershipError: The row belongs to another account or environment.
        ComplyCubeErasedError: The person was erased; nothing is stored.
        ComplyCubeError: Any other error of ``exceptions.py``; the stored row is unchanged.
        ComplyCubeConfigurationError: The account's settings are missing or wrong.

    Source:
        API reference, "Get a workflow session", "Get a check" and "Audit logs".
    """
    found, results = get_account(account), wanted_results()
    with_audit_log = conf.COMPLYCUBE_AUDIT_LOGS
    validate_id(session_id)
    ensure_no_open_transaction()
    ensure_owned(found, session_id)
    refuse_other_environment(found)
    tombstones.ensure_not_erased(found.name, session_id)
    throttle = shared_throttle(found, patience)
    client = ComplyCubeClient(found, throttle)
    began_at = datetime.now(UTC)
    try:
        result = fetch_session_with_all_results(client, session_id, results)
    except ComplyCubeNotFoundError:
        mark_missing(found, {session_id: began_at})
        raise
    finally:
        throttle.close()
        client.close()
    assert result.session is not None  # noqa: S101 - a 404 was raised above
    stored = store_batch(found, [result.session], source=source)
    if session_id in stored.erased:
        raise ComplyCubeErasedError(tombstones.reason(session_id))
    if session_id in stored.failed:
        raise ComplyCubeStorageError(stored.failed[session_id])
    if with_audit_log:
        refresh_audit_log(found, session_id, patience=patience, on_error=on_audit_error)
    if result.check_errors:
        check_id, reason = next(iter(result.check_errors.items()))
        raise ComplyCubeError(
            f"{session_id} is stored, but {len(result.check_errors)} of its checks could not be fetched: "
            f"{check_id}: {reason}"
        )
    return WorkflowSession.objects.using(write_alias()).get(pk=session_id)


def refresh_sessions(
    account: str = "default",
    full: bool = False,
    since: datetime | None = None,
    ids: Iterable[str] | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    *,
    confirm_missing: bool = False,
    source: str = "refresh",
    on_progress: Progress | None = None,
    hand_out: bool = False,
    retry_failed: bool = False,
) -> RefreshRun:
    """
    Fetch and store what changed upstream since the last run, or the sessions named by ``ids``.

    Args:
        account: A name of ``COMPLYCUBE_ACCOUNTS``.
        full: Compare every session upstream with the mirror, and mark those that are gone.
        since: Fetch what changed since then (aware), in place of the last run's end.
        ids: Only these sessions, stored or not; no lock is taken.
        limit: Fetch at most this many sessions; the run ends as ``partial``.
        dry_run: Only plan: the counts show what a run would do, nothing is stored.
        confirm_missing: Let a full run mark more than 5 % of the mirror as missing.
        source: ``refresh``, ``webhook`` or ``admin``; recorded in the history.
        on_progress: Called regularly with the run and the number of sessions to expect.
        hand_out: Only read the lists and make the sessions due, for other workers to fetch.
        retry_failed: Retry failed sessions now instead of after their growing delay.

    Returns:
        The finished run. Its ``errors`` name each session that failed; all others are stored.

    Raises:
        ComplyCubeConfigurationError: The account's settings are missing or wrong, or its mirror was made
            with a key of the other environment.
        ComplyCubeInvalidIdError: All of the ids are malformed.
        ValueError: ``since`` is not aware.
        ComplyCubeRefreshRunningError: Another run over the account is in progress.
        ComplyCubeAuthenticationError, ComplyCubePaymentError, ComplyCubePermissionError: The API
            refuses the key; the run is recorded as failed.
    """
    found, results = get_account(account), wanted_results()
    good_ids, bad_ids = _sort_ids(ids)
    if since is not None and timezone.is_naive(since):
        raise ValueError("since must be an aware time.")
    ensure_no_open_transaction()
    if ids is None:
        refuse_other_environment(found)
    mode = _mode(full=full, since=since, ids=ids)
    record = RunRecord(found, mode, write=not dry_run)
    record.begin(lease=ids is None)
    record.run.listed = len(bad_ids)
    for bad_id, reason in bad_ids.items():
        record.fail(bad_id, reason, retry=False)
    options = RunOptions(
        results,
        source=source,
        full=full,
        since=since,
        limit=limit,
        dry_run=dry_run,
        confirm_missing=confirm_missing,
        hand_out=hand_out,
        retry_failed=retry_failed,
    )
    refresh = AccountRun(found, record, shared_throttle(found), options, on_progress)
    if ids is not None:
        return _run_in_span(refresh, lambda: refresh.run_ids(good_ids))
    run = _run_in_span(refresh, refresh.run_account)
    if not dry_run:
        _store_statistics()
    return run


def _store_statistics() -> None:
    """Store the figures of the days that changed; a failure is only logged, as reads count missing days."""
    try:
        store_day_statistics()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The figures of the overview were not kept (%s).", type(error).__name__)


def _run_in_span(refresh: AccountRun, work: Callable[[], RunEnd]) -> RefreshRun:
    run = refresh.record.run
    attributes = {"complycube.account": run.account, "complycube.mode": run.mode}
    with tracing.span("complycube.refresh", attributes):
        try:
            return _run_to_its_end(refresh, work)
        finally:
            counts = {f"complycube.{name}": getattr(run, name) for name in run.COUNTS}
            tracing.note({"complycube.state": run.state, **counts})


def _run_to_its_end(refresh: AccountRun, work: Callable[[], RunEnd]) -> RefreshRun:
    """Do the work and record how it ended, also after an error."""
    try:
        end = work()
        return refresh.finish(end.state, end.watermark)
    except RAISED_ERRORS as error:
        refresh.record.name_error(refresh.account.name, str(error))
        refresh.finish(RefreshRun.State.FAILED)
        raise
    except ComplyCubeRateLimitError as error:
        reason = f"{error} It does not go away: a monthly quota may be used up."
        return refresh.finish_early(RefreshRun.State.PARTIAL, reason)
    except ComplyCubeError as error:
        state = refresh.state_after_fault()
        return refresh.finish_early(state, explain_end(error, refresh.account, state))
    except LeaseLostError:
        return refresh.finish_early(
            RefreshRun.State.INTERRUPTED, "Another run took the account over."
        )
    except KeyboardInterrupt:
        refresh.finish(RefreshRun.State.INTERRUPTED)
        raise
    except BaseException as error:
        if is_connected(write_alias()):
            reason = f"The run ended in {type(error).__name__}; what was stored is whole."
            refresh.record.name_error(refresh.account.name, reason)
            refresh.record.finish(RefreshRun.State.FAILED, refresh.requests)
        raise
    finally:
        refresh.close()


def _mode(*, full: bool, since: datetime | None, ids: Iterable[str] | None) -> str:
    if ids is not None:
        return RefreshRun.Mode.IDS
    if full:
        return RefreshRun.Mode.FULL
    return RefreshRun.Mode.SINCE if since else RefreshRun.Mode.INCREMENTAL


def _sort_ids(ids: Iterable[str] | None) -> tuple[list[str], dict[str, str]]:
    """Return the distinct valid ids in their order, and the reason for each id that is rejected."""
    good: dict[str, None] = {}
    bad: dict[str, str] = {}
    for session_id in ids or ():
        try:
            good[validate_id(session_id)] = None
        except ComplyCubeInvalidIdError as error:
            bad[_name_of(session_id)] = str(error)
    if bad and not good:
        raise ComplyCubeInvalidIdError(" ".join(list(bad.values())[:3]))
    return list(good), bad


def _name_of(bad_id: object) -> str:
    """Return an id unchanged if it is printable ASCII, otherwise its ``ascii()`` form, which any database stores."""
    plain = isinstance(bad_id, str) and bad_id.isascii() and bad_id.isprintable()
    return (str(bad_id) if plain else ascii(bad_id))[:140]


def ensure_owned(account: Account, session_id: str) -> None:
    """Raise ``ComplyCubeOwnershipError`` if the row belongs to another account or environment."""
    rows = WorkflowSession.objects.using(write_alias()).filter(pk=session_id)
    owner = rows.values_list("account", "environment").first()
    if owner is not None and owner != (account.name, account.environment):
        raise ComplyCubeOwnershipError(ownership_reason(session_id, *owner))
