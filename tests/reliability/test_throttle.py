from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from complycube_sessions.api import throttle as throttle_module
from complycube_sessions.api.throttle import LocalSlots, Throttle
from complycube_sessions.conf import get_account
from complycube_sessions.db.connections import database_now
from complycube_sessions.models import RequestBudget
from complycube_sessions.sync import request_budget
from complycube_sessions.sync.request_budget import DatabaseSlots, shared_throttle
from complycube_sessions.sync.workers import WorkerPool
from tests.examples import parameters
from tests.fake_api import FakeAPI, served
from tests.reliability.conftest import OpenDatabase
from tests.reliability.support import configure, refresh

KEY = "test_one-key"
LIMIT = 20
NOISE_SECONDS = 0.2


class Slots:
    """A source that hands out slots from now on and notes what it is told."""

    def __init__(self) -> None:
        self.next = time.monotonic()
        self.given_back = 0
        self.postponed: list[float] = []

    def reserve(self, count: int, interval_seconds: float) -> float:
        first = self.next
        self.next += count * interval_seconds
        return first

    def postpone(self, seconds: float) -> None:
        self.postponed.append(seconds)
        self.next = max(self.next, time.monotonic() + seconds)

    def give_back(self, count: int, interval_seconds: float) -> None:
        self.given_back += count


def most_in_a_second(moments: list[float], *, noise_seconds: float = 0.0) -> int:
    """
    Return the largest number of requests in any one second, however it is laid.

    Args:
        moments: When each began or arrived.
        noise_seconds: How much later than it was sent an arrival may be noted, where processes of the
            test itself compete for the processor.
    """
    length = 1 - noise_seconds
    return max(sum(start <= other < start + length for other in moments) for start in moments)


def run_all(pump: WorkerPool, jobs: int, work: Callable[[int], object]) -> None:
    for done in pump.each((i, lambda i=i: work(i)) for i in range(jobs)):  # type: ignore[misc]  # mypy sees no default
        done.future.result()


def test_throttle__gives_back_only_its_latest_block(clock: Clock) -> None:
    """Slots of an earlier reservation are not given back: what follows them may be others'."""
    source = SharedSlots(clock)
    throttle = Throttle(10, source)
    throttle.supply(10)
    for _ in range(7):
        throttle.acquire()
    throttle.supply(10)

    throttle.close()

    assert source.given_back == 7


class Clock:
    """A clock that stands still until it is moved, in place of the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle_module, "time", clock)
    return clock


class SharedSlots(Slots):
    """Slots of several processes, by a clock that is moved by hand."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.next = clock, clock.now

    def reserve(self, count: int, interval_seconds: float) -> float:
        self.next = max(self.next, self.clock.now)
        return super().reserve(count, interval_seconds)


@pytest.mark.parametrize("limit", parameters([1, 4, 8, 10, 20], quick={4, 20}))
@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("share_late", [0.05, 0.5])
def test_throttle__late_starts_stay_within_the_limit(
    clock: Clock, limit: int, processes: int, share_late: float
) -> None:
    """However late processes wake, all of them together never start more than the limit in a second."""
    rng = random.Random(limit * processes)
    source = SharedSlots(clock)
    throttles = [Throttle(limit, source) for _ in range(processes)]
    waking = [(clock.now, number) for number in range(processes)]
    begun: list[float] = []
    while len(begun) < 600:
        clock.now, number = heapq.heappop(waking)
        throttles[number].supply(rng.choice([1, 3, limit]))
        delay = throttles[number]._take()
        if delay <= 0:
            begun.append(clock.now)
        late = rng.uniform(0, 0.3) if rng.random() < share_late else rng.uniform(0, 0.012)
        heapq.heappush(waking, (clock.now + max(0.0, delay) + late, number))

    assert most_in_a_second(begun) <= limit


def test_throttle__late_slots_move_on(clock: Clock) -> None:
    """Being late costs so much time, not a slot."""
    throttle = Throttle(10, SharedSlots(clock))
    begun: list[float] = []
    began = clock.now
    for number in range(100):
        throttle.supply(10)
        throttle.acquire()
        begun.append(clock.now)
        if number % 10 == 0:
            clock.now += 0.03 + 1 / 9.63

    spent = clock.now - began
    assert spent == pytest.approx(99 / 9.63 + 10 * 0.03, abs=0.02)
    assert most_in_a_second(begun) <= 10


