"""
Reading a whole list of the API, page by page, without missing items.

The API pages by number over a list that changes during the read. A list is complete if the reader fetched
every page, the number of distinct ids reached ``totalItems`` and ``totalItems`` never fell; otherwise the
reader starts again. The API may also cap a list without counting the items that it cuts off. To detect
this, the reader requests the items created before the oldest one, and reads them as another window.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from complycube_sessions.api.client import time_filter
from complycube_sessions.api.http import Answer
from complycube_sessions.api.payloads import CheckPayload, ListPage, SessionSummary
from complycube_sessions.sync.seen import Sighting

logger = logging.getLogger("complycube_sessions.refresh")

MAX_READS: Final = 3
# A list that grows during the read does not double; the reader gives up on a list that does.
MORE_PAGES: Final = 100
MOST_PAGES: Final = 100_000
WATERMARK_MARGIN: Final = timedelta(minutes=5)
DATE_STEP: Final = timedelta(seconds=1)
SMALLEST_STEP: Final = timedelta(milliseconds=1)
# No stored time is older; subtracting a step from `datetime.min` would overflow.
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


@dataclass(slots=True)
class _Window:
    """Counts of what one window of a list has shown so far."""

    number: int
    before: datetime | None  # all items were created before this time
    pages: int = 0
    highest_total: int = 0
    is_steady: bool = True
    seen: int = 0
    new: int = 0  # the part of `seen` that no earlier window of this reading showed
    shows_later: bool = False

    @property
    def is_whole(self) -> bool:
        return self.is_steady and self.seen >= self.highest_total


@dataclass(slots=True)
class ListReader(Generic[Item]):
    """
    Reads one list to its end, and starts again if the list changed during the read.

    Args:
        read_page: Fetches one page.
        filters: The window, as the API's query parameters.
        note: Records an item in the index, with the number of its window.
        always_proven: Whether to request the items before the oldest one even if the list fits on one
            page. The API is not expected to cut a list within its first page.
    """

    read_page: PageReader[Item]
    filters: Mapping[str, str]
    note: Callable[[Item, datetime, int], Sighting]
    always_proven: bool = False
    complete: bool = False
    # The number of the first window of this reading; window numbers are unique within a run.
    reading: int = 0
    total_items: int = 0
    # When the first request began, by the vendor's clock or ours, whichever is earlier.
    began_at: datetime | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    _windows: int = 0
    _seen: int = 0
    _oldest: datetime | None = None
    # The number of pages after which the reader gave up, as every page promised more; 0 if it did not.
    given_up_after: int = 0

    def pages(self) -> Iterator[list[Item]]:
        """
        Yield the items of each page that are new to the run or have changed since an earlier reading.

        Raises:
            ComplyCubeError: A page could not be fetched; the items yielded before remain valid.
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

    def everything(self) -> ListReader[Item]:
        """Return a reader of the unfiltered list that continues with the same index."""
        return ListReader(self.read_page, {}, self.note, always_proven=True, _windows=self._windows)

    def watermark(self) -> datetime | None:
        """Return the time up to which the pages contain all changes, by the earlier of the two clocks."""
        return self.began_at and self.began_at - WATERMARK_MARGIN

    def _read(self) -> Generator[list[Item], None, str]:
        """Read windows until one shows nothing new; return why the list is incomplete, or ``""``."""
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
                # A window with fewer items than another one cannot have hit the API's cap.
                if is_end and (window.pages == 1 or window.highest_total < largest):
                    return ""
                if is_end and step == SMALLEST_STEP:
                    return CROWDED
                step = SMALLEST_STEP if is_end else DATE_STEP
            largest = max(largest, window.highest_total)
            # The next window includes the oldest item: other items may share its time, the API may compare
            # whole seconds, and only a window that shows the item proves that the filter works.
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
            # The first page is requested without this bound. If the API misreads the bound and the later
            # pages are empty, fewer items arrive than the first page promised, and the list is incomplete.
            filters.setdefault("createdBefore", time_filter(_bound(answer)))
            yield fresh
            if window.shows_later:
                return

    def _note_page(self, window: _Window, answer: Answer[ListPage[Item]]) -> list[Item]:
        """Record the items of a page and return those that are new to the run or have changed."""
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
            # `pages` may be missing; a page without items is the end in any case.
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
        Record when the first request began.

        Either clock may be wrong. The earlier time costs a longer list at worst; the later one could miss
        a change.
        """
        if self.began_at is None:
            by_vendor = answer.answered_at and answer.answered_at - answer.elapsed
            self.began_at = min(filter(None, [by_vendor, answer.began_at]))


def _bound(answer: Answer[ListPage[Item]]) -> datetime:
    """
    Return a bound after all items of the first page, so that items created later do not shift the pages.

    The bound is later than each of the items: if the clock is behind, the clock alone would exclude the
    newest ones, and the list would seem to have shrunk.
    """
    clock = answer.answered_at or answer.began_at + answer.elapsed
    created: list[datetime] = [i.created_at for i in answer.value.items if i.created_at]
    return max([clock + DATE_STEP, *(time + SMALLEST_STEP for time in created)])


def most_pages(first: ListPage[Any]) -> int:
    """Return after how many pages to give up: twice the number that the first page promised, plus a hundred."""
    promised = max(first.pages, -(-first.total_items // max(1, len(first.items))))
    return min(2 * promised + MORE_PAGES, MOST_PAGES)


def endless(subject: str, pages: int) -> str:
    """Return the error text for a list that did not end after this many pages."""
    return (
        f"The {subject} promised more on each of {pages} pages, far beyond what its first page told, so "
        "it was not read to its end."
    )


def window(
    since: datetime | None, newest_stored_at: datetime | None
) -> tuple[dict[str, str], datetime | None]:
    """
    Return the filter of a list and the beginning of its window.

    Args:
        since: The watermark or the requested time, or None for everything.
        newest_stored_at: The newest stored ``updatedAt`` that is not in the future. The window includes
            it, so a working filter must show that item. With None nothing can prove the filter, and no
            filter is used.
    """
    if since is None or newest_stored_at is None:
        return {}, None
    start = max(EARLIEST, min(since, newest_stored_at)) - SMALLEST_STEP
    return {"updatedAfter": time_filter(start)}, start
