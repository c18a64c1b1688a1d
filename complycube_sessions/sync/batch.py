"""Collecting fetched sessions and storing them in batches."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from complycube_sessions.mirror.merge import FetchedSession
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.lease import LeaseLostError

BATCH_SECONDS: Final = 2.0
BATCH_BYTES: Final = 4 * 1024 * 1024
# A killed process loses a batch: two seconds' worth of requests at the vendor's rate limit or a hundredth of
# the run, whichever is more.
SMALLEST_BATCH: Final = 20
BATCHES_OF_A_RUN: Final = 100
# The largest batch determines the memory use; larger batches store hardly more sessions per second.
LARGEST_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Purpose:
    """
    Why sessions are fetched.

    Args:
        source: The source to record in the history.
        outcomes: Maps each fetched session to the reason why it failed, or to None if it did not. None
            instead of a dict if no caller needs the outcomes, as for sessions from a list.
    """

    source: str
    outcomes: dict[str, str | None] | None = None


class Batch:
    """
    Fetched sessions that are not stored yet, few enough that a killed process loses little.

    All sessions of a batch have the same purpose. The account's lease is renewed while signals are sent.

    Args:
        context: The run.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._record = context.record
        self._purpose = Purpose(context.options.source)
        self._sessions: list[FetchedSession] = []
        self._bytes = self._requests = 0
        self._began_at = 0.0
        # Sessions whose checks changed, by whether the run had counted them before this batch.
        self._counted_now: set[str] = set()
        self._counted_before: set[str] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def add(
        self, session: FetchedSession, size_bytes: int, purpose: Purpose, *, requests: int = 1
    ) -> None:
        """
        Add a session, and store the batch if it is large enough then.

        Args:
            session: A whole session, or only some of its checks.
            size_bytes: The size of the response.
            purpose: Why the session was fetched.
            requests: How many requests would have to be repeated if the process were killed.
        """
        if purpose is not self._purpose:
            if self._sessions:
                self.flush()
            self._purpose = purpose
        if session.payload is None:
            self._count_once(session.session_id)
        if not self._sessions:
            self._began_at = time.monotonic()
        self._sessions.append(session)
        self._bytes += size_bytes
        self._requests += requests
        if self._is_full():
            self.flush()

    def flush_if_old(self) -> None:
        """Store the batch once its first session has waited long enough."""
        if self._sessions and time.monotonic() - self._began_at >= BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store the batch, and queue failed sessions for a retry."""
        sessions, self._sessions = self._sessions, []
        counted, self._counted_before = self._counted_before, set()
        self._counted_now.clear()
        self._bytes = self._requests = 0
        if sessions:
            stored = store_batch(
                self._context.account,
                sessions,
                source=self._purpose.source,
                on_signal=self.stay_alive,
            )
            fetched = sum(session.payload is not None for session in sessions)
            self._record.add(
                stored, fetched=fetched, counted=counted, outcomes=self._purpose.outcomes
            )
        self._record.write_retries()

    def _is_full(self) -> bool:
        enough = max(SMALLEST_BATCH, self._record.expected // BATCHES_OF_A_RUN)
        return (
            len(self._sessions) >= LARGEST_BATCH
            or self._bytes >= BATCH_BYTES
            or self._requests >= enough
        )

    def _count_once(self, session_id: str) -> None:
        """Count a session whose checks changed by its result, and only once."""
        index = self._context.index
        if session_id in self._counted_now:
            return
        if index.is_counted(session_id):
            self._counted_before.add(session_id)
            return
        if index.has_session(session_id):
            self._record.run.unchanged -= 1
        else:
            self._record.run.listed += 1
        index.note_counted([session_id])
        self._counted_now.add(session_id)

    def stay_alive(self) -> None:
        """Renew the lease; if it is lost, the next tick or the end of the run notices."""
        with suppress(LeaseLostError):
            self._record.tick(self._context.client.requests_sent)
