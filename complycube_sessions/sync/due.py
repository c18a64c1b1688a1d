"""
Processing what is due: the vendor's events, and sessions made due by them, a failure or another process.

A refresh run and the processing of webhooks (``webhooks/processing.py``) both come here. The rows of the inbox
are in ``webhooks/inbox.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from django.db import DatabaseError, InterfaceError

from complycube_sessions.exceptions import ComplyCubeConfigurationError, ComplyCubeError
from complycube_sessions.mirror.environments import refuse_other_environment
from complycube_sessions.models import WebhookEvent
from complycube_sessions.privacy import retention, tombstones
from complycube_sessions.sync import pending
from complycube_sessions.sync.batch import Purpose
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.errors import STOP_ERRORS
from complycube_sessions.sync.fetcher import Fetcher
from complycube_sessions.sync.seen import SeenIndex
from complycube_sessions.webhooks import inbox
from complycube_sessions.webhooks.inbox import ClaimedEvents

DUE_AT_ONCE: Final = 200
# So many requests of what is due come before the first page of the lists.
DUE_SHARE: Final = 50


class DueWork:
    """
    Processes events and sessions that are due.

    An event is only processed by a fetch that began after the event was read.

    Args:
        context: The run.
        fetcher: Fetches the sessions.
    """

    def __init__(self, context: RunContext, fetcher: Fetcher) -> None:
        self._context = context
        self._account = context.account
        self._record = context.record
        self._fetcher = fetcher
        self._requests = 0
        # Whether some was left when last looked at.
        self._is_left = False
        self._newest_event = 0

    def begin(self) -> None:
        """Remember the newest event: later ones are for the next run, or this one might never end."""
        if self._context.options.retry_failed:
            inbox.retry_failed_now(self._account)
        self._newest_event = inbox.newest_event(self._account)

    def process_rest(self) -> None:
        """Process all that was there when the run began."""
        self.process(up_to=self._newest_event)

    def process_share(self) -> None:
        """Process what is due until it has had as many requests as the lists, so that neither starves."""
        self._fetcher.flush()
        client = self._context.client
        began, due_before = client.requests_sent, self._requests
        most = began - due_before + DUE_SHARE

        def has_share() -> bool:
            self._requests = due_before + client.requests_sent - began
            return self._requests < most

        self.process(most=DUE_SHARE, go_on=has_share)
        has_share()

    def process(
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
        Process events and sessions that are due, until none is left.

        Args:
            most: How many to claim at once.
            reason: Only sessions that are due for that reason.
            only: Only the event with this primary key, and those of the same session.
            pending_only: Whether to leave events to others.
            up_to: Only events that were stored no later than the one with this primary key.
            go_on: Asked before each step whether there is room for one more.

        Returns:
            How many events and sessions were claimed.
        """
        count = 0
        asked: set[str] = set()
        seen: set[int] = set()
        self._is_left = only is not None or inbox.is_anything_open(self._account)
        while self._is_left and not self._fetcher.is_limited and go_on():
            events: list[WebhookEvent] = []
            if not pending_only:
                events = inbox.claim_events(self._account, most=most, only=only, up_to=up_to)
            # One that nothing was done about waits until its worker's time is over.
            events = [event for event in events if event.pk not in seen]
            due: list[str] = []
            if not events and not only:
                due = pending.claim_pending(self._account, most=most, reason=reason)
            due = [session_id for session_id in due if session_id not in asked]
            if not events and not due:
                self._is_left = False
                break
            seen.update(event.pk for event in events)
            asked.update(due)
            self._process_events(events)
            self._process_sessions(due, reason)
            count += len(events) + len(due)
        return count

    def plan(self) -> None:
        """Count what ``process`` would fetch, as far as that can be told without a request."""
        retry_failed = self._context.options.retry_failed
        ids = inbox.due_sessions(self._account, retry_failed=retry_failed)
        self._record.run.listed += len(ids)
        self._context.index.note_counted(ids)
        self._fetcher.fetch(ids, self._context.checks_by_client())

    def still_due(self, session_ids: list[str]) -> set[str]:
        """Return the sessions that this run will fetch because they are due."""
        if not self._is_left:
            return set()
        return inbox.due_among(self._account, session_ids, up_to=self._newest_event)

    def _process_events(self, events: list[WebhookEvent]) -> None:
        if not events:
            return
        planned = inbox.plan(self._account, events)
        try:
            self._find_clients(planned.unknown_checks)
        except ComplyCubeError as error:
            inbox.defer([event.pk for event in events], str(error))
            raise
        self._fetch_claimed(list(planned.sessions), "webhook", {})

    def _process_sessions(self, due: list[str], reason: str | None) -> None:
        if not due:
            return
        source = "webhook" if reason == pending.REASON_WEBHOOK else self._context.options.source
        outcomes: dict[str, str | None] = {}
        try:
            self._fetch_claimed(due, source, outcomes)
        finally:
            pending.release_pending(self._account, [i for i in due if i not in outcomes])

    def _fetch_claimed(self, ids: list[str], source: str, outcomes: dict[str, str | None]) -> None:
        """
        Fetch and store sessions, and record the outcome with their events.

        Args:
            ids: The sessions.
            source: For the history.
            outcomes: Filled with each session that was asked for, and why it failed, or None.
        """
        claimed = inbox.claim_for_sessions(self._account, ids)
        self._refuse(ids, claimed, outcomes)
        try:
            asked = [session_id for session_id in ids if session_id not in outcomes]
            if asked:
                refuse_other_environment(self._account)
            self._fetch(asked, source, outcomes)
        except ComplyCubeError as error:
            inbox.defer(claimed.sessions_of, str(error))
            raise
        except (KeyboardInterrupt, ComplyCubeConfigurationError):
            inbox.release(claimed.sessions_of)
            raise
        finally:
            _note_outcomes(claimed, outcomes)
        for session_id in ids:
            if session_id not in outcomes:
                inbox.release(claimed.concerned_by(session_id))

    def _refuse(
        self, ids: list[str], claimed: ClaimedEvents, outcomes: dict[str, str | None]
    ) -> None:
        """Sort out the sessions of other accounts and of erased persons, which no later try could fetch."""
        for session_id, reason in self._fetcher.refuse_foreign(ids).items():
            outcomes[session_id] = reason
            inbox.abandon(claimed.concerned_by(session_id), reason)
            pending.delete_pending(self._account, session_id)
        erased = tombstones.find(self._account.name, sessions=ids).sessions
        self._record.run.listed += len(ids) - len(erased)
        self._context.index.note_counted(ids)
        for session_id in erased:
            outcomes[session_id] = None
            pending.delete_pending(self._account, session_id)
        inbox.delete_events(claimed.processed_by(erased))

    def _fetch(self, ids: list[str], source: str, outcomes: dict[str, str | None]) -> None:
        # Of a client that this run has asked about before, something may have happened since.
        index = SeenIndex()
        found: dict[str, str | None] = {}
        try:
            checks = self._context.checks_by_client(index)
            self._fetcher.fetch(ids, checks, Purpose(source, found))
        except (DatabaseError, InterfaceError):
            found.clear()  # a batch is lost, and nobody knows whose
            raise
        finally:
            index.close()
            self._fetcher.flush()
            outcomes.update(found)

    def _find_clients(self, checks: dict[tuple[str, str], list[int]]) -> None:
        """Make the sessions of those clients due whose checks no stored session names."""
        erased = tombstones.find(
            self._account.name,
            clients=[client_id for _, client_id in checks],
            checks=[check_id for check_id, _ in checks],
        )
        sessions_of: dict[str, list[str]] = {}
        for (check_id, client_id), pks in checks.items():
            if check_id in erased.checks or client_id in erased.clients:
                inbox.delete_events(pks)
                continue
            try:
                self._find_client(check_id, client_id, pks, sessions_of)
            except STOP_ERRORS:
                raise
            except ComplyCubeError as error:
                inbox.record_failure(pks, str(error))

    def _find_client(
        self, check_id: str, client_id: str, pks: list[int], sessions_of: dict[str, list[str]]
    ) -> None:
        owner = client_id or self._context.worker.call(partial(self._client_of, check_id))
        if not client_id and tombstones.find(self._account.name, clients=[owner]):
            inbox.delete_events_of_erased_client(self._account, owner, check_id, pks)
            return
        if owner not in sessions_of:
            sessions_of[owner] = self._list_client(owner)
        inbox.enqueue_client_sessions(self._account, owner, pks, sessions_of[owner])

    def _client_of(self, check_id: str) -> str:
        return self._context.client.get_check(check_id).value.client_id

    def _list_client(self, client_id: str) -> list[str]:
        """Return the client's sessions as the API lists them, for a new one may not be stored yet."""
        found: dict[str, None] = {}
        keeps = retention.Keeps()
        number = 0
        while client_id:
            number += 1
            filters = {"clientId": client_id}
            list_sessions = self._context.client.list_sessions
            page = self._context.worker.call(
                partial(list_sessions, page=number, filters=filters)
            ).value
            own = [item for item in page.items if item.client_id == client_id]
            found |= {item.id: None for item in own if keeps(item)}
            # A filter that the API does not understand may also answer with everything.
            if not own or len(own) < len(page.items) or number >= page.pages:
                break
        return list(found)


def _note_outcomes(claimed: ClaimedEvents, outcomes: dict[str, str | None]) -> None:
    """Record which of the claimed events are processed, and which wait for another try."""
    done = {session_id for session_id, reason in outcomes.items() if reason is None}
    inbox.mark_processed(claimed.processed_by(done))
    for session_id, reason in outcomes.items():
        if reason is not None:
            inbox.record_failure(claimed.concerned_by(session_id), reason)
