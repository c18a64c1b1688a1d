"""
The sessions that are due for a fetch. Workers claim them in order; a failed one is retried after a growing delay.

A worker claims a row by moving its ``next_try_at`` forward, not by holding a lock. That takes one short
transaction and works on every database; if a worker dies, its rows are due again after a minute or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db import connections, models, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from complycube_sessions.conf import Account
from complycube_sessions.db import clocks
from complycube_sessions.db.batches import chunks
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.clocks import FIRST_DELAY, LEEWAY, LONGEST_HOLD, MAX_DELAY
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.models import PendingRefresh
from complycube_sessions.privacy import tombstones

REASON_WEBHOOK: Final = "webhook"
REASON_CHUNK: Final = "chunk"
WRITTEN_AT_ONCE: Final = 500

Row = TypeVar("Row", bound=models.Model)


def claim_pending(account: Account, *, most: int, reason: str | None = None) -> list[str]:
    """Claim up to ``most`` sessions that are due, the longest waiting first."""

    def claim() -> list[PendingRefresh]:
        due = pending_sessions(account).filter(next_try_at__lte=timezone.now())
        if reason is not None:
            due = due.filter(reason=reason)
        return claim_rows(due.order_by("next_try_at", "pk"), most)

    claimed = claim()
    now = timezone.now()
    # A fetch only settles requests made before it began, so it would never settle one from the future.
    if not claimed or any(not clocks.is_believable(row.requested_at, now) for row in claimed):
        is_reset = _reset_pending(account)
        claimed = claimed or (claim() if is_reset else [])
    return [row.session_id for row in claimed]


def release_pending(account: Account, session_ids: Sequence[str]) -> None:
    """Release sessions that were claimed but not fetched."""
    pending_sessions(account).filter(session_id__in=session_ids).update(next_try_at=timezone.now())


def count_pending(account: Account, reason: str) -> int:
    """Return how many sessions are queued for that reason, due or not."""
    return pending_sessions(account).filter(reason=reason).count()


def enqueue_sessions(account: Account, session_ids: Iterable[str], reason: str) -> None:
    """
    Make sessions due for a fetch now, including those that wait for a retry.

    Sessions of erased persons are skipped.
    """
    alias = write_alias()
    now = timezone.now()
    rows = [
        PendingRefresh(
            account=account.name,
            session_id=session_id,
            reason=reason,
            requested_at=now,
            next_try_at=now,
        )
        for session_id in sorted(session_ids)
    ]
    for some in chunks(rows, WRITTEN_AT_ONCE):
        with transaction.atomic(using=alias):
            tombstones.lock_shared(account.name, alias)
            erased = tombstones.find(
                account.name, sessions=[row.session_id for row in some]
            ).sessions
            upsert(
                [row for row in some if row.session_id not in erased],
                unique=["account", "session_id"],
                update=["reason", "requested_at", "next_try_at"],
                alias=alias,
            )


def not_yet_due(account: Account, session_ids: Sequence[str]) -> set[str]:
    """Return the ids that failed recently and wait for a later run."""
    now = timezone.now()
    rows = PendingRefresh.objects.using(write_alias()).filter(
        Q(next_try_at__gt=now), account=account.name, session_id__in=session_ids
    )
    # Most pages have no such row, and the clock condition makes the query long.
    if not rows.exists():
        return set()
    rows = rows.exclude(clocks.waits_too_long(now))
    return set(rows.values_list("session_id", flat=True))


def delete_pending(account: Account, session_id: str) -> None:
    """Remove a session from the queue: no later try could fetch it."""
    rows = PendingRefresh.objects.using(write_alias())
    rows.filter(account=account.name, session_id=session_id).delete()


def postpone(account: str, failed: Mapping[str, str], alias: str) -> None:
    """Make failed sessions due again, each after a longer delay than before."""
    with transaction.atomic(using=alias):
        tombstones.lock_shared(account, alias)
        _postpone_rest(account, tombstones.redact_erased(account, failed), alias)


def _postpone_rest(account: str, failed: Mapping[str, str], alias: str) -> None:
    now = timezone.now()
    known = PendingRefresh.objects.using(alias).filter(account=account, session_id__in=list(failed))
    attempts = dict(known.values_list("session_id", "attempts"))
    rows = [
        PendingRefresh(
            account=account,
            session_id=session_id,
            reason="failed",
            requested_at=now,
            attempts=attempts.get(session_id, 0) + 1,
            next_try_at=now
            + min(MAX_DELAY, FIRST_DELAY * 2 ** min(attempts.get(session_id, 0), 20)),
            error=reason,
        )
        for session_id, reason in failed.items()
    ]
    upsert(
        rows,
        unique=["account", "session_id"],
        update=["attempts", "next_try_at", "error"],
        alias=alias,
    )


def visibility_timeout(sessions: int) -> timedelta:
    """Return how long a worker may hold this many sessions before another worker may claim them."""
    return min(LONGEST_HOLD, timedelta(seconds=60 + 2 * sessions))


def tell_reset(account: Account, what: str, count: int) -> int:
    """Log how many rows a wrong clock had delayed, if any, and return the number."""
    if count:
        text = f"{count} waiting {what}{'s' if count > 1 else ''} lay further ahead than can be"
        clocks.tell_reset(text, account=account.name)
    return count


def claim_rows(due: QuerySet[Row], most: int) -> list[Row]:
    """Claim up to ``most`` rows in their order; the claim expires with the visibility timeout."""
    alias = write_alias()
    skip = connections[alias].features.has_select_for_update_skip_locked

    def claim() -> list[Row]:
        with transaction.atomic(using=alias):
            rows = list(due.using(alias).select_for_update(skip_locked=skip)[:most])
            taken = due.model._default_manager.using(alias).filter(pk__in=[row.pk for row in rows])
            if rows:
                taken.update(next_try_at=timezone.now() + visibility_timeout(len(rows)))
        return rows

    return retry_transient(claim, alias=alias)


def that_failed(rows: QuerySet[Row], now: datetime) -> QuerySet[Row]:
    """Filter for rows that wait because of a failure, not because a worker has claimed them."""
    return rows.filter(next_try_at__gt=now).exclude(error="")


def pending_sessions(account: Account) -> QuerySet[PendingRefresh]:
    """Return the queued sessions of an account, due or not."""
    return PendingRefresh.objects.using(write_alias()).filter(account=account.name)


def _reset_pending(account: Account) -> int:
    """
    Correct rows whose times a wrong clock has set, and return how many there were.

    A retry that lies too far ahead becomes due now. A ``requested_at`` in the future becomes the current
    time, so that a fetch that begins from now on settles it.
    """
    now = timezone.now()
    waiting, asked = clocks.waits_too_long(now), Q(requested_at__gt=now + LEEWAY)
    wrong = pending_sessions(account).filter(waiting | asked)
    pks = list(wrong.values_list("pk", flat=True))
    if pks:
        rows = pending_sessions(account).filter(pk__in=pks)
        rows.filter(waiting).update(next_try_at=now)
        rows.filter(asked).update(requested_at=now)
    return tell_reset(account, "session", len(pks))
