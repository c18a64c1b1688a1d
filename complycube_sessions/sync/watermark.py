"""Checking that the lists were complete, and deriving the watermark."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final

from django.utils import timezone

from complycube_sessions.api.payloads import CheckPayload, SessionSummary
from complycube_sessions.exceptions import ComplyCubeFilterError, ComplyCubeNotFoundError
from complycube_sessions.mirror import queries
from complycube_sessions.mirror.merge import FetchedSession
from complycube_sessions.mirror.queries import Newest
from complycube_sessions.mirror.write import mark_missing
from complycube_sessions.models import RefreshRun
from complycube_sessions.privacy import tombstones
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.fetcher import Fetcher
from complycube_sessions.sync.listing import ListReader, endless

SESSION_LIST: Final = "list of sessions"
CHECK_LIST: Final = "list of checks"


class ListProofs:
    """
    Proves that the lists were complete: each must show the newest stored item, unless the API answers 404 for it.

    Args:
        context: The run.
        fetcher: Stores the sessions that a proof has fetched.
    """

    def __init__(self, context: RunContext, fetcher: Fetcher) -> None:
        self._context = context
        self._account = context.account
        self._record = context.record
        self._fetcher = fetcher
        self.is_unproven = False

    def prove_sessions(self, reader: ListReader[SessionSummary], newest: list[Newest]) -> None:
        """
        Make sure that the window contained the newest stored session, or that it is gone upstream.

        Raises:
            ComplyCubeFilterError: The API did not understand the filter of the list.
        """
        index, client = self._context.index, self._context.client
        erased = tombstones.find(self._account.name, sessions=[n.id for n in newest]).sessions
        newest = [candidate for candidate in newest if candidate.id not in erased]
        for candidate in newest:
            if index.has_session(candidate.id):
                return
            began_at = timezone.now()
            try:
                answer = self._context.worker.call(partial(client.get_session, candidate.id))
            except ComplyCubeNotFoundError:
                if (
                    self._record.run.mode != RefreshRun.Mode.FULL
                ):  # a full run counts missing sessions itself
                    gone = mark_missing(self._account, {candidate.id: began_at})
                    self._fetcher.note_missing(gone)
                continue
            self._note_left_out(SESSION_LIST, reader, candidate, answer.value.updated_at)
            self._record.run.listed += 1
            index.note_counted([candidate.id])
            session = FetchedSession(candidate.id, answer.value, answer.began_at)
            self._fetcher.add(session, answer.size_bytes)
            return
        self._note_unproven(SESSION_LIST, newest)

    def prove_checks(self, reader: ListReader[CheckPayload], newest: list[Newest]) -> None:
        """
        Make sure that the window contained the newest stored check, or that it is gone upstream.

        Raises:
            ComplyCubeFilterError: The API did not understand the filter of the list.
        """
        client = self._context.client
        erased = tombstones.find(self._account.name, checks=[n.id for n in newest]).checks
        newest = [candidate for candidate in newest if candidate.id not in erased]
        for candidate in newest:
            if self._context.index.check(candidate.id) is not None:
                return
            try:
                answer = self._context.worker.call(partial(client.get_check, candidate.id))
            except ComplyCubeNotFoundError:
                continue
            self._note_left_out(CHECK_LIST, reader, candidate, answer.value.updated_at)
            return
        self._note_unproven(CHECK_LIST, newest)

    def refute(self, subject: str, reason: str) -> None:
        """Record why a list, or a conclusion from it, is unproven."""
        self.is_unproven = True
        self._record.name_error(subject, reason)

    def name_unreadable(
        self, subject: str, reader: ListReader[SessionSummary] | ListReader[CheckPayload]
    ) -> None:
        """Record the items of a list that could not be read, and why the list is incomplete."""
        run = self._record.run
        unreadable = {f"{subject}: {item}": reason for item, reason in reader.unreadable.items()}
        named = queries.named_before(self._account, list(unreadable))
        run.listed += len(unreadable)
        run.unchanged += len(named)
        for item, reason in unreadable.items():
            if item not in named:
                self._record.fail(item, reason, retry=False)
        if reader.given_up_after:
            self._record.name_error(subject, endless(subject, reader.given_up_after))
        elif not reader.complete:
            self._record.name_error(subject, reader.fault)

    def watermark(self, *readers: ListReader[Any] | None) -> datetime | None:
        """Return the watermark if every list was complete and proven, otherwise None."""
        read = [reader for reader in readers if reader is not None]
        if self.is_unproven or not all(reader.complete for reader in read):
            return None
        return min(filter(None, [reader.watermark() for reader in read]), default=None)

    def _note_left_out(
        self, subject: str, reader: ListReader[Any], newest: Newest, updated_at: datetime | None
    ) -> None:
        """Record that a list omitted an existing item; raise if the list should have shown it."""
        if reader.complete and updated_at == newest.updated_at:
            raise ComplyCubeFilterError(_filter_fault(subject, newest.id))
        self.is_unproven = True

    def _note_unproven(self, subject: str, newest: list[Newest]) -> None:
        if newest:
            self.refute(
                subject,
                "The newest ones that are stored are gone upstream, so nothing proves that the list "
                "is whole. The next run looks again.",
            )


def _filter_fault(subject: str, missing_id: str) -> str:
    return (
        f"The {subject} does not show {missing_id}, which is there and must be in the window: the API "
        "did not understand the time filter, so an empty answer proves nothing. Run with --full."
    )
