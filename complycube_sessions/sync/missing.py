"""Finding stored sessions that are gone upstream: a full list omits them, and the API answers 404."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from complycube_sessions.api.client import PAGE_SIZE
from complycube_sessions.api.payloads import SessionSummary
from complycube_sessions.db.batches import chunks
from complycube_sessions.mirror import queries
from complycube_sessions.mirror.write import mark_missing
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.fetch import FetchResult
from complycube_sessions.sync.fetcher import Fetcher
from complycube_sessions.sync.listing import ListReader
from complycube_sessions.sync.watermark import ListProofs
from complycube_sessions.wording import counted

MAX_SHARE_MISSING: Final = 0.05


class MissingSessions:
    """
    Requests each stored session that the full list omits, and marks it as missing only after a 404.

    Args:
        context: The run.
        fetcher: Requests the sessions, and stores those that still exist.
        proofs: Records an error if implausibly many sessions are gone.
    """

    def __init__(self, context: RunContext, fetcher: Fetcher, proofs: ListProofs) -> None:
        self._context = context
        self._account = context.account
        self._run = context.record.run
        self._fetcher = fetcher
        self._proofs = proofs

    def confirm(self, reader: ListReader[SessionSummary]) -> None:
        """Mark the sessions that are gone, unless they exceed the share that needs confirmation."""
        most = int(MAX_SHARE_MISSING * queries.count_present(self._account))
        gone: dict[str, datetime] = {}
        for ids in queries.present_ids(self._account, PAGE_SIZE):
            self._context.tick()
            unseen = [i for i in ids if not self._context.index.has_session(i, reader.reading)]
            failed = self._run.failed
            if not self._ask(unseen, gone, most):
                return
            # `_keep` counts the sessions that were stored; failed ones count as listed too.
            self._run.listed += self._run.failed - failed
        self._mark(gone)

    def _ask(self, unseen: list[str], gone: dict[str, datetime], most: int) -> bool:
        """Request the sessions and collect those that are gone; return False once there are too many."""
        jobs = self._fetcher.jobs(unseen, self._context.checks_by_client())
        for session_id, result in self._fetcher.results(jobs):
            if result.missing_at is not None:
                gone[session_id] = result.missing_at
            else:
                self._keep(session_id, result)
            if len(gone) > most and not self._context.options.confirm_missing:
                self._proofs.refute("missing sessions", _too_many(most))
                return False
        return True

    def _keep(self, session_id: str, result: FetchResult) -> None:
        self._fetcher.keep(session_id, result)
        self._run.listed += not result.check_errors

    def _mark(self, gone: dict[str, datetime]) -> None:
        for some in chunks(gone.items()):
            self._fetcher.note_missing(mark_missing(self._account, dict(some)))


def _too_many(most: int) -> str:
    return (
        f"More than {counted(most, 'session')} (5 % of the mirror) are gone upstream; none was marked. "
        "If that is right, run again with --full --confirm-missing."
    )
