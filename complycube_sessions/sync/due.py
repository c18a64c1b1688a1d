"""
Processing due work: the vendor's events, and sessions queued by an event, a failure or another process.

Refresh runs and webhook processing (``webhooks/processing.py``) both use this module. ``webhooks/inbox.py``
reads and writes the rows of the inbox.
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
# The number of requests that due work may use before the first list page.
DUE_SHARE: Final = 50


class DueWork:
    """
    Processes events and sessions that are due.

    An event only counts as processed after a fetch that began after the event was read.

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
        # Whether due work was left at the last look.
        self._is_left = False
        self._newest_event = 0

    def begin(self) -> None:
        """Remember the newest event; later ones are left to the next run, or this run might never end."""
        if self._context.options.retry_failed:
            inbox.retry_failed_now(self._account)
        self._newest_event = inbox.newest_event(self._account)

    def process_rest(self) -> None:
        """Process all events that were stored when the run began, and all due sessions."""
        self.process(up_to=self._newest_event)

    def process_share(self) -> None:
        """Process due work until it has used as many requests as the lists, so that neither starves."""
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
            reason: Only sessions that are due for this reason.
            only: Only the event with this primary key, and other events of the same session.
            pending_only: Whether to process sessions only, and no events.
            up_to: Only events with this primary key or a lower one.
            go_on: Called before each step; processing stops when it returns False.

        Returns:
            How many events and sessions were claimed.
        """
        count = 0
        requested: set[str] = set()
        seen: set[int] = set()
        self._is_left = only is not None or inbox.is_anything_open(self._account)
        while self._is_left and not self._fetcher.is_limited and go_on():
            events: list[WebhookEvent] = []
            if not pending_only:
                events = inbox.claim_events(self._account, most=most, only=only, up_to=up_to)
            # An event that was released unprocessed is left for later, or the loop would not end.
            events = [event for event in events if event.pk not in seen]
            due: list[str] = []
            if not events and not only:
                due = pending.claim_pending(self._account, most=most, reason=reason)
            due = [session_id for session_id in due if session_id not in requested]
            if not events and not due:
                self._is_left = False
                break
            seen.update(event.pk for event in events)
            requested.update(due)
            self._process_events(events)
            self._process_sessions(due, reason)
            count += len(events) + len(due)
        return count

    def plan(self) -> None:
        """Count what ``process`` would fetch, as far as that is known without a request."""
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
            source: The source to record in the history.
            outcomes: Filled in: maps each fetched session to the reason why it failed, or None.
        """
        claimed = inbox.claim_for_sessions(self._account, ids)
        self._refuse(ids, claimed, outcomes)
        try:
            requested = [session_id for session_id in ids if session_id not in outcomes]
            if requested:
                refuse_other_environment(self._account)
            self._fetch(requested, source, outcomes)
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
        """Drop the sessions of other accounts and of erased persons, which no retry could fetch."""
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
        # A fresh index: checks that this run has listed before may have changed since.
        index = SeenIndex()
        fetched: dict[str, str | None] = {}
        try:
            checks = self._context.checks_by_client(index)
            self._fetcher.fetch(ids, checks, Purpose(source, fetched))
        except (DatabaseError, InterfaceError):
            fetched.clear()  # a batch is lost, so it is unknown which sessions are stored
            raise
        finally:
            index.close()
            self._fetcher.flush()
            outcomes.update(fetched)

    def _find_clients(self, checks: dict[tuple[str, str], list[int]]) -> None:
        """Queue the sessions of the clients whose checks are not stored with any session."""
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
        """Return the client's sessions as the API lists them, as a new one may not be stored yet."""
        session_ids: dict[str, None] = {}
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
            session_ids |= {item.id: None for item in own if keeps(item)}
            # If the API ignores the filter, it returns the sessions of all clients.
            if not own or len(own) < len(page.items) or number >= page.pages:
                break
        return list(session_ids)


def _note_outcomes(claimed: ClaimedEvents, outcomes: dict[str, str | None]) -> None:
    """Record which claimed events are processed, and which wait for a retry."""
    done = {session_id for session_id, reason in outcomes.items() if reason is None}
    inbox.mark_processed(claimed.processed_by(done))
    for session_id, reason in outcomes.items():
        if reason is not None:
            inbox.record_failure(claimed.concerned_by(session_id), reason)
