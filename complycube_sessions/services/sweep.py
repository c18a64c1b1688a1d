"""
Reading a whole list of the API, page by page, so that nothing is missed.

The API pages by number over a list that others change meanwhile. A sweep is complete when it read
every page, its distinct ids reached ``totalItems`` and ``totalItems`` never fell; else it reads again.
A list may also show no more than so many items and count no others. One more request, for what was
created before the oldest item, tells; what it finds is read as a further window of the list.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from complycube_sessions.api.client import Answer, time_filter
from complycube_sessions.api.payloads import CheckPayload, ListPage, SessionSummary

logger = logging.getLogger("complycube_sessions.refresh")

MAX_READS: Final = 3
# Of the ledger's pages in memory; the rest is in its file, and that in the system's cache.
CACHE_KIB: Final = 512
LOCKS: Final = 64  # a lock for each of a million clients would not fit in memory
# A list that grows while it is read does not double; more pages than that are no list.
MORE_PAGES: Final = 100
MOST_PAGES: Final = 100_000
WATERMARK_MARGIN: Final = timedelta(minutes=5)
DATE_STEP: Final = timedelta(seconds=1)
SMALLEST_STEP: Final = timedelta(milliseconds=1)
# No time that is stored is older, and the first one that exists has none before it.
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)

MOVED: Final = "It changed while it was read, three times; the next run reads it again."
UNPROVEN: Final = (
    "Asked for what was created before its oldest item, it does not even show that one, so nothing "
    "proves that it is whole. The next run looks again."
)
UNDATED: Final = "It shows no time of creation, so nothing proves that it is whole."
CROWDED: Final = (
    "More items than a page holds have the time of creation of its oldest ones, so nothing proves that "
    "it is whole."
)

Item = TypeVar("Item", SessionSummary, CheckPayload)
PageReader = Callable[[int, Mapping[str, str]], Answer[ListPage[Item]]]


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    What the ledger knew of an item when a page showed it.

    ``is_fresh`` is true where the item is new to the run or has moved since; ``window`` is the number of
    the window that showed it last, or None.
    """

    is_fresh: bool
    window: int | None


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

    def note_session(self, item: SessionSummary, window: int) -> Sighting:
        """Note a session of a page under the number of its window."""
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
        """Return whether a session was on a page of that window or of a later one."""
        with self._lock:
            query = "SELECT window FROM session WHERE id = ?"
            row = self._database.execute(query, [session_id]).fetchone()
        return row is not None and row[0] >= since

    def note_counted(self, session_ids: Iterable[str]) -> None:
        """Note sessions that the run counts by what becomes of them, not as unchanged."""
        with self._lock:
            self._database.executemany(
                "INSERT OR IGNORE INTO counted VALUES (?)", [[one] for one in session_ids]
            )

    def count_request(self, session_id: str) -> int:
        """Count a request for one of the checks of a session that did not move; return how many there are."""
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO asked VALUES (?, 0)", [session_id])
            self._database.execute(
                "UPDATE asked SET number = number + 1 WHERE id = ?", [session_id]
            )
            query = "SELECT number FROM asked WHERE id = ?"
            return int(self._database.execute(query, [session_id]).fetchone()[0])

    def is_counted(self, session_id: str) -> bool:
        """Return whether a session was noted so."""
        with self._lock:
            query = "SELECT 1 FROM counted WHERE id = ?"
            return self._database.execute(query, [session_id]).fetchone() is not None

    def note_check(self, check: CheckPayload, fetched_at: datetime, window: int = 0) -> Sighting:
        """Note a check of a page, without its breakdown, under the number of its window."""
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


@dataclass(slots=True)
class _Window:
    """What one window of a list has shown so far."""

    number: int
    before: datetime | None  # all items were created before this time
    pages: int = 0
    highest_total: int = 0
    is_steady: bool = True
    seen: int = 0
    new: int = 0  # of these, new to the reading
    shows_later: bool = False

    @property
    def is_whole(self) -> bool:
        return self.is_steady and self.seen >= self.highest_total


