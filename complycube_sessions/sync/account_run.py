"""
One run: which sessions and checks need a request, and the way of each answer into a batch.

The session list and the check list are read first; they tell what moved. Requests are spent only on
sessions that are new or moved, and on breakdowns that a reviewer will look at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, takewhile
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from complycube_sessions.api.client import PAGE_SIZE
from complycube_sessions.api.payloads import CheckPayload, SessionSummary
from complycube_sessions.api.throttle import Throttle, ThrottleClosedError
from complycube_sessions.conf import Account, CheckResults
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeErasedError,
    ComplyCubeError,
    ComplyCubeFilterError,
    ComplyCubeNotFoundError,
    ComplyCubePermissionError,
    ComplyCubeServerError,
)
from complycube_sessions.mirror import queries
from complycube_sessions.mirror.environments import refuse_other_environment
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.write import (
    BATCH_SIZE,
    Missing,
    announce_outcomes,
    mark_missing,
    ownership_reason,
    store_batch,
)
from complycube_sessions.models import RefreshRun, WebhookEvent
from complycube_sessions.privacy import retention, tombstones
from complycube_sessions.sync.fetch import (
    MAX_CHECK_REQUESTS,
    STOP_ERRORS,
    CheckSource,
    FetchResult,
    fetch_moved_check,
    fetch_session,
    list_client_checks,
    too_many_checks,
)
from complycube_sessions.sync.listing import ListReader, endless, window
from complycube_sessions.sync.run import (
    LeaseLostError,
    RunRecord,
    delete_pending,
    forget_false_watermarks,
    last_watermark,
    not_yet_due,
)
from complycube_sessions.sync.seen import SeenIndex
from complycube_sessions.sync.workers import FinishedJob, SerialWorker, WorkerPool
from complycube_sessions.webhooks import inbox
from complycube_sessions.wording import counted

logger = logging.getLogger("complycube_sessions.refresh")

BATCH_SECONDS: Final = 2.0
DUE_AT_ONCE: Final = 200
# So many requests of what is due come before the first page of the lists.
DUE_SHARE: Final = 50
BATCH_BYTES: Final = 4 * 1024 * 1024
# A kill loses a batch: at the vendor's limit two seconds' worth, at any rate a hundredth of the run.
SMALLEST_BATCH: Final = 20
BATCHES_OF_A_RUN: Final = 100
# The memory of a run is that of its largest batch; larger ones store hardly more sessions a second.
LARGEST_BATCH: Final = 100
MAX_SHARE_MISSING: Final = 0.05
# So many sessions in a row without an answer: the API is down, and each costs all its retries.
MAX_FAULTS_IN_A_ROW: Final = 20
SESSION_LIST: Final = "list of sessions"
CHECK_LIST: Final = "list of checks"
MARK_AHEAD: Final = (
    "The watermark of the account %s lies in the future, so nothing is known of what changed before it; "
    "the whole list is read."
)

Job = tuple[str, Callable[[], FetchResult]]


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, and the watermark that it earned."""

    state: str
    watermark: datetime | None = None