def test_throttle__first_to_wake_takes_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that the system lets sleep too long holds no slot back from the others."""
    monkeypatch.setattr(throttle_module, "LATEST_START_SECONDS", 10.0)
    throttle = Throttle(10, LocalSlots())
    throttle.supply(2)
    throttle.acquire()
    asleep, wake = threading.Event(), threading.Event()
    sleep = time.sleep

    def oversleep(seconds: float) -> None:
        if threading.current_thread() is late:
            asleep.set()
            wake.wait(10)
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", oversleep)
    late = threading.Thread(target=throttle.acquire)
    late.start()
    assert asleep.wait(10)

    throttle.acquire()  # with the slot that the other one sleeps for

    wake.set()
    late.join(0.1)
    assert late.is_alive()  # no slot is left
    throttle.supply(1)
    late.join(10)
    assert not late.is_alive()


@pytest.mark.django_db
def test_budget__unused_slots_of_two_blocks() -> None:
    """A run that ends gives no slot free that another process has reserved in between."""
    one, other = DatabaseSlots(KEY), DatabaseSlots(KEY)
    throttle = Throttle(100, one)
    throttle.supply(10)
    for _ in range(6):
        throttle.acquire()
    began = other.reserve(50, 0.1)
    throttle.supply(10)

    throttle.close()

    assert other.reserve(1, 0.1) >= began + 50 * 0.1 - 0.001


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 4, 8, 10, 20, 97])
def test_budget__slots_of_many_processes(limit: int) -> None:
    """Slots of processes that take turns, end and begin again never exceed the limit in any second."""
    rng = random.Random(limit)
    used: list[float] = []
    for _ in range(6):
        throttles = [Throttle(limit, DatabaseSlots(KEY)) for _ in range(3)]
        for _ in range(12):
            throttle = rng.choice(throttles)
            throttle.supply(rng.choice([limit, 1, 3]))
            used += [throttle._slots.popleft() for _ in range(rng.randint(0, len(throttle._slots)))]
        rng.shuffle(throttles)
        for throttle in throttles:
            throttle.close()

    assert len(used) > 10
    assert most_in_a_second(used) <= limit


@pytest.mark.django_db
def test_budget__clock_that_is_read_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is held up while it reads the database's clock reads it again: its block is in time."""
    slots = DatabaseSlots(KEY)
    end = slots.reserve(1, 5.0) + 5
    readings: list[float] = []

    def held_up(alias: str) -> datetime:
        now = database_now(alias)
        readings.append(0.3 if not readings else 0.0)
        time.sleep(readings[-1])
        return now

    monkeypatch.setattr(request_budget, "database_now", held_up)

    first = slots.reserve(1, 5.0)

    assert len(readings) > 1
    assert first == pytest.approx(end, abs=0.05)


@pytest.mark.django_db
def test_budget__unused_slots_are_given_back() -> None:
    """What a run did not use is free for the next one at once."""
    throttle = Throttle(2, DatabaseSlots(KEY))
    throttle.supply(100)

    throttle.close()

    assert DatabaseSlots(KEY).reserve(1, 0.5) < time.monotonic() + 0.5


@pytest.mark.django_db
def test_budget__others_reserved_since() -> None:
    """Slots before those of another process stay reserved: a gap costs time, never the limit."""
    one, other = DatabaseSlots(KEY), DatabaseSlots(KEY)
    first = one.reserve(10, 0.1)
    second = other.reserve(10, 0.1)

    one.give_back(10, 0.1)

    assert second == pytest.approx(first + 1, abs=0.05)
    assert other.reserve(1, 0.1) == pytest.approx(first + 2, abs=0.05)


@pytest.mark.django_db
def test_budget__key_is_hashed() -> None:
    """The row of the budget does not tell the key; two keys have two budgets."""
    first = DatabaseSlots(KEY).reserve(100, 1)
    other = DatabaseSlots("test_other-key").reserve(1, 1)

    assert other < first + 50
    assert not any(KEY in str(row) for row in RequestBudget.objects.values_list())
    assert RequestBudget.objects.count() == 2


