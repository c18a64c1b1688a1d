"""
One run over an account: it decides which sessions and checks to fetch, and puts the answers into a batch.

The lists of sessions and of checks show what has moved. The run only sends further requests for sessions
that are new or moved, and for breakdowns that a reviewer needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from complycube_sessions.api.payloads import SessionSummary
from complycube_sessions.api.throttle import Throttle
from complycube_sessions.conf import Account
from complycube_sessions.db.connections import write_alias
from complycube_sessions.mirror import queries
from complycube_sessions.mirror.announce import announce_outcomes
from complycube_sessions.mirror.environments import refuse_other_environment
from complycube_sessions.mirror.queries import Newest
from complycube_sessions.models import RefreshRun
from complycube_sessions.privacy import retention, tombstones
from complycube_sessions.reviews.announce import announce_owed
from complycube_sessions.reviews.upkeep import open_missing
from complycube_sessions.sync.batch import Batch
from complycube_sessions.sync.checks import CheckLists
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.due import DueWork
from complycube_sessions.sync.errors import FaultPolicy
from complycube_sessions.sync.fetch import CheckSource
from complycube_sessions.sync.fetcher import Fetcher
from complycube_sessions.sync.listing import ListReader, window
from complycube_sessions.sync.missing import MissingSessions
from complycube_sessions.sync.options import RunOptions
from complycube_sessions.sync.pending import not_yet_due
from complycube_sessions.sync.plan import StoredFacts, moved_sessions, plan_page
from complycube_sessions.sync.run import (
    RunRecord,
    forget_false_watermarks,
    last_watermark,
)
from complycube_sessions.sync.seen import SeenIndex
from complycube_sessions.sync.watermark import CHECK_LIST, SESSION_LIST, ListProofs
from complycube_sessions.sync.workers import SerialWorker, WorkerPool

logger = logging.getLogger("complycube_sessions.refresh")

MARK_AHEAD: Final = (
    "The watermark of the account %s lies in the future, so nothing is known of what changed before it; "
    "the whole list is read."
)
Progress = Callable[[RefreshRun, int], None]


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, and the watermark that it earned."""

    state: str
    watermark: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionList:
    """
    The list of sessions as a run reads it.

    Args:
        reader: The reader; it knows afterwards whether the list was complete.
        pages: The pages; the first one has been fetched already.
        since: The time since which to look for changes, or None for all.
        window_start: The beginning of the list's window, or None for the whole list.
        mark: The last watermark, or None if there is none or it cannot be right.
    """

    reader: ListReader[SessionSummary]
    pages: Iterator[list[SessionSummary]]
    since: datetime | None
    window_start: datetime | None
    mark: datetime | None


