"""Fetching sessions, and recording each result: in the batch, as missing or as failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile

from complycube_sessions.api.throttle import ThrottleClosedError
from complycube_sessions.exceptions import ComplyCubeErasedError, ComplyCubeError
from complycube_sessions.mirror import queries
from complycube_sessions.mirror.merge import FetchedSession
from complycube_sessions.mirror.write import Missing, mark_missing, ownership_reason
from complycube_sessions.models import RefreshRun
from complycube_sessions.privacy import tombstones
from complycube_sessions.sync import pending
from complycube_sessions.sync.batch import Batch, Purpose
from complycube_sessions.sync.context import RunContext
from complycube_sessions.sync.errors import FaultPolicy
from complycube_sessions.sync.fetch import CheckSource, FetchResult, fetch_session
from complycube_sessions.sync.workers import FinishedJob

Job = tuple[str, Callable[[], FetchResult]]


class Fetcher:
    """
    Fetches sessions with the run's worker, within the run's limit, and records the results.

    Args:
        context: The run.
        batch: Collects the fetched sessions.
        faults: Decides which errors end the run.
    """

    def __init__(self, context: RunContext, batch: Batch, faults: FaultPolicy) -> None:
        self._context = context
        self._account = context.account
        self._record = context.record
        self._batch = batch
        self._faults = faults
        self._room = context.options.limit
        self._listed = Purpose(context.options.source)
        self.is_limited = False
        # At most as many as a run names errors.
        self.failed_checks: set[str] = set()

    def fetch(self, ids: list[str], checks: CheckSource, purpose: Purpose | None = None) -> None:
        """
        Fetch sessions into the batch; a dry run only counts them, and with ``hand_out`` they are queued.

        Args:
            ids: The sessions.
            checks: The source of their checks.
            purpose: Why they are fetched; by default because a list showed them.

        Raises:
            ComplyCubeError: An error that ends the run; the sessions fetched before are in the batch.
        """
        ids = self._within_limit(ids)
        if self._context.options.dry_run:
            known = queries.session_states(self._account, ids)
            self._record.run.created += len(ids) - len(known)
            self._record.run.updated += len(known)
        elif self._context.options.hand_out:
            pending.enqueue_sessions(self._account, ids, pending.REASON_CHUNK)
        else:
            self.run_jobs(self.jobs(ids, checks), purpose)

    def jobs(self, ids: list[str], checks: CheckSource) -> Iterator[Job]:
        """Yield the jobs that fetch the sessions."""
        known = queries.known_checks(ids)
        for session_id in ids:
            stored = known.get(session_id, {})
            yield (
                session_id,
                partial(fetch_session, self._context.client, session_id, checks, stored),
            )

    def run_jobs(self, jobs: Iterable[Job], purpose: Purpose | None = None) -> None:
        """Run the jobs and record each result."""
        purpose = purpose or self._listed
        for session_id, result in self.results(jobs, purpose):
            self._take(session_id, result, purpose)

    def results(
        self, jobs: Iterable[Job], purpose: Purpose | None = None
    ) -> Iterator[tuple[str, FetchResult]]:
        """
        Run the jobs and yield their results.

        An error that stops the run is raised after the requests in progress have ended, so that their
        results are not lost.
        """
        stop: ComplyCubeError | None = None
        worker = self._context.worker
        jobs = tombstones.skip_erased(self._account.name, jobs, lambda job: job[0])
        for done in worker.each(takewhile(lambda _: not worker.is_stopped, jobs)):
            try:
                result = self._result(done, purpose or self._listed)
            except ComplyCubeError as error:
                stop = stop or error
                worker.stop()
                continue
            if result is not None:
                yield done.key, result
        if stop is not None:
            raise stop

    def keep(self, session_id: str, result: FetchResult, purpose: Purpose | None = None) -> None:
        """Add a fetched session to the batch, and record its checks that could not be fetched."""
        assert result.session is not None  # noqa: S101 - the caller looked
        purpose = purpose or self._listed
        if result.check_errors:
            if len(self.failed_checks) < RefreshRun.MAX_ERRORS:
                self.failed_checks.update(result.check_errors)
            reasons = [
                f"check {check_id}: {reason}" for check_id, reason in result.check_errors.items()
            ]
            # Recorded before the session is stored, so that it is not counted twice.
            self._record.fail(session_id, " ".join(reasons), retry=True, outcomes=purpose.outcomes)
        self._batch.add(result.session, result.size_bytes, purpose)

    def add(self, session: FetchedSession, size_bytes: int = 0, *, requests: int = 1) -> None:
        """Add a session to the batch that a list or another request returned."""
        self._batch.add(session, size_bytes, self._listed, requests=requests)

    def flush(self) -> None:
        self._batch.flush()

    def note_missing(self, missing: Missing, *, listed: bool = False) -> bool:
        """Count sessions that the API does not know; return whether any of them is stored."""
        self._record.note_missing(missing.marked, listed=listed)
        if listed:
            self._record.run.unchanged += len(missing.alive)
        return bool(missing.marked or missing.alive)

    def refuse_foreign(self, ids: list[str]) -> dict[str, str]:
        """Record sessions as failed whose rows belong to another account or environment."""
        owners = queries.foreign_owners(self._account, ids)
        foreign = {pk: ownership_reason(pk, *owner) for pk, owner in owners.items()}
        for session_id, reason in foreign.items():
            self._record.fail(session_id, reason, retry=False)
        return foreign

    def refuse_erased(self, ids: list[str]) -> frozenset[str]:
        """Record the sessions of erased persons as failed, by their hashes."""
        erased = tombstones.find(self._account.name, sessions=ids).sessions
        for session_id in sorted(erased):
            reason = f"{ComplyCubeErasedError.__name__}: {tombstones.reason(session_id)}"
            self._record.fail(tombstones.subject(session_id), reason, retry=False)
        return erased

    def _within_limit(self, ids: list[str]) -> list[str]:
        """Return the sessions that this run may still fetch."""
        if self._room is None:
            return ids
        kept = ids[: self._room]
        self._room -= len(kept)
        self.is_limited |= len(kept) < len(ids)
        return kept

    def _take(self, session_id: str, result: FetchResult, purpose: Purpose) -> None:
        if purpose.outcomes is not None:
            purpose.outcomes.setdefault(session_id, None)
        if result.missing_at is None:
            self.keep(session_id, result, purpose)
            return
        missing = mark_missing(self._account, {session_id: result.missing_at})
        if not self.note_missing(missing, listed=True):
            self._record.fail(
                session_id, result.missing_reason, retry=False, outcomes=purpose.outcomes
            )
            pending.delete_pending(self._account, session_id)

    def _result(self, done: FinishedJob[str, FetchResult], purpose: Purpose) -> FetchResult | None:
        """Return the result of a job, or record its error and return None; raise errors that stop the run."""
        try:
            result = done.future.result()
        except ThrottleClosedError:  # the run has been stopped before its request began
            return None
        except ComplyCubeError as error:
            self._faults.raise_if_general(error)
            self._record.fail(done.key, str(error), retry=True, outcomes=purpose.outcomes)
            self._faults.count_fault(error, "sessions")
            return None
        self._faults.record_answer()
        return result
