"""Reading the list of checks, and storing checks that moved in sessions that did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from complycube_sessions.api.client import PAGE_SIZE
from complycube_sessions.api.payloads import CheckPayload
from complycube_sessions.db.batches import BATCH_SIZE
from complycube_sessions.exceptions import ComplyCubeError, ComplyCubeNotFoundError
from complycube_sessions.mirror import queries
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.errors import STOP_ERRORS, FaultPolicy
from complycube_sessions.sync.fetch import (
    MAX_CHECK_REQUESTS,
    CheckSource,
    FetchResult,
    fetch_moved_check,
    list_client_checks,
    too_many_checks,
)
from complycube_sessions.sync.fetcher import Fetcher, Job
from complycube_sessions.sync.listing import ListReader, window
from complycube_sessions.sync.watermark import CHECK_LIST, ListProofs

Listed = tuple[CheckPayload, datetime]


class CheckLists:
    """
    Reads the checks of an account into the index, and stores checks that moved although their session did not.

    Args:
        context: The run.
        fetcher: Fetches the breakdowns and stores the checks.
        proofs: Records what could not be read.
        faults: Decides which error ends the run.
    """

    def __init__(
        self, context: RunContext, fetcher: Fetcher, proofs: ListProofs, faults: FaultPolicy
    ) -> None:
        self._context = context
        self._account = context.account
        self._index = context.index
        self._fetcher = fetcher
        self._proofs = proofs
        self._faults = faults

    def read(
        self, begin: datetime | None, sessions_listed: int
    ) -> tuple[ListReader[CheckPayload] | None, CheckSource]:
        """
        Read the list of checks into the index, or the list of each client if that is cheaper.

        Lists by client are cheaper if most checks of the account run outside of workflows: then the first
        page announces more pages than there are clients with sessions.

        Args:
            begin: The time since which to look for changes, or None for all.
            sessions_listed: The number of sessions that the first page of the session list announces.

        Returns:
            The reader of the list, or None if it was not read, and the source of the sessions' checks.
        """
        newest = queries.newest_checks(self._account)
        filters, _ = window(begin, newest[-1].updated_at if newest else None)
        worker, client = self._context.worker, self._context.client
        reader = ListReader(
            lambda page, f: worker.call(lambda: client.list_checks(page=page, filters=f)),
            filters,
            self._index.record_check,
        )
        pages = reader.pages()
        next(pages, None)
        more_pages = -(-reader.total_items // PAGE_SIZE) - 1
        if more_pages > 0:
            clients = queries.count_clients(self._account, most=more_pages + 1)
            if more_pages > clients + sessions_listed:
                return None, self._read_by_client()
        for _ in pages:
            self._context.tick()
        self._proofs.prove_checks(reader, newest)
        return reader, CheckSource(self._index, False, self._context.options.results)

    def refresh_moved(self) -> None:
        """Store the listed checks that moved in sessions that did not."""
        for listed in self._index.checks(BATCH_SIZE):
            self._context.tick()  # if nothing moved, no request ticks
            self._refresh_some(listed)
            self._fetcher.flush()

    def _read_by_client(self) -> CheckSource:
        source = self._context.checks_by_client()
        client = self._context.client
        jobs = (
            (client_id, partial(list_client_checks, client, source, client_id))
            for client_id in queries.client_ids(self._account)
        )
        for done in self._context.worker.each(jobs):
            try:
                done.future.result()
            except ComplyCubeNotFoundError:
                pass  # the client is gone; requests for its sessions find out the rest
            except ComplyCubeError as error:
                self._faults.raise_if_general(error)
                self._proofs.refute(CHECK_LIST, str(error))
                self._faults.count_fault(error, "clients")
            else:
                self._faults.record_answer()
        return source

    def _refresh_some(self, listed: Sequence[Listed]) -> None:
        as_listed: dict[str, list[FetchedCheck]] = {}
        jobs: list[Job] = []
        results = self._context.options.results
        for state, check, at in queries.moved_checks(self._account, listed, results):
            is_wanted = state.needs_result and check.id not in self._fetcher.failed_checks
            if is_wanted and self._may_request(state.session_id):
                jobs.append((state.session_id, self._job(state.session_id, check, at)))
            else:
                as_listed.setdefault(state.session_id, []).append(FetchedCheck(check, at))
        for session_id, checks in as_listed.items():
            at = max(check.fetched_at for check in checks)
            self._fetcher.add(FetchedSession(session_id, None, at, tuple(checks)), requests=0)
        self._fetcher.run_jobs(jobs)

    def _may_request(self, session_id: str) -> bool:
        """Count a request for a check of a session; return False, and record the error, beyond the limit."""
        number = self._index.count_request(session_id)
        if number == MAX_CHECK_REQUESTS + 1:
            self._context.record.name_error(session_id, too_many_checks(number))
        return number <= MAX_CHECK_REQUESTS

    def _job(self, session_id: str, check: CheckPayload, at: datetime) -> Callable[[], FetchResult]:
        def fetch() -> FetchResult:
            result = FetchResult(None)
            try:
                fetched = fetch_moved_check(self._context.client, check)
            except STOP_ERRORS:
                raise
            except ComplyCubeError as error:
                # Store the listed outcome without waiting for a retry.
                fetched = FetchedCheck(check, at)
                result.check_errors[check.id] = str(error)
            result.session = FetchedSession(session_id, None, fetched.fetched_at, (fetched,))
            return result

        return fetch
