"""Collecting what was fetched, and storing it in batches."""

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
# A kill loses a batch: at the vendor's limit two seconds' worth, at any rate a hundredth of the run.
SMALLEST_BATCH: Final = 20
BATCHES_OF_A_RUN: Final = 100
# The memory of a run is that of its largest batch; larger ones store hardly more sessions a second.
LARGEST_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Purpose:
    """
    What sessions are fetched for.

    Args:
        source: For the history.
        outcomes: Filled with each session that was asked for, and why it failed, or None. It is None
            where nobody asks, as for a session that a list has shown.
    """

    source: str
    outcomes: dict[str, str | None] | None = None


class Batch:
    """
    Fetched sessions that are not stored yet, few enough that a kill loses little.

    All of a batch serve the same purpose. The account's lease is renewed while signals are sent.

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
        # Sessions of which checks moved, by whether the run had counted them before this batch.
        self._counted_now: set[str] = set()
        self._counted_before: set[str] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def add(
        self, session: FetchedSession, size_bytes: int, purpose: Purpose, *, requests: int = 1
    ) -> None:
        """
        Add a session, and store the batch where that makes it large enough.

        Args:
            session: A whole session, or only some of its checks.
            size_bytes: How large its answer was.
            purpose: What it was fetched for.
            requests: How many requests a kill would lose with it.
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
        """Store the batch, and make the sessions due again that failed."""
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
        """Count a session whose checks moved by its outcome, and only once."""
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
        """Renew the lease; a lost one is noticed by the next tick and at the end of the run."""
        with suppress(LeaseLostError):
            self._record.tick(self._context.client.requests_sent)