@pytest.mark.django_db
def test_budget__pause_reaches_other_processes() -> None:
    """A pause moves all slots that anyone reserves from then on."""
    one, other = DatabaseSlots(KEY), DatabaseSlots(KEY)
    throttle = Throttle(10, one)
    throttle.supply(10)

    throttle.pause(30)
    throttle.supply(10)

    assert other.reserve(1, 0.1) > time.monotonic() + 29


@pytest.mark.django_db
def test_budget__pause_is_told_even_at_the_end() -> None:
    """A run that ends with a pause still tells it to the others."""
    throttle = Throttle(10, DatabaseSlots(KEY))
    throttle.supply(10)

    throttle.pause(30)
    throttle.close()

    assert DatabaseSlots(KEY).reserve(1, 0.1) > time.monotonic() + 29


def test_throttle__pause_holds_all_threads() -> None:
    """No thread that waits, or comes later, begins before a pause has passed."""
    throttle = Throttle(200, LocalSlots())
    woken = threading.Event()
    throttle.on_demand = woken.set
    throttle.supply(10)
    throttle.pause(0.4)
    until = time.monotonic() + 0.4
    begun: list[float] = []

    def work() -> None:
        throttle.acquire()
        begun.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        woken.wait(0.05)
        throttle.supply(10)

    assert len(begun) == 5
    assert min(begun) >= until - 0.001


def test_throttle__threads_of_one_process(settings: Any, real_requests: None) -> None:
    """Many threads never exceed the limit in any one second, as the server counts it."""
    api = FakeAPI()
    session_id = api.add_session(1)
    api.latency_seconds = 0.05
    with served(api) as url:
        configure(settings, BASE_URL=url, REQUESTS_PER_SECOND=LIMIT)
        throttle = Throttle(LIMIT)
        pump = WorkerPool(get_account(), throttle, lambda: None)
        run_all(pump, 60, lambda i: pump.client.get_session(session_id))
        pump.close()

    assert most_in_a_second(api.arrivals, noise_seconds=NOISE_SECONDS) <= LIMIT
    assert len(api.arrivals) == 60


@pytest.mark.databases
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_budget__processes_share_a_key(open_database: OpenDatabase, kind: str) -> None:
    """Four processes with one key stay within its limit together, as the server counts it."""
    api = FakeAPI()
    ids = [api.add_session(number, checks=0) for number in range(80)]
    api.latency_seconds = 0.05
    database = open_database(kind)
    with served(api) as url:
        runs = [
            database.refresh(url, *ids[part * 20 : part * 20 + 20], rate=LIMIT) for part in range(4)
        ]
        for run in runs:
            _, err = run.communicate(timeout=60)
            assert (run.returncode, err) == (0, "")

    assert len(api.requests) == 80
    assert most_in_a_second(api.arrivals, noise_seconds=NOISE_SECONDS) <= LIMIT


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "least", "most"), [("7", 7, 7.2), ("3600", 60, 60.2), ("0", 0, 0.2)]
)
def test_retry_after__honoured_and_capped(
    settings: Any,
    api: FakeAPI,
    monkeypatch: pytest.MonkeyPatch,
    header: str,
    least: float,
    most: float,
) -> None:
    """A 429 pauses the key for its ``Retry-After``, for a minute at most."""
    session_id = api.add_session(1, checks=0)
    configure(settings, MAX_RETRIES=1)
    pauses: list[float] = []
    monkeypatch.setattr(Throttle, "pause", lambda self, seconds: pauses.append(seconds))
    api.faults[f"/workflowSessions/{session_id}"] = lambda count: (
        (429, {"Retry-After": header}, b"{}") if count == 1 else None
    )

    assert refresh(session_id).code == 0

    assert len(pauses) == 1
    assert least <= pauses[0] <= most


def test_budget__throttle_of_an_account(settings: Any, db: None) -> None:
    """Two throttles of one account take turns from the same slots."""
    configure(settings, REQUESTS_PER_SECOND=5)
    one, other = shared_throttle(get_account()), shared_throttle(get_account())
    began = time.monotonic()

    for throttle in (one, other, one, other):
        throttle.acquire()

    assert time.monotonic() - began >= 3 / 5
