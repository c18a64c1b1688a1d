"""What all parts of one run share."""

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
    What all parts of one run share.

    Args:
        account: Whose key.
        options: What the caller asks for.
        record: The run's row, counts and failures.
        index: What the lists have shown.
        worker: Sends the requests.
        tick: Shows that the run lives; called where a loop sends no request.
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
        """Return the source that asks for each client's list of checks when a session needs it."""
        return CheckSource(index or self.index, True, self.options.results)
