"""The request budget of an API key, shared through the project's database."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils.crypto import salted_hmac

from complycube_sessions.api.retries import LONGEST_BACKOFF_SECONDS
from complycube_sessions.api.throttle import SECONDS_AHEAD, NoSlotYetError, Patience, Throttle
from complycube_sessions.conf import Account
from complycube_sessions.db import clocks
from complycube_sessions.db.connections import budget_alias, database_now, retry_transient
from complycube_sessions.models import RequestBudget

# No slot is reserved further ahead than the longest pause, so no caller waits longer than that for its slot.
FARTHEST: Final = timedelta(seconds=LONGEST_BACKOFF_SECONDS)
# Tolerance: a block is a little longer than the time it is meant for, and the database's clock may be corrected.
BLOCK_ROOM: Final = timedelta(seconds=2 * SECONDS_AHEAD)
ROOM: Final = timedelta(seconds=0.5)
# How long reading the database's clock may take. The start of a block is uncertain by this time.
NEAR_SECONDS: Final = 0.004
READINGS: Final = 5


class DatabaseSlots:
    """
    Request slots of one API key, kept in a database row (a ``SlotSource``).

    The row holds the time of the next free slot by the database's clock. A reservation moves it forward by a
    block and returns how far from now the block begins, so the clocks of the machines may differ.
    """

    def __init__(self, api_key: str) -> None:
        self.digest = salted_hmac(
            "complycube_sessions.budget", api_key, algorithm="sha256"
        ).hexdigest()
        del api_key  # an error page would show it, should the router below fail
        self._alias = budget_alias()
        self._end: datetime | None = None
        self._interval = timedelta()

    def reserve(self, count: int, interval_seconds: float) -> float:
        self._interval = timedelta(seconds=interval_seconds)
        return self._advance(count * self._interval, timedelta())

    def postpone(self, seconds: float) -> None:
        self._advance(timedelta(), timedelta(seconds=seconds))

    def give_back(self, count: int, interval_seconds: float) -> None:
        if self._end is None:
            return
        rows = RequestBudget.objects.using(self._alias)
        free_from = self._end - timedelta(seconds=count * interval_seconds)
        retry_transient(
            lambda: rows.filter(pk=self.digest, next_slot_at=self._end).update(
                next_slot_at=free_from
            ),
            alias=self._alias,
        )

    def _advance(self, length: timedelta, delay: timedelta) -> float:
        reset_from: list[timedelta] = []

        def move() -> tuple[datetime, datetime, float]:
            reset_from.clear()
            with transaction.atomic(using=self._alias):
                # The write comes first: it locks the row, on SQLite the whole file.
                self._lock()
                row = RequestBudget.objects.using(self._alias).get(pk=self.digest)
                now, here = _both_clocks(self._alias)
                taken_until = row.next_slot_at or now
                if is_too_far(taken_until - now, self._interval):
                    reset_from.append(taken_until - now)
                    taken_until = now
                elif length and taken_until > now + FARTHEST:
                    raise NoSlotYetError
                first = max(taken_until, now + delay)
                RequestBudget.objects.using(self._alias).filter(pk=self.digest).update(
                    next_slot_at=first + length
                )
            return first, now, here

        first, now, here = retry_transient(move, alias=self._alias)
        if reset_from:
            ahead = round(reset_from[0].total_seconds())
            clocks.tell_reset(f"the next free request of a key lay {ahead} s ahead")
        self._end = first + length
        return here + (first - now) / timedelta(seconds=1)

    def _lock(self) -> None:
        rows = RequestBudget.objects.using(self._alias)
        if not rows.filter(pk=self.digest).update(reservations=F("reservations") + 1):
            rows.bulk_create([RequestBudget(pk=self.digest)], ignore_conflicts=True)
            rows.filter(pk=self.digest).update(reservations=F("reservations") + 1)


def _both_clocks(alias: str) -> tuple[datetime, float]:
    """Return one moment by the database's clock and by ``time.monotonic()``, from the fastest of some readings."""
    readings: list[tuple[float, datetime, float]] = []
    while len(readings) < READINGS and not (readings and readings[-1][0] <= NEAR_SECONDS):
        before = time.monotonic()
        now = database_now(alias)
        after = time.monotonic()
        readings.append((after - before, now, (before + after) / 2))
    _, now, here = min(readings)
    return now, here


def is_too_far(ahead: timedelta, interval: timedelta) -> bool:
    """Return whether the next free slot lies further ahead than any reservation can have moved it."""
    return ahead > FARTHEST + max(BLOCK_ROOM, interval)


def shared_throttle(account: Account, patience: Patience | None = None) -> Throttle:
    """Return a throttle for this thread's run; all users of the key share its slots."""
    slots = DatabaseSlots(account.api_key)
    return Throttle(account.requests_per_second, slots, patience=patience)


def has_room(account: Account) -> bool:
    """Return whether the key's next slots are free, so that a request need not wait."""
    return budget_waits([account])[account.name] <= ROOM


def budget_waits(accounts: Sequence[Account]) -> dict[str, timedelta]:
    """Return for each account how long a request sent now would wait for its key's budget."""
    alias = budget_alias()
    digests = {account.name: DatabaseSlots(account.api_key).digest for account in accounts}
    rows = RequestBudget.objects.using(alias).filter(pk__in=set(digests.values()))
    slots = dict(rows.values_list("pk", "next_slot_at"))
    now = database_now(alias)
    waits = {}
    for account in accounts:
        ahead = (slots.get(digests[account.name]) or now) - now
        interval = timedelta(seconds=1 / account.requests_per_second)
        # The next reservation resets a slot that lies too far ahead.
        is_free = ahead < timedelta() or is_too_far(ahead, interval)
        waits[account.name] = timedelta() if is_free else ahead
    return waits
