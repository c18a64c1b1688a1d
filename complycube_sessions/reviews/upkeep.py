"""
Letting reviews follow what the store writes: opened, opened again, or no longer needed.

The store calls it in its transaction, with the sessions locked, so that no decision can come in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connections, transaction
from django.db.models import F, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from complycube_sessions import signals
from complycube_sessions.conf import conf
from complycube_sessions.db.batches import pages
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.connections import retry_transient
from complycube_sessions.models import RelatedCheck, Review, ReviewEvent, WorkflowSession
from complycube_sessions.models.session_queries import WorkflowSessionQuerySet
from complycube_sessions.reviews.meaning import differences, fingerprint

_STORED: Final = ("state", "decision", "seen_fingerprint", "assignee")
_PREFIX: Final = "review_"
_WRITTEN: Final = (
    *("state", "decision", "reason", "decided_by", "decided_at", "confirmed_by", "confirmed_at"),
    *("due_at", "reopened_at", "reopened_because", "owes_reopened"),
)
NEEDED_AGAIN: Final = gettext_noop("The session needs a review again")
_JUDGED: Final = (Review.State.AWAITING_CONFIRMATION, Review.State.DECIDED)


@dataclass(frozen=True, slots=True)
class Followed:
    """
    A session whose rows are locked, as it is about to be stored.

    Args:
        session: With its new values.
        checks: All of its checks, with theirs.
        is_new: It is seen for the first time.
        needed_review: Whether it did before.
        told: What ``with_reviews`` told of its review; None where there is none.
    """

    session: WorkflowSession
    checks: Iterable[RelatedCheck]
    is_new: bool
    needed_review: bool
    told: Mapping[str, Any] | None


def with_reviews(rows: QuerySet[Any], path: str) -> QuerySet[Any]:
    """Annotate rows with what ``told_review`` reads of the review at the end of a path."""
    told: QuerySet[Any] = rows.annotate(
        **{f"{_PREFIX}{name}": F(f"{path}__{name}") for name in _STORED}
    )
    return told


def told_review(annotations: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the review that a row of ``with_reviews`` told of, or None where there was none."""
    told = {name: annotations[f"{_PREFIX}{name}"] for name in _STORED}
    return told if told["state"] else None


def told_reviews(ids: Sequence[str], alias: str) -> dict[str, dict[str, Any]]:
    """Return by session what ``told_review`` tells of reviews, for sessions without any check."""
    if not ids:
        return {}
    columns = [name if name != "assignee" else "assignee_id" for name in _STORED]
    rows = Review.objects.using(alias).filter(pk__in=ids).values_list("pk", *columns)
    return {pk: dict(zip(_STORED, values, strict=True)) for pk, *values in rows}


def follow(sessions: Iterable[Followed], now: datetime, alias: str) -> list[str]:
    """
    Open, reopen and withdraw reviews in two statements at most.

    Returns:
        The ids of those that were opened again, of which a signal has to be sent after the commit.
    """
    written: list[Review] = []
    events: list[ReviewEvent] = []
    for one in sessions:
        review, event = _followed(one, now)
        if review is not None:
            written.append(review)
        if event is not None:
            events.append(event)
    upsert(written, unique=["session"], update=_WRITTEN, alias=alias)
    upsert(events, alias=alias)
    return [review.pk for review in written if review.owes_reopened]


def open_missing(account: str, alias: str) -> int:
    """
    Open the reviews of stored sessions that need one and have none.

    The store opens them by itself; these are of sessions that something else has written, as an older
    version of the app during a deployment.

    Returns:
        How many there were.
    """
    rows = _without_review(alias).filter(account=account)
    return sum(open_some([row.pk for row in page], alias) for page in pages(rows.only("pk")))


def open_some(ids: Sequence[str], alias: str) -> int:
    """Open the reviews of those of these sessions that need one and have none; return how many."""

    def write() -> int:
        now = timezone.now()
        columns = ("pk", "outcome", "completed_at", "updated_at")
        with transaction.atomic(using=alias):
            # As whoever writes a review does; SQLite, where nobody else writes now, is told by a write.
            lock_sessions(ids, alias)
            rows = _without_review(alias).filter(pk__in=ids).only(*columns)
            reviews = [_opened(row, _since(row, now)) for row in rows]
            upsert(reviews, unique=["session"], alias=alias)
        return len(reviews)

    return retry_transient(write, alias=alias)


def lock_sessions(ids: Sequence[str], alias: str) -> None:
    """
    Lock the rows of sessions in the order of their ids, until the transaction ends.

    SQLite has no locks on rows. There a write that changes nothing takes the one lock there is, before
    anything is read: a transaction that has read may not write any more once another has written.
    """
    rows = WorkflowSession.objects.using(alias).filter(pk__in=ids)
    if connections[alias].features.has_select_for_update:
        list(rows.order_by("pk").select_for_update().values_list("pk"))
    else:
        Review.objects.using(alias).filter(pk="").update(reason="")


def _without_review(alias: str) -> WorkflowSessionQuerySet:
    return WorkflowSession.objects.using(alias).filter(needs_review=True, review=None)


def due_at(since: datetime) -> datetime | None:
    """Return when a review is due that is open since then, or None where none ever is."""
    due = conf.COMPLYCUBE_REVIEW_DUE
    return since + due if due else None


def _followed(one: Followed, now: datetime) -> tuple[Review | None, ReviewEvent | None]:
    needs, told = one.session.needs_review, one.told
    if told is None:
        if not needs:
            return None, None
        since = _since(one.session, now) if one.is_new else now
        return _opened(one.session, since), None
    if told["state"] not in _JUDGED:
        is_over = one.needed_review and not needs
        return _withdrawn(one.session, now) if is_over else (None, None)
    if told["decision"] == "":
        return _reopened(one, [], now) if needs else (None, None)
    with translation.override(None):
        # What is kept is in one language, whoever reads it.
        changes = differences(told["seen_fingerprint"], fingerprint(one.session, one.checks))
    return _reopened(one, changes, now) if changes else (None, None)


def _opened(session: WorkflowSession, since: datetime) -> Review:
    return Review(session_id=session.pk, opened_at=since, due_at=due_at(since))


def _since(session: WorkflowSession, now: datetime) -> datetime:
    """Return since when a session waits: since a check turned where it is clear, else since it completed."""
    is_clear = session.outcome == WorkflowSession.Outcome.CLEAR
    since = session.updated_at if is_clear else session.completed_at
    return min(since or now, now)


def _withdrawn(session: WorkflowSession, now: datetime) -> tuple[Review, ReviewEvent]:
    review = Review(
        session_id=session.pk, state=Review.State.DECIDED, decided_at=now, opened_at=now
    )
    return review, _event(session, ReviewEvent.Action.WITHDRAWN, now, "")


def _reopened(one: Followed, changes: list[str], now: datetime) -> tuple[Review, ReviewEvent]:
    assert one.told is not None  # noqa: S101 - for the type checker
    is_held = one.told["assignee"] is not None
    review = Review(
        session_id=one.session.pk,
        state=Review.State.ASSIGNED if is_held else Review.State.OPEN,
        opened_at=now,
        due_at=due_at(now),
        reopened_at=now,
        reopened_because="\n".join(changes) or NEEDED_AGAIN,
        owes_reopened=signals.review_reopened.has_listeners(Review),
    )
    action = ReviewEvent.Action.REOPENED
    return review, _event(one.session, action, now, review.reopened_because)


def _event(session: WorkflowSession, action: str, now: datetime, detail: str) -> ReviewEvent:
    return ReviewEvent(review_id=session.pk, action=action, at=now, detail=detail)
