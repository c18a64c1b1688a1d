"""
Sending requests in several threads, and handling the results in one.

The threads only do HTTP. Everything that touches the database (budget slots, the lease, batches) runs on
the thread that owns the pool, while it waits for results.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from complycube_sessions import tracing
from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.throttle import Throttle
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import ComplyCubeError

# Enough for a latency of almost two seconds at the vendor's rate limit; more threads only compete for the CPU.
MAX_THREADS: Final = 16
TICK_SECONDS: Final = 0.25

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class FinishedJob(Generic[Key, Value]):
    """A job that ended, with its result or its error."""

    key: Key
    future: Future[Value]


class WorkerPool:
    """
    Run jobs in as many threads as it takes to use the request budget at the API's latency, and no more.

    Args:
        account: The account whose key and limits apply.
        throttle: The request budget; the pool supplies its threads with slots.
        tick: Called on the owner's thread about every quarter of a second while the pool waits.
    """

    def __init__(self, account: Account, throttle: Throttle, tick: Callable[[], None]) -> None:
        self._stopped = threading.Event()
        self.client = ComplyCubeClient(account, throttle, backoff=self._back_off)
        self._throttle = throttle
        self._throttle.on_demand = lambda: self._inbox.put(None)
        self._requests_per_second = account.requests_per_second
        self._tick = tick
        self._inbox: queue.SimpleQueue[FinishedJob[Any, Any] | None] = queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="complycube")

    def call(self, job: Callable[[], Value]) -> Value:
        """Run one job, ticking meanwhile; return its result or raise its error."""
        (done,) = self.each([(None, job)])
        return done.future.result()

    def each(
        self, jobs: Iterable[tuple[Key, Callable[[], Value]]]
    ) -> Iterator[FinishedJob[Key, Value]]:
        """Run the jobs and yield each one when it ends; if the consumer stops early, the rest is cancelled."""
        waiting = iter(jobs)
        # Jobs are read ahead, so that no more slots are reserved than there are requests to send.
        coming: deque[tuple[Key, Callable[[], Value]]] = deque()
        running: set[Future[Value]] = set()
        try:
            while True:
                room = max(0, self._width() - len(running))
                coming.extend(islice(waiting, max(0, room + self._throttle.block - len(coming))))
                for job in [coming.popleft() for _ in range(min(room, len(coming)))]:
                    running.add(self._submit(*job))
                if not running:
                    return
                done = self._next_done(len(coming))
                running.discard(done.future)
                yield done
        finally:
            for future in running:
                future.cancel()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Start no further request; requests in progress finish, and are not retried."""
        self._stopped.set()
        self.client.give_up()
        self._throttle.close()

    def close(self) -> None:
        """End all threads; requests in progress finish."""
        self.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.client.close()

    def _width(self) -> int:
        """Return how many requests must be in progress at once (Little's law), with one to spare."""
        busy = self._requests_per_second * self.client.latency_seconds
        return min(MAX_THREADS, math.ceil(busy) + 2)

    def _submit(self, key: Key, job: Callable[[], Value]) -> Future[Value]:
        future = self._executor.submit(tracing.carried(job))
        future.add_done_callback(lambda ended: self._inbox.put(FinishedJob(key, ended)))
        return future

    def _next_done(self, coming: int) -> FinishedJob[Any, Any]:
        while True:
            self._tick()
            try:
                message = self._inbox.get(timeout=TICK_SECONDS)
            except queue.Empty:
                continue
            if message is not None:
                return message
            self._throttle.supply(coming)

    def _back_off(self, seconds: float) -> None:
        self._stopped.wait(seconds)


class SerialWorker:
    """Run jobs one after the other on the caller's thread: never two requests at once."""

    def __init__(self, account: Account, throttle: Throttle) -> None:
        self.client = ComplyCubeClient(account, throttle)
        self._throttle = throttle
        self.is_stopped = False

    def call(self, job: Callable[[], Value]) -> Value:
        """Return the result of one job."""
        return job()

    def each(
        self, jobs: Iterable[tuple[Key, Callable[[], Value]]]
    ) -> Iterator[FinishedJob[Key, Value]]:
        """Run each job once the consumer has taken the previous result."""
        for key, job in jobs:
            future: Future[Value] = Future()
            try:
                future.set_result(job())
            except ComplyCubeError as error:
                future.set_exception(error)
            yield FinishedJob(key, future)

    def stop(self) -> None:
        """Start no further request."""
        self.is_stopped = True

    def close(self) -> None:
        self._throttle.close()
        self.client.close()
