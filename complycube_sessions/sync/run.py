"""The record of a run in progress: its counts, its failures and the sessions to retry."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from complycube_sessions.conf import Account
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.mirror.write import StoredBatch
from complycube_sessions.models import PendingRefresh, RefreshRun
from complycube_sessions.privacy import tombstones
from complycube_sessions.sync.lease import (
    LeaseLostError,
    release_lease,
    renew_lease,
    take_lease,
)
from complycube_sessions.sync.pending import postpone

logger = logging.getLogger("complycube_sessions.refresh")

RENEW_SECONDS: Final = 4.0
SAVE_SECONDS: Final = 2.0
_SAVED: Final = (*RefreshRun.COUNTS, "errors", "error_count")
_FALSE: Final = Q(watermark__gt=F("finished_at"))


class RunRecord:
    """
    The ``RefreshRun`` row of a run, updated while it runs.

    Args:
        account: The account of the run.
        mode: One of ``RefreshRun.Mode``.
        write: False for a dry run, which leaves no trace in the database.
        keep: False for work outside of a run: failed sessions are retried, but no run is recorded.
    """

    def __init__(
        self, account: Account, mode: str, *, write: bool = True, keep: bool = True
    ) -> None:
        self.run = RefreshRun(account=account.name, environment=account.environment, mode=mode)
        # The highest number of sessions that the lists have announced.
        self.expected = 0
        self._write = write
        self._keep = write and keep
        self._alias = write_alias()
        self._leased = False
        self._saved_at = self._renewed_at = 0.0
        self._retry: dict[str, str] = {}
        self._missing_of_listed = 0

    def begin(self, *, lease: bool) -> None:
        """
        Record the start of the run and take the account's lease.

        Raises:
            ComplyCubeRefreshRunningError: Another run in progress holds the lease of the account.
        """
        if not self._keep:
            return
        retry_transient(lambda: self._begin(lease=lease), alias=self._alias)
        self._leased = lease
        self._saved_at = self._renewed_at = time.monotonic()

    def tick(self, requests: int) -> None:
        """
        Renew the lease and save the counts if enough time has passed.

        Raises:
            LeaseLostError: Another run took over; this one earns no watermark.
        """
        self.run.requests = requests
        now = time.monotonic()
        if self._leased and now - self._renewed_at >= RENEW_SECONDS:
            self._renewed_at = now
            if not retry_transient(self._renew, alias=self._alias):
                raise LeaseLostError
        if self._keep and now - self._saved_at >= SAVE_SECONDS:
            self._saved_at = now
            self._count_remaining()  # so that the counts add up if the process is killed
            self._save(_SAVED)

    def expect(self, sessions: int) -> None:
        """Record how many sessions a list announces."""
        self.expected = max(self.expected, sessions)

    def add(
        self,
        stored: StoredBatch,
        *,
        fetched: int,
        counted: Collection[str] = frozenset(),
        outcomes: dict[str, str | None] | None = None,
    ) -> None:
        """
        Count the results of a batch.

        Args:
            stored: The batch.
            fetched: How many of its sessions were fetched as a whole.
            counted: Sessions that this run has counted before. Failed ones are not counted again either.
            outcomes: Filled with the outcome of each session that was due; None for sessions from a list.
        """
        for session_id, effect in stored.effects.items():
            if session_id not in counted and session_id not in self._retry:
                setattr(self.run, effect, getattr(self.run, effect) + 1)
        self.run.fetched += fetched
        if outcomes is None:
            self.run.kept_out += len(stored.erased)
        else:  # an erased session counts only if a list shows it
            self.run.listed -= len(stored.erased)
        for session_id, reason in stored.failed.items():
            retry = session_id not in stored.foreign
            self.fail(session_id, reason, retry=retry, outcomes=outcomes)

    def fail(
        self,
        session_id: str,
        reason: str,
        *,
        retry: bool,
        outcomes: dict[str, str | None] | None = None,
    ) -> None:
        """
        Record a failed session.

        Args:
            session_id: The session, or a name for whatever else failed.
            reason: The error's text.
            retry: Whether to retry the session, with a growing delay.
            outcomes: Filled with the reason, if the caller needs it.
        """
        # The session may have been erased since its request began; then it must not be named any more.
        if tombstones.find(self.run.account, sessions=[session_id]):
            if outcomes is not None:
                outcomes[session_id] = None
            return
        self.run.failed += 1
        self.name_error(session_id, reason)
        if outcomes is not None:
            outcomes[session_id] = reason
        if retry:
            self._retry[session_id] = reason

    def name_error(self, subject: str, reason: str) -> None:
        """Record an error that concerns no single session."""
        logger.info(
            "%s: %s", subject, reason, extra={"account": self.run.account, "session_id": subject}
        )
        if subject not in self.run.errors:
            self.run.error_count += 1
            if len(self.run.errors) < RefreshRun.MAX_ERRORS:
                self.run.errors[subject] = reason

    def note_missing(self, session_ids: Sequence[str], *, listed: bool = False) -> None:
        """
        Count stored sessions that the API does not know any more.

        Args:
            session_ids: The sessions.
            listed: Whether they were counted as listed; sessions that a list omitted were not.
        """
        self.run.missing += len(session_ids)
        if listed:
            self._missing_of_listed += len(session_ids)
        room = RefreshRun.MAX_ERRORS - len(self.run.marked_missing)
        self.run.marked_missing.extend(session_ids[:room])

    def write_retries(self) -> None:
        """Queue failed sessions for a retry, each after a longer delay than before."""
        failed, self._retry = self._retry, {}
        if failed and self._write:
            retry_transient(
                lambda: postpone(self.run.account, failed, self._alias), alias=self._alias
            )

    def finish(self, state: str, requests: int, watermark: datetime | None = None) -> RefreshRun:
        """Record the end of the run and release the lease; a run that lost its lease gets no watermark."""
        self.run.requests = requests
        self.run.finished_at = timezone.now()
        self.run.state = state
        if self._keep:
            self.write_retries()
        self._count_remaining()
        rows = PendingRefresh.objects.using(self._alias).filter(account=self.run.account)
        self.run.still_due = rows.count()
        if not self._keep:
            return self.run

        def end() -> None:
            with transaction.atomic(using=self._alias, durable=True):
                holds = not self._leased or self._renew()
                self.run.watermark = watermark if holds else None
                if not holds:
                    self.run.state = RefreshRun.State.INTERRUPTED
                self._save([*_SAVED, "finished_at", "state", "watermark"])
                if self._leased and holds:
                    release_lease(self.run, self._alias)

        retry_transient(end, alias=self._alias)
        return self.run

    def _begin(self, *, lease: bool) -> None:
        self.run.pk = None
        with transaction.atomic(using=self._alias, durable=True):
            self.run.save(using=self._alias, force_insert=True)
            if lease:
                take_lease(self.run, self._alias)

    def _count_remaining(self) -> None:
        run = self.run
        done = run.created + run.updated + run.unchanged + run.failed + run.kept_out
        done += self._missing_of_listed
        run.remaining = max(0, run.listed - done)

    def _renew(self) -> bool:
        return renew_lease(self.run, self._alias)

    def _save(self, names: Sequence[str]) -> None:
        # If another run took over, this one is marked as interrupted: update the counts, not the state.
        if not self.run.errors:
            self.run.save(using=self._alias, update_fields=list(names))
            return
        # Sessions named in the errors may have been erased since.
        with transaction.atomic(using=self._alias):
            tombstones.lock_shared(self.run.account, self._alias)
            self.run.errors = tombstones.redact_erased(self.run.account, self.run.errors)
            self.run.save(using=self._alias, update_fields=list(names))


def last_watermark(account: Account) -> datetime | None:
    """
    Return the time up to which all changes are stored or pending, or None if it is unknown.

    This is the watermark of the latest run that earned one. It is unknown if that watermark lies in the
    future, or if any stored watermark is later than the end of its own run: a wrong clock made it, and
    later watermarks build on it.
    """
    mark = newest_watermark(account)
    if mark is None:
        return None
    if mark > timezone.now() or _earners(account).filter(_FALSE).exists():
        logger.warning(
            "The watermark of the account %s rests on a clock that was wrong, so nothing is known of what "
            "changed before it; the whole list is read.",
            account.name,
        )
        return None
    return mark


def newest_watermark(account: Account) -> datetime | None:
    """Return the watermark of the last run that earned one, whatever it rests on."""
    rows = _earners(account).order_by("-pk")
    return rows.values_list("watermark", flat=True).first()


def forget_false_watermarks(account: Account) -> None:
    """Remove watermarks that a wrong clock made; call it after a run has read the whole lists."""
    _earners(account).filter(_FALSE).update(watermark=None)


def _earners(account: Account) -> QuerySet[RefreshRun]:
    runs = RefreshRun.objects.using(write_alias()).exclude(watermark=None)
    return runs.filter(account=account.name, environment=account.environment)
