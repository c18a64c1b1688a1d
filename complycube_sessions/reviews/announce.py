"""
Sending the signals of decided and reopened reviews.

A signal is sent before it is recorded as sent. If the process is killed in between, the signal is repeated,
never lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Q
from django.dispatch import Signal

from complycube_sessions import signals
from complycube_sessions.db.batches import chunks
from complycube_sessions.db.connections import retry_transient
from complycube_sessions.models import Review

OnSignal = Callable[[], object]


def announce_reopened(ids: Sequence[str], alias: str, on_signal: OnSignal = lambda: None) -> None:
    """Send ``review_reopened`` for the reviews for which it is still owed."""
    _send(signals.review_reopened, "owes_reopened", ids, alias, on_signal)


def announce_decided(ids: Sequence[str], alias: str) -> None:
    """Send ``review_decided`` for the reviews for which it is still owed."""
    _send(signals.review_decided, "owes_decided", ids, alias, lambda: None)


def announce_owed(account: str, alias: str, on_signal: OnSignal = lambda: None) -> None:
    """Send the signals of an account's reviews that a killed process did not send."""
    owed = Review.objects.using(alias).filter(
        Q(owes_decided=True) | Q(owes_reopened=True), session__account=account
    )
    ids = list(owed.order_by("pk").values_list("pk", flat=True))
    announce_reopened(ids, alias, on_signal)
    _send(signals.review_decided, "owes_decided", ids, alias, on_signal)


def _send(signal: Signal, owes: str, ids: Iterable[str], alias: str, on_signal: OnSignal) -> None:
    for some in chunks(ids):
        rows: Any = Review.objects.using(alias).filter(pk__in=some, **{owes: True})
        by_times: dict[tuple[datetime | None, datetime | None], list[str]] = defaultdict(list)
        for review in rows.order_by("pk"):
            on_signal()
            signal.send_robust(sender=Review, review=review)
            by_times[review.decided_at, review.reopened_at].append(review.pk)
        for (decided_at, reopened_at), pks in by_times.items():
            # A review that was decided or reopened meanwhile owes another signal.
            same = rows.filter(pk__in=pks, decided_at=decided_at, reopened_at=reopened_at)
            retry_transient(partial(same.update, **{owes: False}), alias=alias)
