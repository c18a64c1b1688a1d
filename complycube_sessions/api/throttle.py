"""
The request budget of one API key inside one process.

A *slot* is a moment at which one request may begin. Slots of one key are evenly spaced over all threads,
processes and machines: a ``SlotSource`` hands them out in blocks, and the throttle passes them on to its
threads. Only the thread that created the throttle (its owner) calls the source, because the source may use
that thread's database connection; the other threads ask the owner.

All waiting threads sleep until the same slot, and the first one that wakes takes it: on a busy machine it is
rare that all of them are late. If they are, the reserved slots are shifted by the delay, so that none is
lost. The slots after a block may belong to another process, so the last one of shifted slots stays unused
until the source has handed out the next one.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from complycube_sessions.exceptions import ComplyCubeBusyError

# Requests are spaced a little wider than the limit allows. Otherwise differences in network latency could
# push one more request into a second; 3.7 % of a second is 37 ms.
USE_OF_LIMIT: Final = 0.963
# A request that is later than this comes too close to the next one, unless the slots are shifted.
LATEST_START_SECONDS: Final = 0.01
# How far ahead slots are reserved, so that the owner may be busy storing a batch meanwhile.
SECONDS_AHEAD: Final = 1.0
# When to ask again if slots are reserved as far ahead as allowed.
ASK_AGAIN_SECONDS: Final = 1.0
# How long someone who waits for a page may have to wait for the requests of others.
PATIENCE_SECONDS: Final = 5.0


class SlotSource(Protocol):
    """Hands out the slots of a key."""

    def reserve(self, count: int, interval_seconds: float) -> float:
        """
        Reserve ``count`` slots and return the first one's time by ``time.monotonic()``.

        Raises:
            NoSlotYetError: Slots are reserved as far ahead as allowed; ask again later.
        """

    def postpone(self, seconds: float) -> None:
        """Delay all future reservations: no slot begins earlier than ``seconds`` from now."""

    def give_back(self, count: int, interval_seconds: float) -> None:
        """Release the last ``count`` slots of the latest reservation, unless others have reserved since."""


class LocalSlots:
    """Slots of a key that only this process uses."""

    def __init__(self) -> None:
        self._next = 0.0

    def reserve(self, count: int, interval_seconds: float) -> float:
        first = max(self._next, time.monotonic())
        self._next = first + count * interval_seconds
        return first

    def postpone(self, seconds: float) -> None:
        self._next = max(self._next, time.monotonic() + seconds)

    def give_back(self, count: int, interval_seconds: float) -> None:
        self._next -= count * interval_seconds


class Patience:
    """How long a page may wait for the budget, over all of its requests."""

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self.seconds_left = seconds

    def lasts(self, seconds: float) -> bool:
        """Return whether a wait is within the time that is left."""
        return seconds <= self.seconds_left

    def spend(self, seconds: float) -> None:
        """
        Count a wait.

        Raises:
            ComplyCubeBusyError: It is longer than the time that is left.
        """
        if not self.lasts(seconds):
            raise ComplyCubeBusyError(
                "The budget of requests is in use by others; nothing was asked for in time."
            )
        self.seconds_left -= seconds


class Throttle:
    """
    Makes each thread wait until its next request is within the budget.

    Args:
        requests_per_second: This key's share of the vendor's limit.
        source: Hands out the slots; ``LocalSlots`` by default.
        on_demand: Called from any thread that waits for slots, to wake the owner (see ``supply``).
        patience: How long to wait for the requests of others; no limit by default.
    """

    def __init__(
        self,
        requests_per_second: float,
        source: SlotSource | None = None,
        on_demand: Callable[[], None] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._interval = 1 / (requests_per_second * USE_OF_LIMIT)
        self.block = max(1, round(requests_per_second * SECONDS_AHEAD))
        self._source = source or LocalSlots()
        self.on_demand = on_demand
        self._owner = threading.get_ident()
        self._slots: deque[float] = deque()  # reserved slots, by their original times
        self._moved = 0.0  # by how much the reserved slots are shifted, up to one interval
        self._latest_block = 0.0  # the time of its first slot
        self._waiting = 0
        self._condition = threading.Condition()
        self._paused_until = 0.0
        self._unsent_pause = 0.0
        self._full_until = 0.0
        self._closed = False
        self.patience = patience or Patience(math.inf)

    def acquire(self) -> None:
        """
        Wait until the next request of this key may begin.

        Raises:
            ComplyCubeBusyError: That takes longer than the patience.
        """
        is_helper = threading.get_ident() != self._owner
        with self._condition:
            self._waiting += is_helper
        try:
            while (delay := self._take()) > 0:
                # The interval between this caller's own requests does not count as waiting for others.
                self.patience.spend(max(0.0, delay - self._interval))
                time.sleep(delay)
        finally:
            with self._condition:
                self._waiting -= is_helper

    def pause(self, seconds: float) -> None:
        """Start no request of this key for this long, in any thread and, soon after, in any process."""
        with self._condition:
            until = time.monotonic() + seconds
            self._paused_until = max(self._paused_until, until)
            self._unsent_pause = max(self._unsent_pause, until)
            self._slots.clear()
            self._moved = 0.0
        self._ask_owner()

    def supply(self, coming: int | None = None) -> None:
        """
        Reserve slots for the waiting threads; call it on the owner's thread only.

        Args:
            coming: How many further requests are sure to follow, as an unused slot is lost for all users of
                the key. At most about a second's worth is reserved; with None exactly that.
        """
        self._send_pause()
        with self._condition:
            needed = self.block if coming is None else min(self.block, self._waiting + coming)
            in_hand = self._in_hand()
            enough = in_hand >= self._waiting and in_hand > needed // 2
            count = 0 if enough else max(0, needed - in_hand)
        if not count or time.monotonic() < self._full_until:
            return
        try:
            first = self._source.reserve(count, self._interval)
        except NoSlotYetError:
            self._full_until = time.monotonic() + ASK_AGAIN_SECONDS
            return
        with self._condition:
            self._latest_block = first
            self._slots.extend(first + index * self._interval for index in range(count))
            self._condition.notify_all()

    def close(self) -> None:
        """Raise an error in all waiting threads, and release unused slots; call it on the owner's thread only."""
        with self._condition:
            self._closed = True
            # Another process may have a block between two of ours, so only the latest block can be released.
            unused = sum(slot >= self._latest_block for slot in self._slots)
            unused = max(0, unused - bool(self._moved))
            self._slots.clear()
            self._condition.notify_all()
        if unused:
            self._source.give_back(unused, self._interval)
        self._send_pause()

    def _send_pause(self) -> None:
        with self._condition:
            until, self._unsent_pause = self._unsent_pause, 0.0
        seconds = until - time.monotonic()
        if seconds > 0:
            self._source.postpone(seconds)

    def _take(self) -> float:
        """Take the next slot and return 0, or return the seconds until it begins."""
        with self._condition:
            if self._in_hand() <= self.block // 2:
                self._ask_owner()
            while True:
                if self._closed:
                    raise ThrottleClosedError
                self._drop_missed()
                if self._in_hand():
                    break
                if threading.get_ident() != self._owner:
                    self._ask_owner()
                    self._condition.wait(ASK_AGAIN_SECONDS)
                    continue
                self.supply(1)
                if not self._in_hand():
                    return max(0.01, self._full_until - time.monotonic())
            delay = self._slots[0] + self._moved - time.monotonic()
            if delay <= 0:
                self._slots.popleft()
            return delay

    def _in_hand(self) -> int:
        """Return how many reserved slots may be used; of shifted slots all but the last."""
        return max(0, len(self._slots) - bool(self._moved))

    def _drop_missed(self) -> None:
        """Shift the reserved slots if the first one was missed, and drop slots that no longer fit."""
        while self._slots:
            late = time.monotonic() - self._slots[0] - self._moved
            if late > LATEST_START_SECONDS:
                self._moved += late
            fits = self._moved < self._interval and not self._ends_moved()
            if fits and self._slots[0] >= self._paused_until:
                return
            self._drop_first()

    def _ends_moved(self) -> bool:
        """Return whether the first slot is shifted and slots of other processes may come next."""
        return bool(self._moved) and len(self._slots) > 1 and self._is_gap_after_first()

    def _is_gap_after_first(self) -> bool:
        return self._slots[1] - self._slots[0] > 1.5 * self._interval

    def _drop_first(self) -> None:
        ends = len(self._slots) == 1 or self._is_gap_after_first()
        self._slots.popleft()
        self._moved = 0.0 if ends else max(0.0, self._moved - self._interval)

    def _ask_owner(self) -> None:
        if self.on_demand and threading.get_ident() != self._owner:
            self.on_demand()


class NoSlotYetError(Exception):
    """Slots are reserved as far ahead as is allowed."""


class ThrottleClosedError(Exception):
    """The run that the thread works for has ended."""
