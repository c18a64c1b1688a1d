"""
Reading a whole list of the API, page by page, so that nothing is missed.

The API pages by number over a list that others change meanwhile. A sweep is complete when it read
every page, its distinct ids reached ``totalItems`` and ``totalItems`` never fell; else it reads again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from complycube_sessions.api.client import Answer, time_filter
from complycube_sessions.api.payloads import CheckPayload, ListPage, SessionSummary

MAX_READS: Final = 3
# Of the ledger's pages in memory; the rest is in its file, and that in the system's cache.
CACHE_KIB: Final = 512
LOCKS: Final = 64  # a lock for each of a million clients would not fit in memory
WATERMARK_MARGIN: Final = timedelta(minutes=5)
DATE_STEP: Final = timedelta(seconds=1)
SMALLEST_STEP: Final = timedelta(milliseconds=1)
# No time that is stored is older, and the first one that exists has none before it.
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)

Item = TypeVar("Item", SessionSummary, CheckPayload)
PageReader = Callable[[int, Mapping[str, str]], Answer[ListPage[Item]]]


class Ledger:
    """
    What a run has seen, in a temporary file that SQLite keeps and removes by itself.

    A million ids in memory would cost a hundred megabytes; here they cost a few. Threads may share it.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(LOCKS)]
        self._database.executescript(
            f"""
            PRAGMA journal_mode = OFF;
            PRAGMA cache_size = -{CACHE_KIB};
            CREATE TABLE session (id TEXT PRIMARY KEY, updated TEXT, reading INTEGER) WITHOUT ROWID;
            CREATE TABLE checks (
                id TEXT PRIMARY KEY, client TEXT, type TEXT, status TEXT, outcome TEXT,
                created TEXT, updated TEXT, fetched TEXT, reading INTEGER,
                document TEXT, monitored INTEGER, raw TEXT
            ) WITHOUT ROWID;
            CREATE TABLE client (id TEXT PRIMARY KEY) WITHOUT ROWID;
            BEGIN;
            """
        )

    def note_session(self, item: SessionSummary, reading: int) -> bool:
        """Note a session of a page; return whether it is new to the run or has moved since."""
        updated = _text(item.updated_at)
        with self._lock:
            old = self._database.execute(
                "SELECT updated FROM session WHERE id = ?", [item.id]
            ).fetchone()
            self._database.execute(
                "INSERT OR REPLACE INTO session VALUES (?, ?, ?)", [item.id, updated, reading]
            )
        return old is None or old[0] != updated

    def count_sessions(self, reading: int | None = None) -> int:
        """Return how many distinct sessions were seen, in one reading or at all."""
        return self._count("session", reading)

    def has_session(self, session_id: str, reading: int | None = None) -> bool:
        """Return whether a session was on a page of that reading, or of any."""
        with self._lock:
            query = "SELECT reading FROM session WHERE id = ?"
            row = self._database.execute(query, [session_id]).fetchone()
        return row is not None and reading in {None, row[0]}

    def note_check(self, check: CheckPayload, fetched_at: datetime, reading: int) -> None:
        """Note a check of a page, without its breakdown."""
        row = [
            check.id,
            check.client_id,
            check.type,
            check.status,
            check.outcome,
            _text(check.created_at),
            _text(check.updated_at),
            _text(fetched_at),
            reading,
            check.document_id,
            check.monitored,
            json.dumps(check.raw, separators=(",", ":")),
        ]
        marks = ",".join("?" * len(row))
        with self._lock:
            self._database.execute(f"INSERT OR REPLACE INTO checks VALUES ({marks})", row)  # noqa: S608

    def count_checks(self, reading: int | None = None) -> int:
        """Return how many distinct checks were seen, in one reading or at all."""
        return self._count("checks", reading)

    def check(self, check_id: str) -> tuple[CheckPayload, datetime] | None:
        """Return a check that was seen, and when the request began that brought it."""
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
    def turn_of_client(self, client_id: str) -> Iterator[bool]:
        """
        Let one thread at a time list the checks of a client; tell it whether that was done.

        It counts as done when the block ends without an error, so that a list that failed is read
        again, and a thread that waited finds its checks.
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

    def _count(self, table: str, reading: int | None) -> int:
        where = "" if reading is None else f" WHERE reading = {reading:d}"
        with self._lock:
            query = f"SELECT COUNT(*) FROM {table}{where}"  # noqa: S608 - our own names
            return int(self._database.execute(query).fetchone()[0])


@dataclass(slots=True)
class Sweep(Generic[Item]):
    """
    One list, read to its end and again where it moved under the reader.

    Args:
        read_page: Fetches one page.
        filters: The window, in the API's own parameters.
        note: Puts an item into the ledger under the number of the reading.
        count: Returns how many distinct items of a reading the ledger holds.
    """

    read_page: PageReader[Item]
    filters: Mapping[str, str]
    note: Callable[[Item, datetime, int], bool]
    count: Callable[[int], int]
    complete: bool = False
    reading: int = 0
    total_items: int = 0
    # When the listing began, by the vendor's clock; else the newest time that it showed.
    vendor_began_at: datetime | None = None
    newest_listed_at: datetime | None = None
    unreadable: dict[str, str] = field(default_factory=dict)

    def pages(self) -> Iterator[list[Item]]:
        """
        Yield the items of each page that are new to the run or moved since an earlier reading.

        Raises:
            ComplyCubeError: A page could not be fetched; what was yielded before stays valid.
        """
        for reading in range(MAX_READS):
            # Each first page comes without the bound of the others: a list that is empty under a
            # bound that the API does not understand is shorter than it, and so never complete.
            filters = dict(self.filters)
            self.reading = reading
            steady = True
            highest = 0
            self.unreadable.clear()
            for answer in self._reading(filters):
                page = answer.value
                self._learn_clock(answer, filters)
                steady &= page.total_items >= highest
                highest = max(highest, page.total_items)
                self.total_items = page.total_items
                self.unreadable |= page.unreadable
                self._learn_newest(page)
                fresh = [i for i in page.items if self.note(i, answer.began_at, reading)]
                yield fresh
            seen = self.count(reading) + len(self.unreadable)
            if steady and seen >= highest:
                self.complete = True
                return

    def watermark(self) -> datetime | None:
        """Return up to when, in the vendor's clock, all changes were on the pages."""
        began = self.vendor_began_at or self.newest_listed_at
        return began and began - WATERMARK_MARGIN

    def _reading(self, filters: Mapping[str, str]) -> Iterator[Answer[ListPage[Item]]]:
        number = 1
        while True:
            answer = self.read_page(number, filters)
            yield answer
            page = answer.value
            # `pages` may be missing; a page without items is the end whatever it says.
            if not (page.items or page.unreadable) or (page.pages and number >= page.pages):
                return
            if not page.pages and number * len(page.items) >= page.total_items:
                return
            number += 1

    def _learn_clock(self, answer: Answer[ListPage[Item]], filters: dict[str, str]) -> None:
        """Bound the rest of a reading by the vendor's clock of its first page, never by ours."""
        if answer.answered_at is not None:
            self.vendor_began_at = self.vendor_began_at or answer.answered_at - answer.elapsed
            filters.setdefault("createdBefore", time_filter(answer.answered_at + DATE_STEP))

    def _learn_newest(self, page: ListPage[Item]) -> None:
        for item in page.items:
            if item.updated_at:
                newest = self.newest_listed_at or item.updated_at
                self.newest_listed_at = max(newest, item.updated_at)


def window(
    since: datetime | None, newest_stored_at: datetime | None
) -> tuple[dict[str, str], datetime | None]:
    """
    Return the filter of a sweep and its beginning.

    Args:
        since: The watermark or the time asked for, or None for everything.
        newest_stored_at: The newest ``updatedAt`` of the copy: the window reaches back over it, so
            that a filter that works must show that one. None: nothing could prove the filter.
    """
    if since is None or newest_stored_at is None:
        return {}, None
    start = max(EARLIEST, min(since, newest_stored_at)) - SMALLEST_STEP
    return {"updatedAfter": time_filter(start)}, start


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