class AccountRun:
    """
    One run and its parts.

    Args:
        account: The account to refresh.
        record: The run's row, counts and failures.
        throttle: The request budget of the key, owned by this thread.
        options: The options of the caller.
        on_progress: Called with the run and the number of sessions to expect.
    """

    def __init__(
        self,
        account: Account,
        record: RunRecord,
        throttle: Throttle,
        options: RunOptions,
        on_progress: Progress | None = None,
    ) -> None:
        self.account = account
        self.record = record
        self._options = options
        self._on_progress = on_progress
        self._index = SeenIndex()
        self._worker = (
            SerialWorker(account, throttle)
            if options.one_at_a_time
            else WorkerPool(account, throttle, self._tick)
        )
        context = RunContext(account, options, record, self._index, self._worker, self._tick)
        self._context = context
        self._batch = Batch(context)
        self._faults = FaultPolicy(context.client)
        self._fetcher = Fetcher(context, self._batch, self._faults)
        self._proofs = ListProofs(context, self._fetcher)
        self._checks = CheckLists(context, self._fetcher, self._proofs, self._faults)
        self._missing = MissingSessions(context, self._fetcher, self._proofs)
        self.due = DueWork(context, self._fetcher)

    @property
    def requests(self) -> int:
        return self._context.client.requests_sent

    @property
    def is_answered(self) -> bool:
        """Whether the API answered the last request for a session."""
        return self._faults.is_answered

    def run_ids(self, ids: list[str]) -> RunEnd:
        """Fetch the named sessions; the outcomes of their checks come from their clients' lists."""
        self.record.expect(len(ids))
        self.record.run.listed += len(ids)
        refused = {*self._fetcher.refuse_foreign(ids), *self._fetcher.refuse_erased(ids)}
        own = [session_id for session_id in ids if session_id not in refused]
        if own:
            refuse_other_environment(self.account)
        self._fetcher.fetch(own, self._context.checks_by_client())
        return RunEnd(self._state())

    def run_account(self) -> RunEnd:
        """Process due work, then read the account's lists and fetch what moved."""
        self._process_due_first()
        newest = queries.newest_sessions(self.account)
        listed = self._open_list(newest)
        checks, source = self._checks.read(listed.since, listed.reader.total_items)
        self._refresh_pages(listed, source)
        if self._processes_due:
            self.due.process_rest()
        if not self._fetcher.is_limited and not self._options.dry_run:
            self._prove(listed.reader, newest)
        if not self._fetcher.is_limited:
            self._proofs.name_unreadable(SESSION_LIST, listed.reader)
            if checks is not None:
                self._proofs.name_unreadable(CHECK_LIST, checks)
        watermark = self._earned_watermark(listed, self._proofs.watermark(listed.reader, checks))
        return RunEnd(self._state(), watermark)

    def finish(self, state: str, watermark: datetime | None = None) -> RefreshRun:
        """Store the remaining batch and record the end."""
        self._batch.flush()
        self._report()
        return self.record.finish(state, self.requests, watermark)

    def finish_early(self, state: str, reason: str) -> RefreshRun:
        """Record an end that was not caused by a single session."""
        self.record.name_error(self.account.name, reason)
        return self.finish(state)

    def state_after_fault(self) -> str:
        """Return ``partial`` if anything was fetched before the fault, otherwise ``failed``."""
        if self._batch or self.record.run.fetched:
            return RefreshRun.State.PARTIAL
        return RefreshRun.State.FAILED

    def close(self) -> None:
        self._worker.close()
        self._index.close()

    @property
    def _processes_due(self) -> bool:
        """Whether this run fetches due sessions itself."""
        return not (self._options.dry_run or self._options.hand_out)

    def _process_due_first(self) -> None:
        if not self._options.dry_run:
            announce_outcomes(self.account, on_signal=self._batch.stay_alive)
            if self.record.run.mode == RefreshRun.Mode.FULL:  # it looks at the whole queue
                open_missing(self.account.name, write_alias())
            announce_owed(self.account.name, write_alias(), self._batch.stay_alive)
            self.due.begin()
        elif not self._options.hand_out:
            self.due.plan()
        if self._processes_due:
            self.due.process_share()

    def _open_list(self, newest: list[Newest]) -> SessionList:
        """Read the first page of the changes since the watermark, or of all if the watermark cannot be right."""
        options, mark = self._options, last_watermark(self.account)
        since = None if options.full else options.since or mark
        filters, start = window(since, newest[-1].updated_at if newest else None)
        reader = self._session_reader(filters)
        pages = reader.pages()
        first = next(pages, [])
        if mark is not None and reader.began_at is not None and mark > reader.began_at:
            logger.warning(MARK_AHEAD, self.account.name)
            mark = None
            if options.since is None and start is not None:
                since = start = None
                reader = reader.everything()
                pages = reader.pages()
                first += next(pages, [])
        self.record.expect(reader.total_items)
        return SessionList(reader, chain([first], pages), since, start, mark)

    def _session_reader(self, filters: Mapping[str, str]) -> ListReader[SessionSummary]:
        client = self._context.client
        return ListReader(
            lambda page, f: self._worker.call(lambda: client.list_sessions(page=page, filters=f)),
            filters,
            lambda item, at, number: self._index.record_session(item, number),
            always_proven=not filters,
        )

    def _refresh_pages(self, listed: SessionList, source: CheckSource) -> None:
        for page in listed.pages:
            if self._fetcher.is_limited:
                break
            self.record.expect(listed.reader.total_items)
            self._refresh_page(page, source)
            if self._processes_due:
                self.due.process_share()
        self._batch.flush()

    def _refresh_page(self, page: list[SessionSummary], source: CheckSource) -> None:
        """Fetch the sessions of a page that are new or moved; the others are stored already."""
        ids = [item.id for item in page]
        known = queries.session_states(self.account, ids)
        foreign = self._fetcher.refuse_foreign([i for i in ids if i not in known])
        moved = moved_sessions(page, known, foreign)
        others = len(page) - len(moved) - len(foreign)
        plan = plan_page(moved, known, self._stored_facts(moved), retention.Keeps(), others)
        run = self.record.run
        run.listed += len(page)
        run.kept_out += plan.kept_out
        run.unchanged += plan.unchanged
        self._index.note_counted([*plan.fetch, *plan.waiting, *foreign])
        self._fetcher.fetch(plan.fetch, source)

    def _stored_facts(self, moved: list[SessionSummary]) -> StoredFacts:
        """Return what the database holds about sessions that moved."""
        ids = [item.id for item in moved]
        clients = [item.client_id for item in moved]
        erased = tombstones.find(self.account.name, clients=clients, sessions=ids)
        of_erased = [item.id for item in moved if item.client_id in erased.clients]
        if self._options.dry_run:  # a real run has stored the due sessions by now
            taken = {i for i in ids if self._index.is_counted(i)}
        else:
            taken = self.due.still_due(ids)
        return StoredFacts(
            erased=erased,
            still_stored=queries.own_ids(self.account, of_erased),
            taken=taken,
            waiting=not_yet_due(self.account, ids),
        )

    def _prove(self, reader: ListReader[SessionSummary], newest: list[Newest]) -> None:
        self._proofs.prove_sessions(reader, newest)
        self._checks.refresh_moved()
        if self._options.full and reader.complete:
            self._missing.confirm(reader)

    def _earned_watermark(self, listed: SessionList, earned: datetime | None) -> datetime | None:
        """Return the watermark if this run has checked all changes up to it, otherwise None."""
        if self._fetcher.is_limited or self._options.dry_run:
            earned = None
        start, mark = listed.window_start, listed.mark
        if (
            start is not None
        ):  # a window only adds to the last watermark, which covers older changes
            return max(earned, mark) if earned and mark and start <= mark else None
        if earned is not None:
            forget_false_watermarks(self.account)
        return earned

    def _state(self) -> str:
        self._batch.flush()  # the database may refuse a record of the last batch
        run = self.record.run
        is_cut = self._fetcher.is_limited or self._proofs.is_unproven
        is_whole = not (run.failed or run.error_count or is_cut)
        return RefreshRun.State.SUCCEEDED if is_whole else RefreshRun.State.PARTIAL

    def _tick(self) -> None:
        self._batch.flush_if_old()
        self.record.tick(self.requests)
        self._report()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.record.run, self.record.expected)