class AccountRun:
    """
    The state of one run: its batch, its ledger, its threads.

    Args:
        account: Whose key.
        record: The run's row, counts and failures.
        throttle: The budget of the key, owned by this thread.
        results: ``COMPLYCUBE_CHECK_RESULTS``.
        source: For the history.
        limit: How many sessions to fetch at most.
        dry_run: Whether only to plan.
        hand_out: Whether to make sessions due for other workers in place of fetching them.
        retry_failed: Whether to try at once what failed before and waits for its next try.
        one_at_a_time: Whether to send one request after the other from the caller's own thread.
        on_progress: Told the run and the number of sessions to expect.
    """

    def __init__(
        self,
        account: Account,
        record: RunRecord,
        *,
        throttle: Throttle,
        results: CheckResults,
        source: str,
        limit: int | None,
        dry_run: bool,
        on_progress: Callable[[RefreshRun, int], None] | None,
        hand_out: bool = False,
        retry_failed: bool = False,
        one_at_a_time: bool = False,
    ) -> None:
        self.account = account
        self.record = record
        self._results = results
        self._source = source
        self._room = limit
        self._dry_run = dry_run
        self._on_progress = on_progress
        self._hand_out = hand_out
        self._retry_failed = retry_failed
        self._pump = (
            SerialWorker(account, throttle)
            if one_at_a_time
            else WorkerPool(account, throttle, self._tick)
        )
        self._client = self._pump.client
        self._ledger = SeenIndex()
        self._batch: list[FetchedSession] = []
        self._batch_bytes = self._batch_requests = 0
        self._batch_since = 0.0
        self._faults_in_a_row = 0
        self._expected = 0
        self._newest_event = 0
        self._due_requests = 0
        self._is_due_left = False
        self._limited = False
        self._unproven = False
        self._failed_checks: set[str] = set()
        # Of the batch: sessions of which checks moved, by whether the run had counted them before.
        self._counted_now: set[str] = set()
        self._counted_before: set[str] = set()

    @property
    def requests(self) -> int:
        return self._client.requests_sent

    @property
    def is_answered(self) -> bool:
        """Whether the API answered the last request for a session."""
        return not self._faults_in_a_row

    def run_ids(self, ids: list[str]) -> RunEnd:
        """Fetch the named sessions; the outcomes of their checks come from their clients' lists."""
        self._expected = len(ids)
        self.record.run.listed += len(ids)
        refused = {*self._refuse_foreign(ids), *self._refuse_erased(ids)}
        own = [session_id for session_id in ids if session_id not in refused]
        if own:
            refuse_other_environment(self.account)
        self._fetch(own, CheckSource(self._ledger, True, self._results))
        return RunEnd(self._state())

    def run_due(
        self,
        *,
        most: int = DUE_AT_ONCE,
        reason: str | None = None,
        only: int | None = None,
        pending_only: bool = False,
        up_to: int | None = None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> int:
        """
        Work off events and sessions that are due, until none is left.

        An event is settled by a fetch that began after the event was read here, and by no other.

        Args:
            most: How many to take at once.
            reason: Only sessions that are due for that reason.
            only: Only the event with this primary key, and those of the same session.
            pending_only: Whether to leave events to others.
            up_to: Only events that were stored no later than the one with this primary key.
            go_on: Asked before each step whether there is room for one more.

        Returns:
            How many events and sessions were taken.
        """
        count = 0
        asked: set[str] = set()
        seen: set[int] = set()
        self._is_due_left = True
        while not self._limited and go_on():
            taken = (
                []
                if pending_only
                else inbox.claim_events(self.account, most=most, only=only, up_to=up_to)
            )
            # One that nothing was done about waits until its worker's time is over.
            taken = [event for event in taken if event.pk not in seen]
            seen.update(event.pk for event in taken)
            due = (
                [] if taken or only else inbox.claim_pending(self.account, most=most, reason=reason)
            )
            due = [session_id for session_id in due if session_id not in asked]
            if taken:
                self._work_off_events(taken)
            elif due:
                asked.update(due)
                self._work_off_sessions(
                    due, "webhook" if reason == inbox.REASON_WEBHOOK else self._source
                )
            else:
                self._is_due_left = False
                break
            count += len(taken) + len(due)
        return count

    def run_account(self, *, full: bool, since: datetime | None, confirm_missing: bool) -> RunEnd:
        """Work off what is due, then sweep the account's lists and fetch what moved."""
        if not self._dry_run:
            announce_outcomes(self.account, on_signal=self._stay_alive)
            if self._retry_failed:
                inbox.retry_failed_now(self.account)
            self._newest_event = inbox.newest_event(self.account)
            self._work_off_share()
        elif not self._hand_out:
            self._plan_due()
        mark = last_watermark(self.account)
        begin = None if full else since or mark
        newest = queries.newest_sessions(self.account)
        filters, start = window(begin, newest[-1].updated_at if newest else None)
        sweep = self._sweep_sessions(filters)
        pages = sweep.pages()
        first = next(pages, [])
        if mark is not None and sweep.began_at is not None and mark > sweep.began_at:
            logger.warning(MARK_AHEAD, self.account.name)
            mark = None
            if since is None and start is not None:
                begin = start = None
                sweep = sweep.everything()
                pages = sweep.pages()
                first += next(pages, [])
        self._expected = sweep.total_items
        checks, source = self._list_checks(begin, sweep.total_items)
        for page in chain([first], pages):
            if self._limited:
                break
            self._expected = max(self._expected, sweep.total_items)
            self._refresh_page(page, source)
        self._flush()
        if not self._dry_run and not self._hand_out:
            # What comes while the run works is for the next one, or it might never end.
            self.run_due(up_to=self._newest_event)
        if not self._limited and not self._dry_run:
            self._prove_sessions(sweep, newest)
            self._refresh_moved_checks()
            if full and sweep.complete:
                self._confirm_missing(sweep, allowed=confirm_missing)
        self._name_unreadable(SESSION_LIST, sweep)
        self._name_unreadable(CHECK_LIST, checks)
        earned = self._earned(sweep, checks)
        if start is not None:  # what the last watermark says of older changes still has to hold
            earned = max(earned, mark) if earned and mark and start <= mark else None
        elif earned is not None:
            forget_false_watermarks(self.account)
        return RunEnd(self._state(), earned)

    def finish(self, state: str, watermark: datetime | None = None) -> RefreshRun:
        """Store what is left of the batch and record the end."""
        self._flush()
        self._report()
        run = self.record.finish(state, self.requests, watermark)
        run.marked_missing = self.record.marked_missing  # type: ignore[attr-defined]  # named, not stored
        return run

    def finish_early(self, state: str, reason: str) -> RefreshRun:
        """Record an end that no session is to blame for."""
        self.record.name_error(self.account.name, reason)
        return self.finish(state)

    def state_after_fault(self) -> str:
        """Return ``partial`` where something was stored before the fault, else ``failed``."""
        if self._batch or self.record.run.fetched:
            return RefreshRun.State.PARTIAL
        return RefreshRun.State.FAILED

    def close(self) -> None:
        self._pump.close()
        self._ledger.close()

    # What to fetch

    def _work_off_share(self) -> None:
        """Work off what is due until it has had as many requests as the lists, so that neither starves."""
        if self._dry_run or self._hand_out:
            return
        self._flush()
        began, due_before = self.requests, self._due_requests
        most = began - due_before + DUE_SHARE

        def has_share() -> bool:
            self._due_requests = due_before + self.requests - began
            return self._due_requests < most

        self.run_due(most=DUE_SHARE, go_on=has_share)
        has_share()

    def _plan_due(self) -> None:
        """Count what ``run_due`` would fetch, as far as that can be told without a request."""
        ids = inbox.due_sessions(self.account, retry_failed=self._retry_failed)
        self.record.run.listed += len(ids)
        self._ledger.note_counted(ids)
        self._fetch(ids, CheckSource(self._ledger, True, self._results))

    def _sweep_sessions(self, filters: Mapping[str, str]) -> ListReader[SessionSummary]:
        return ListReader(
            lambda page, f: self._pump.call(
                lambda: self._client.list_sessions(page=page, filters=f)
            ),
            filters,
            lambda item, at, number: self._ledger.record_session(item, number),
            always_proven=not filters,
        )

    def _work_off_events(self, taken: list[WebhookEvent]) -> None:
        planned = inbox.plan(self.account, taken)
        try:
            self._find_clients(planned.unknown_checks)
        except ComplyCubeError as error:
            inbox.defer([event.pk for event in taken], str(error))
            raise
        self._fetch_held(list(planned.sessions), "webhook", {})

    def _work_off_sessions(self, due: list[str], source: str) -> None:
        told: dict[str, str | None] = {}
        try:
            self._fetch_held(due, source, told)
        finally:
            inbox.release_pending(self.account, [i for i in due if i not in told])

    def _fetch_held(self, ids: list[str], source: str, told: dict[str, str | None]) -> None:
        """
        Fetch and store sessions; settle or put off the events that were there before.

        Args:
            ids: The sessions.
            source: For the history.
            told: Filled with each session that was asked for, and why it failed, or None.
        """
        held = inbox.claim_for_sessions(self.account, ids)
        for session_id, reason in self._refuse_foreign(ids).items():
            told[session_id] = reason
            inbox.abandon(held.concerned_by(session_id), reason)
            delete_pending(self.account, session_id)  # no later try would end otherwise
        erased = tombstones.find(self.account.name, sessions=ids).sessions
        self.record.run.listed += len(ids) - len(erased)
        self._ledger.note_counted(ids)
        for session_id in erased:
            told[session_id] = None
            delete_pending(self.account, session_id)
        inbox.delete_events(held.settled_by(erased))
        before, self._source = self._source, source
        try:
            if any(i not in told for i in ids):
                refuse_other_environment(self.account)
            self._fetch_and_tell([i for i in ids if i not in told], told)
        except ComplyCubeError as error:
            inbox.defer(held.sessions_of, str(error))
            raise
        except (KeyboardInterrupt, ComplyCubeConfigurationError):
            inbox.release(held.sessions_of)
            raise
        finally:
            self._source = before
            inbox.mark_processed(
                held.settled_by({i for i, reason in told.items() if reason is None})
            )
            for session_id, error_text in told.items():
                if error_text is not None:
                    inbox.record_failure(held.concerned_by(session_id), error_text)
        for session_id in ids:
            if session_id not in told:
                inbox.release(held.concerned_by(session_id))

    def _fetch_and_tell(self, ids: list[str], told: dict[str, str | None]) -> None:
        # Of a client that this run has asked about before, something may have happened since.
        ledger = SeenIndex()
        taken: dict[str, str | None] = {}
        self.record.told = taken
        try:
            self._fetch(ids, CheckSource(ledger, True, self._results))
        except (DatabaseError, InterfaceError):
            taken.clear()  # a batch is lost, and nobody knows whose
            raise
        finally:
            ledger.close()
            self._flush()
            told.update(taken)
            self.record.told = None

    def _find_clients(self, checks: dict[tuple[str, str], list[int]]) -> None:
        """Make the sessions of those clients due whose checks no stored session names."""
        erased = tombstones.find(
            self.account.name,
            clients=[client_id for _, client_id in checks],
            checks=[check_id for check_id, _ in checks],
        )
        listed: dict[str, list[str]] = {}
        for (check_id, client_id), pks in checks.items():
            if check_id in erased.checks or client_id in erased.clients:
                inbox.delete_events(pks)
                continue
            try:
                owner = client_id or self._pump.call(partial(self._client_of, check_id))
                if not client_id and tombstones.find(self.account.name, clients=[owner]):
                    inbox.delete_events_of_erased_client(self.account, owner, check_id, pks)
                    continue
                if owner not in listed:
                    listed[owner] = self._list_client(owner)
            except STOP_ERRORS:
                raise
            except ComplyCubeError as error:
                inbox.record_failure(pks, str(error))
            else:
                inbox.enqueue_client_sessions(self.account, owner, pks, listed[owner])

    def _client_of(self, check_id: str) -> str:
        return self._client.get_check(check_id).value.client_id

    def _list_client(self, client_id: str) -> list[str]:
        """Return the client's sessions as the API lists them, for a new one may not be stored yet."""
        found: dict[str, None] = {}
        keeps = retention.Keeps()
        number = 0
        while client_id:
            number += 1
            filters = {"clientId": client_id}
            page = self._pump.call(
                partial(self._client.list_sessions, page=number, filters=filters)
            ).value
            own = [item for item in page.items if item.client_id == client_id]
            found |= {item.id: None for item in own if keeps(item)}
            # A filter that the API does not understand may also answer with everything.
            if not own or len(own) < len(page.items) or number >= page.pages:
                break
        return list(found)

    def _refuse_foreign(self, ids: list[str]) -> dict[str, str]:
        """Name those of the ids whose rows belong to another account or environment, and why."""
        owners = queries.foreign_owners(self.account, ids)
        foreign = {pk: ownership_reason(pk, *owner) for pk, owner in owners.items()}
        for session_id, reason in foreign.items():
            self.record.fail(session_id, reason, retry=False)
        return foreign

    def _refuse_erased(self, ids: list[str]) -> frozenset[str]:
        """Name those of the ids that belong to erased persons by the hash that is left of them."""
        erased = tombstones.find(self.account.name, sessions=ids).sessions
        for session_id in sorted(erased):
            reason = f"{ComplyCubeErasedError.__name__}: {tombstones.reason(session_id)}"
            self.record.fail(tombstones.subject(session_id), reason, retry=False)
        return erased

    def _list_checks(
        self, begin: datetime | None, sessions_listed: int
    ) -> tuple[ListReader[CheckPayload] | None, CheckSource]:
        """
        Read the list of checks into the ledger, or find it cheaper to ask for each client's.

        That is so where most checks of the account are run outside of workflows: when the list has
        more pages than there are clients with sessions, as the first page tells.
        """
        newest = queries.newest_checks(self.account)
        filters, _ = window(begin, newest[-1].updated_at if newest else None)

        sweep = ListReader(
            lambda page, f: self._pump.call(lambda: self._client.list_checks(page=page, filters=f)),
            filters,
            self._ledger.record_check,
        )
        pages = sweep.pages()
        next(pages, None)
        more_pages = -(-sweep.total_items // PAGE_SIZE) - 1
        if more_pages > 0:
            clients = queries.count_clients(self.account, most=more_pages + 1)
            if more_pages > clients + sessions_listed:
                return self._list_checks_by_client()
        for _ in pages:
            self._tick()
        self._prove_checks(sweep, newest)
        return sweep, CheckSource(self._ledger, False, self._results)

    def _list_checks_by_client(self) -> tuple[None, CheckSource]:
        source = CheckSource(self._ledger, True, self._results)
        jobs = (
            (
                client_id,
                partial(list_client_checks, self._client, source, client_id),
            )
            for client_id in queries.client_ids(self.account)
        )
        for done in self._pump.each(jobs):
            try:
                done.future.result()
            except ComplyCubeNotFoundError:
                pass  # the client is gone; its sessions tell what became of them
            except ComplyCubeError as error:
                self._raise_if_all_get(error)
                self._unproven = True
                self.record.name_error(CHECK_LIST, str(error))
                self._count_fault(error, "clients")
            else:
                self._faults_in_a_row = 0
        return None, source

    def _refresh_page(self, page: list[SessionSummary], source: CheckSource) -> None:
        """Fetch those sessions of a page that are new or moved; the others are as they are stored."""
        ids = [item.id for item in page]
        known = queries.session_states(self.account, ids)
        foreign = self._refuse_foreign([i for i in ids if i not in known])
        moved = [
            item
            for item in page
            if item.id not in foreign and queries.is_moved(known.get(item.id), item)
        ]
        wanted, kept_out = self._wanted_here(moved, known)
        if self._dry_run:  # a real run finds what was due as it has stored it
            wanted = [i for i in wanted if not self._ledger.is_counted(i)]
        if self._is_due_left and not self._hand_out:  # this run fetches it for that
            due = inbox.due_among(self.account, wanted, up_to=self._newest_event)
            wanted = [i for i in wanted if i not in due]
        waiting = not_yet_due(self.account, wanted)
        self.record.run.listed += len(page)
        self.record.run.kept_out += kept_out
        self.record.run.unchanged += len(page) - len(wanted) - len(foreign) - kept_out
        self._ledger.note_counted([*wanted, *foreign])
        self._fetch([session_id for session_id in wanted if session_id not in waiting], source)
        self._work_off_share()

    def _wanted_here(
        self, items: list[SessionSummary], known: Collection[str]
    ) -> tuple[list[str], int]:
        """
        Return the ids of those sessions that retention would not remove, and how many an erasure keeps out.

        One that is stored as another's and has moved to an erased client is asked for: its row must go.
        """
        erased = tombstones.find(
            self.account.name,
            clients=[item.client_id for item in items],
            sessions=[item.id for item in items],
        )
        keeps = retention.Keeps()
        moved = [item.id for item in items if item.client_id in erased.clients]
        # Also one that is marked as missing, of which a plan knows nothing.
        still_stored = queries.own_ids(self.account, moved)
        let_in = [
            item
            for item in items
            if item.id not in erased.sessions
            and (item.id in still_stored or item.client_id not in erased.clients)
        ]
        wanted = [
            item.id for item in let_in if item.id in known or item.id in still_stored or keeps(item)
        ]
        return wanted, len(items) - len(let_in)

    def _refresh_moved_checks(self) -> None:
        """Store the listed checks that moved in sessions that did not."""
        for listed in self._ledger.checks(BATCH_SIZE):
            self._tick()  # where nothing moved, no request does
            direct: dict[str, list[FetchedCheck]] = {}
            jobs = []
            for state, check, at in queries.moved_checks(self.account, listed, self._results):
                is_wanted = state.needs_result and check.id not in self._failed_checks
                if is_wanted and self._may_ask(state.session_id):
                    jobs.append(self._moved_check_job(state.session_id, check, at))
                else:
                    direct.setdefault(state.session_id, []).append(FetchedCheck(check, at))
            for session_id, checks in direct.items():
                at = max(check.fetched_at for check in checks)
                self._add(FetchedSession(session_id, None, at, tuple(checks)), 0, requests=0)
            for session_id, copy in self._copies(jobs):
                self._take(session_id, copy)
            self._flush()

    def _may_ask(self, session_id: str) -> bool:
        """Return whether one more check of a session may cost a request; where not, that is named."""
        number = self._ledger.count_request(session_id)
        if number == MAX_CHECK_REQUESTS + 1:
            self.record.name_error(session_id, too_many_checks(number))
        return number <= MAX_CHECK_REQUESTS

    def _moved_check_job(self, session_id: str, check: CheckPayload, at: datetime) -> Job:
        def fetch() -> FetchResult:
            copy = FetchResult(None)
            try:
                fetched = fetch_moved_check(self._client, check)
            except STOP_ERRORS:
                raise
            except ComplyCubeError as error:
                fetched = FetchedCheck(check, at)  # its outcome is known, and must not wait
                copy.check_errors[check.id] = str(error)
            copy.session = FetchedSession(session_id, None, fetched.fetched_at, (fetched,))
            return copy

        return session_id, fetch

    def _confirm_missing(self, sweep: ListReader[SessionSummary], *, allowed: bool) -> None:
        """Ask for each session that the list does not show; only its own 404 marks it."""
        most = int(MAX_SHARE_MISSING * queries.count_present(self.account))
        source = CheckSource(self._ledger, True, self._results)
        gone: dict[str, datetime] = {}
        for ids in queries.present_ids(self.account, PAGE_SIZE):
            self._tick()
            unseen = [i for i in ids if not self._ledger.has_session(i, sweep.reading)]
            failed = self.record.run.failed
            for session_id, copy in self._copies(self._jobs(unseen, source)):
                if copy.missing_at is not None:
                    gone[session_id] = copy.missing_at
                else:
                    self._keep(session_id, copy)
                    self.record.run.listed += not copy.check_errors
                if len(gone) > most and not allowed:
                    self._unproven = True
                    self.record.name_error(
                        "missing sessions",
                        f"More than {counted(most, 'session')} (5 % of the copy) are gone upstream; none was marked. "
                        "If that is right, run again with --full --confirm-missing.",
                    )
                    return
            # Those of them that failed, or are there, were looked at as well.
            self.record.run.listed += self.record.run.failed - failed
        ids = list(gone)
        while chunk := ids[:BATCH_SIZE]:
            ids = ids[BATCH_SIZE:]
            self._note_missing(mark_missing(self.account, {i: gone[i] for i in chunk}))

    # Whether the lists told the truth

    def _prove_sessions(
        self, sweep: ListReader[SessionSummary], newest: list[queries.Newest]
    ) -> None:
        """Make sure that the window held the newest session stored, or that this one is gone."""
        erased = tombstones.find(self.account.name, sessions=[n.id for n in newest]).sessions
        newest = [candidate for candidate in newest if candidate.id not in erased]
        for candidate in newest:
            if self._ledger.has_session(candidate.id):
                return
            began_at = timezone.now()
            try:
                answer = self._pump.call(partial(self._client.get_session, candidate.id))
            except ComplyCubeNotFoundError:
                if self.record.run.mode != RefreshRun.Mode.FULL:  # it counts what is gone
                    self._note_missing(mark_missing(self.account, {candidate.id: began_at}))
                continue
            if sweep.complete and answer.value.updated_at == candidate.updated_at:
                raise ComplyCubeFilterError(_filter_fault(SESSION_LIST, candidate.id))
            self._unproven = True
            self.record.run.listed += 1
            self._ledger.note_counted([candidate.id])
            self._add(
                FetchedSession(candidate.id, answer.value, answer.began_at), answer.size_bytes
            )
            return
        self._note_unproven(SESSION_LIST, newest)

    def _prove_checks(self, sweep: ListReader[CheckPayload], newest: list[queries.Newest]) -> None:
        erased = tombstones.find(self.account.name, checks=[n.id for n in newest]).checks
        newest = [candidate for candidate in newest if candidate.id not in erased]
        for candidate in newest:
            if self._ledger.check(candidate.id) is not None:
                return
            try:
                answer = self._pump.call(partial(self._client.get_check, candidate.id))
            except ComplyCubeNotFoundError:
                continue
            if sweep.complete and answer.value.updated_at == candidate.updated_at:
                raise ComplyCubeFilterError(_filter_fault(CHECK_LIST, candidate.id))
            self._unproven = True
            return
        self._note_unproven(CHECK_LIST, newest)

    def _note_unproven(self, subject: str, newest: list[queries.Newest]) -> None:
        if newest:
            self._unproven = True
            self.record.name_error(
                subject,
                "The newest ones that are stored are gone upstream, so nothing proves that the list "
                "is whole. The next run looks again.",
            )

    def _name_unreadable(
        self, subject: str, sweep: ListReader[SessionSummary] | ListReader[CheckPayload] | None
    ) -> None:
        if sweep is None or self._limited:
            return
        unreadable = {f"{subject}: {item}": reason for item, reason in sweep.unreadable.items()}
        told = queries.told_before(self.account, list(unreadable))
        self.record.run.listed += len(unreadable)
        self.record.run.unchanged += len(told)
        for item, reason in unreadable.items():
            if item not in told:
                self.record.fail(item, reason, retry=False)
        if sweep.given_up_after:
            self.record.name_error(subject, endless(subject, sweep.given_up_after))
        elif not sweep.complete:
            self.record.name_error(subject, sweep.fault)

    def _earned(
        self, sessions: ListReader[SessionSummary], checks: ListReader[CheckPayload] | None
    ) -> datetime | None:
        """Return the watermark, if every page was read and all of it is stored or pending."""
        sweeps = [sweep for sweep in (sessions, checks) if sweep is not None]
        whole = all(sweep.complete for sweep in sweeps)
        if not whole or self._limited or self._dry_run or self._unproven:
            return None
        return min(filter(None, [sweep.watermark() for sweep in sweeps]), default=None)

    def _state(self) -> str:
        self._flush()  # the database may refuse a record of the last batch
        run = self.record.run
        whole = not (run.failed or run.error_count or self._limited or self._unproven)
        return RefreshRun.State.SUCCEEDED if whole else RefreshRun.State.PARTIAL

    # The way of an answer

    def _fetch(self, ids: list[str], source: CheckSource) -> None:
        ids = self._within_limit(ids)
        if self._dry_run:
            known = queries.session_states(self.account, ids)
            self.record.run.created += len(ids) - len(known)
            self.record.run.updated += len(known)
            return
        if self._hand_out:
            inbox.enqueue_sessions(self.account, ids, inbox.REASON_CHUNK)
            return
        for session_id, copy in self._copies(self._jobs(ids, source)):
            self._take(session_id, copy)

    def _jobs(self, ids: list[str], source: CheckSource) -> Iterator[Job]:
        known = queries.known_checks(ids)
        for session_id in ids:
            checks = known.get(session_id, {})
            yield (
                session_id,
                partial(fetch_session, self._client, session_id, source, checks),
            )

    def _within_limit(self, ids: list[str]) -> list[str]:
        """Return those of the ids that this run may still fetch."""
        if self._room is None:
            return ids
        kept = ids[: self._room]
        self._room -= len(kept)
        self._limited |= len(kept) < len(ids)
        return kept

    def _take(self, session_id: str, copy: FetchResult) -> None:
        if self.record.told is not None:
            self.record.told.setdefault(session_id, None)
        if copy.missing_at is None:
            self._keep(session_id, copy)
            return
        missing = mark_missing(self.account, {session_id: copy.missing_at})
        if not self._note_missing(missing, listed=True):
            self.record.fail(session_id, copy.missing_reason, retry=False)
            delete_pending(self.account, session_id)

    def _note_missing(self, missing: Missing, *, listed: bool = False) -> bool:
        """Count what became of sessions that the API does not know; return whether any is stored."""
        self.record.note_missing(missing.marked, listed=listed)
        if listed:
            self.record.run.unchanged += len(missing.alive)
        return bool(missing.marked or missing.alive)

    def _copies(self, jobs: Iterable[Job]) -> Iterator[tuple[str, FetchResult]]:
        """
        Yield what the jobs bring.

        An error that stops the run is raised when the requests under way have ended, so that what
        they bring is not lost.
        """
        stop: ComplyCubeError | None = None
        jobs = tombstones.skip_erased(self.account.name, jobs, lambda job: job[0])
        for done in self._pump.each(takewhile(lambda _: not self._pump.is_stopped, jobs)):
            try:
                copy = self._result(done)
            except ComplyCubeError as error:
                stop = stop or error
                self._pump.stop()
                continue
            if copy is not None:
                yield done.key, copy
        if stop is not None:
            raise stop

    def _result(self, done: FinishedJob[str, FetchResult]) -> FetchResult | None:
        """Return what a job brought, or note its error; raise those that stop the run."""
        try:
            copy = done.future.result()
        except ThrottleClosedError:  # the run has been stopped before its request began
            return None
        except ComplyCubeError as error:
            self._raise_if_all_get(error)
            self.record.fail(done.key, str(error), retry=True)
            self._count_fault(error, "sessions")
            return None
        self._faults_in_a_row = 0
        return copy

    def _raise_if_all_get(self, error: ComplyCubeError) -> None:
        """Raise an error that every other request would get as well."""
        is_refused = isinstance(error, ComplyCubePermissionError)
        if isinstance(error, STOP_ERRORS) or (
            is_refused and not self._client.answered_other_than_403
        ):
            raise error

    def _count_fault(self, error: ComplyCubeError, asked: str) -> None:
        """Raise where so many requests in a row got no answer that no other would."""
        if isinstance(error, (ComplyCubeConnectionError, ComplyCubeServerError)):
            self._faults_in_a_row += 1
            if self._faults_in_a_row >= MAX_FAULTS_IN_A_ROW:
                raise ComplyCubeConnectionError(
                    f"{MAX_FAULTS_IN_A_ROW} {asked} in a row got no answer; the API seems to be down."
                ) from None

    def _keep(self, session_id: str, copy: FetchResult) -> None:
        assert copy.session is not None  # noqa: S101 - the caller looked
        if copy.check_errors:
            if len(self._failed_checks) < RefreshRun.MAX_ERRORS:
                self._failed_checks.update(copy.check_errors)
            reasons = [
                f"check {check_id}: {reason}" for check_id, reason in copy.check_errors.items()
            ]
            # Before it is stored, so that it counts as failed and not as stored too.
            self.record.fail(session_id, " ".join(reasons), retry=True)
        self._add(copy.session, copy.size_bytes)

    def _add(self, session: FetchedSession, size_bytes: int, *, requests: int = 1) -> None:
        if session.payload is None:
            self._count_once(session.session_id)
        if not self._batch:
            self._batch_since = time.monotonic()
        self._batch.append(session)
        self._batch_bytes += size_bytes
        self._batch_requests += requests
        if (
            len(self._batch) >= LARGEST_BATCH
            or self._batch_bytes >= BATCH_BYTES
            or self._batch_requests >= max(SMALLEST_BATCH, self._expected // BATCHES_OF_A_RUN)
        ):
            self._flush()

    def _count_once(self, session_id: str) -> None:
        """Let a session of which checks moved count by what becomes of it, and only once."""
        if session_id in self._counted_now:
            return
        if self._ledger.is_counted(session_id):
            self._counted_before.add(session_id)
            return
        if self._ledger.has_session(session_id):
            self.record.run.unchanged -= 1
        else:
            self.record.run.listed += 1
        self._ledger.note_counted([session_id])
        self._counted_now.add(session_id)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        counted, self._counted_before = self._counted_before, set()
        self._counted_now.clear()
        self._batch_bytes = self._batch_requests = 0
        if batch:
            fetched = sum(session.payload is not None for session in batch)
            stored_batch = store_batch(
                self.account, batch, source=self._source, on_signal=self._stay_alive
            )
            self.record.add(stored_batch, fetched=fetched, counted=counted)
        self.record.write_retries()

    def _stay_alive(self) -> None:
        """Renew the lease between signals; that it is lost, the next tick and the end of the run notice."""
        with suppress(LeaseLostError):
            self.record.tick(self.requests)

    def _tick(self) -> None:
        if self._batch and time.monotonic() - self._batch_since >= BATCH_SECONDS:
            self._flush()
        self.record.tick(self.requests)
        self._report()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.record.run, self._expected)


def _filter_fault(subject: str, missing_id: str) -> str:
    return (
        f"The {subject} does not show {missing_id}, which is there and must be in the window: the API "
        "did not understand the time filter, so an empty answer proves nothing. Run with --full."
    )