@dataclass(slots=True)
class Sweep(Generic[Item]):
    """
    One list, read to its end and again where it moved under the reader.

    Args:
        read_page: Fetches one page.
        filters: The window, in the API's own parameters.
        note: Puts an item into the ledger under the number of a window.
        always_proven: Whether to ask for what lies beyond the oldest item also where all came on one
            page, which is no place to cut a list at.
    """

    read_page: PageReader[Item]
    filters: Mapping[str, str]
    note: Callable[[Item, datetime, int], Sighting]
    always_proven: bool = False
    complete: bool = False
    # The number of the first window of the reading; each window of the run has its own.
    reading: int = 0
    total_items: int = 0
    # When the listing began, by the earlier one of the vendor's clock and ours.
    began_at: datetime | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    _windows: int = 0
    _seen: int = 0
    _oldest: datetime | None = None
    # After how many pages it was given up, as more were promised on each; 0 where it has an end.
    given_up_after: int = 0

    def pages(self) -> Iterator[list[Item]]:
        """
        Yield the items of each page that are new to the run or moved since an earlier reading.

        Raises:
            ComplyCubeError: A page could not be fetched; what was yielded before stays valid.
        """
        for _ in range(MAX_READS):
            self.reading = self._windows + 1
            self.unreadable.clear()
            self._seen = 0
            self._oldest = None
            self.fault = yield from self._read()
            if self.given_up_after:
                return
            if not self.fault:
                self.complete = True
                return

    def everything(self) -> Sweep[Item]:
        """Return a sweep of the whole list in place of this one, by the same ledger."""
        return Sweep(self.read_page, {}, self.note, always_proven=True, _windows=self._windows)

    def watermark(self) -> datetime | None:
        """Return up to when all changes were on the pages, by whichever clock is the earlier."""
        return self.began_at and self.began_at - WATERMARK_MARGIN

    def _read(self) -> Generator[list[Item], None, str]:
        """Read window after window until one shows nothing new; return why it is not whole, or ``""``."""
        step, before, oldest = DATE_STEP, None, None
        largest = 0
        while True:
            window = _Window(self._windows + 1, before)
            self._windows += 1
            yield from self._read_window(window)
            if window.shows_later:
                logger.warning("The API overlooks createdBefore, so no list can be proven whole.")
                return ""
            if self.given_up_after or not window.is_whole:
                return MOVED
            if before is None and (not window.seen or not (self.always_proven or window.pages > 1)):
                return ""
            if self._oldest is None:
                return UNDATED if window.pages > 1 else ""
            if before is not None:
                if window.seen == window.new:
                    return UNPROVEN
                is_end = not window.new or self._oldest == oldest
                # What counts fewer items than another window did was not cut short.
                if is_end and (window.pages == 1 or window.highest_total < largest):
                    return ""
                if is_end and step == SMALLEST_STEP:
                    return CROWDED
                step = SMALLEST_STEP if is_end else DATE_STEP
            largest = max(largest, window.highest_total)
            # The window begins with the oldest item itself: others may have its time, an API may compare
            # whole seconds, and an answer without that item proves nothing.
            oldest = self._oldest
            before = oldest + step

    def _read_window(self, window: _Window) -> Iterator[list[Item]]:
        filters = dict(self.filters)
        if window.before is not None:
            filters["createdBefore"] = time_filter(window.before)
        for answer in self._reading(filters):
            page = answer.value
            window.pages += 1
            window.is_steady &= page.total_items >= window.highest_total
            window.highest_total = max(window.highest_total, page.total_items)
            self._learn_clock(answer)
            fresh = self._note_page(window, answer)
            self.total_items = self._seen - window.seen + max(page.total_items, window.seen)
            # The first page of a list comes without this bound: a list that is empty under a bound
            # that the API does not understand is shorter than it, and so never complete.
            filters.setdefault("createdBefore", time_filter(_bound(answer)))
            yield fresh
            if window.shows_later:
                return

    def _note_page(self, window: _Window, answer: Answer[ListPage[Item]]) -> list[Item]:
        """Note the items of a page and return those that are new to the run or moved."""
        page = answer.value
        new_names = page.unreadable.keys() - self.unreadable.keys()
        self.unreadable |= page.unreadable
        window.seen += len(page.unreadable)
        new, fresh = len(new_names), []
        for item in page.items:
            seen = self.note(item, answer.began_at, window.number)
            window.seen += seen.window != window.number
            new += seen.window is None or seen.window < self.reading
            if seen.is_fresh:
                fresh.append(item)
        window.new += new
        self._seen += new
        created: list[datetime] = [item.created_at for item in page.items if item.created_at]
        self._oldest = min([*created, *filter(None, [self._oldest])], default=None)
        window.shows_later = window.before is not None and any(t >= window.before for t in created)
        return fresh

    def _reading(self, filters: Mapping[str, str]) -> Iterator[Answer[ListPage[Item]]]:
        number, most = 1, 0
        while True:
            answer = self.read_page(number, filters)
            yield answer
            page = answer.value
            most = most or most_pages(page)
            # `pages` may be missing; a page without items is the end whatever it says.
            if not (page.items or page.unreadable) or (page.pages and number >= page.pages):
                return
            if not page.pages and number * len(page.items) >= page.total_items:
                return
            if number >= most:
                self.given_up_after = most
                return
            number += 1

    def _learn_clock(self, answer: Answer[ListPage[Item]]) -> None:
        """
        Note when the first request began.

        A ``Date`` that is ahead of the clock here may be as wrong as one that is behind; the earlier
        one costs a longer list at worst, the later one a change.
        """
        if self.began_at is None:
            by_vendor = answer.answered_at and answer.answered_at - answer.elapsed
            self.began_at = min(filter(None, [by_vendor, answer.began_at]))


def _bound(answer: Answer[ListPage[Item]]) -> datetime:
    """
    Return a time before which all items of a first page were created, so that later ones push none away.

    Whose clock is behind would leave out the newest ones, and the list would seem to have shrunk.
    """
    clock = answer.answered_at or answer.began_at + answer.elapsed
    created: list[datetime] = [i.created_at for i in answer.value.items if i.created_at]
    return max([clock + DATE_STEP, *(time + SMALLEST_STEP for time in created)])


def most_pages(first: ListPage[Any]) -> int:
    """Return after how many pages a list has no end: twice what its first page promised and a hundred, at most."""
    promised = max(first.pages, -(-first.total_items // max(1, len(first.items))))
    return min(2 * promised + MORE_PAGES, MOST_PAGES)


def endless(subject: str, pages: int) -> str:
    """Return the named reason of a list that went on after so many pages."""
    return (
        f"The {subject} promised more on each of {pages} pages, far beyond what its first page told, so "
        "it was not read to its end."
    )


def window(
    since: datetime | None, newest_stored_at: datetime | None
) -> tuple[dict[str, str], datetime | None]:
    """
    Return the filter of a sweep and its beginning.

    Args:
        since: The watermark or the time asked for, or None for everything.
        newest_stored_at: The newest ``updatedAt`` of the copy that is not in the future: the window
            reaches back over it, so that a filter that works must show that one. None: nothing could
            prove the filter.
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
