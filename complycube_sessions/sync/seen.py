"""An index of the sessions and checks that a run has seen on list pages."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from complycube_sessions.api.payloads import CheckPayload, SessionSummary

# SQLite's page cache for the index; the remaining pages are in its file, which the system caches.
CACHE_KIB: Final = 512
LOCKS: Final = 64  # a lock for each of a million clients would not fit in memory


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    What the index held about an item before a page showed it.

    ``is_fresh`` is true if the item is new to the run or has changed since it was last seen. ``window`` is
    the number of the window that showed it last, or None.
    """

    is_fresh: bool
    window: int | None


class SeenIndex:
    """
    The items that a run has seen, in a temporary file that SQLite creates and removes.

    A million ids in memory would take a hundred megabytes; here they take a few. Threads may share an index.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(LOCKS)]
        self._database.executescript(
            f"""
            PRAGMA journal_mode = OFF;
            PRAGMA cache_size = -{CACHE_KIB};
            CREATE TABLE session (id TEXT PRIMARY KEY, updated TEXT, window INTEGER) WITHOUT ROWID;
            CREATE TABLE checks (
                id TEXT PRIMARY KEY, client TEXT, type TEXT, status TEXT, outcome TEXT,
                created TEXT, updated TEXT, fetched TEXT, window INTEGER,
                document TEXT, monitored INTEGER, raw TEXT
            ) WITHOUT ROWID;
            CREATE TABLE client (id TEXT PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE asked (id TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID;
            CREATE TABLE counted (id TEXT PRIMARY KEY) WITHOUT ROWID;
            BEGIN;
            """
        )

    def record_session(self, item: SessionSummary, window: int) -> Sighting:
        """Record a session from a list page, with the number of its window."""
        updated = _text(item.updated_at)
        with self._lock:
            old = self._database.execute(
                "SELECT updated, window FROM session WHERE id = ?", [item.id]
            ).fetchone()
            self._database.execute(
                "INSERT OR REPLACE INTO session VALUES (?, ?, ?)", [item.id, updated, window]
            )
        return Sighting(old is None or old[0] != updated, old and old[1])

    def has_session(self, session_id: str, since: int = 0) -> bool:
        """Return whether a session was seen in the window ``since`` or a later one."""
        with self._lock:
            query = "SELECT window FROM session WHERE id = ?"
            row = self._database.execute(query, [session_id]).fetchone()
        return row is not None and row[0] >= since

    def note_counted(self, session_ids: Iterable[str]) -> None:
        """Mark sessions that the run counts by the result of their fetch, not as unchanged."""
        with self._lock:
            self._database.executemany(
                "INSERT OR IGNORE INTO counted VALUES (?)",
                [[session_id] for session_id in session_ids],
            )

    def count_request(self, session_id: str) -> int:
        """Count a request for a check of an unchanged session; return the number so far for that session."""
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO asked VALUES (?, 0)", [session_id])
            self._database.execute(
                "UPDATE asked SET number = number + 1 WHERE id = ?", [session_id]
            )
            query = "SELECT number FROM asked WHERE id = ?"
            return int(self._database.execute(query, [session_id]).fetchone()[0])

    def is_counted(self, session_id: str) -> bool:
        """Return whether ``note_counted`` marked the session."""
        with self._lock:
            query = "SELECT 1 FROM counted WHERE id = ?"
            return self._database.execute(query, [session_id]).fetchone() is not None

    def record_check(self, check: CheckPayload, fetched_at: datetime, window: int = 0) -> Sighting:
        """Record a check from a list page, without its breakdown, with the number of its window."""
        row = [
            check.id,
            check.client_id,
            check.type,
            check.status,
            check.outcome,
            _text(check.created_at),
            _text(check.updated_at),
            _text(fetched_at),
            window,
            check.document_id,
            check.monitored,
            json.dumps(check.raw, separators=(",", ":")),
        ]
        marks = ",".join("?" * len(row))
        with self._lock:
            old = self._database.execute(
                "SELECT updated, window FROM checks WHERE id = ?", [check.id]
            ).fetchone()
            self._database.execute(f"INSERT OR REPLACE INTO checks VALUES ({marks})", row)  # noqa: S608
        return Sighting(old is None or old[0] != row[6], old and old[1])

    def check(self, check_id: str) -> tuple[CheckPayload, datetime] | None:
        """Return a check that was seen, and when the request that returned it began."""
        with self._lock:
            row = self._database.execute("SELECT * FROM checks WHERE id = ?", [check_id]).fetchone()
        return _sighting(row) if row else None

    def checks(self, size: int) -> Iterator[list[tuple[CheckPayload, datetime]]]:
        """Yield all checks that were seen, in lists of up to ``size``."""
        last = ""
        while True:
            with self._lock:
                rows = self._database.execute(
                    "SELECT * FROM checks WHERE id > ? ORDER BY id LIMIT ?", [last, size]
                ).fetchall()
            if not rows:
                return
            yield [_sighting(row) for row in rows]
            last = rows[-1][0]

    @contextmanager
    def client_lock(self, client_id: str) -> Iterator[bool]:
        """
        Let one thread at a time list the checks of a client; yield whether they have been listed already.

        The client counts as listed once the block ends without an error. A failed list is read again, and
        a thread that waited for the lock finds the checks in the index.
        """
        with self._turns[hash(client_id) % len(self._turns)]:
            with self._lock:
                query = "SELECT 1 FROM client WHERE id = ?"
                done = self._database.execute(query, [client_id]).fetchone() is not None
            yield done
            with self._lock:
                self._database.execute("INSERT OR IGNORE INTO client VALUES (?)", [client_id])

    def close(self) -> None:
        with self._lock:  # a thread that is not done yet gets an error, not a closed file
            self._database.close()


def _text(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat() if time else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _sighting(row: Sequence[Any]) -> tuple[CheckPayload, datetime]:
    check_id, client_id, check_type, status, outcome, created, updated, fetched, *details = row
    _reading, document_id, monitored, raw = details
    check = CheckPayload(
        id=check_id,
        client_id=client_id,
        type=check_type,
        status=status,
        outcome=outcome,
        created_at=_time(created),
        updated_at=_time(updated),
        result=None,
        document_id=document_id,
        monitored=None if monitored is None else bool(monitored),
        raw=json.loads(raw),
        is_listed=True,
    )
    return check, datetime.fromisoformat(fetched)
