"""The objects that all parts of one run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.conf import Account
from complycube_sessions.sync.fetch import CheckSource
from complycube_sessions.sync.options import RunOptions
from complycube_sessions.sync.run import RunRecord
from complycube_sessions.sync.seen import SeenIndex
from complycube_sessions.sync.workers import SerialWorker, WorkerPool


@dataclass(frozen=True, slots=True)
class RunContext:
    """
    The objects that all parts of one run share.

    Args:
        account: The account to refresh.
        options: The options of the caller.
        record: The run's row, counts and failures.
        index: The items that the lists have shown.
        worker: Sends the requests.
        tick: Renews the lease and stores old batches; called in loops that may send no request.
    """

    account: Account
    options: RunOptions
    record: RunRecord
    index: SeenIndex
    worker: WorkerPool | SerialWorker
    tick: Callable[[], None]

    @property
    def client(self) -> ComplyCubeClient:
        return self.worker.client

    def checks_by_client(self, index: SeenIndex | None = None) -> CheckSource:
        """Return a source that reads each client's list of checks when a session needs it."""
        return CheckSource(index or self.index, True, self.options.results)
