"""
Updating reviews when sessions are stored: they are opened, reopened, or no longer needed.

``mirror/write.py`` calls this in its transaction, with the sessions locked, so that no decision can interfere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from complycube_sessions import signals
from complycube_sessions.conf import conf
from complycube_sessions.db.batches import pages
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.connections import retry_transient
from complycube_sessions.db.rows import new_row
from complycube_sessions.models import RelatedCheck, Review, ReviewEvent, WorkflowSession
from complycube_sessions.models.session_queries import WorkflowSessionQuerySet
from complycube_sessions.reviews.meaning import differences, fingerprint

# The columns of a stored review that an update needs.
STORED: Final = ("state", "decision", "seen_fingerprint", "assignee_id")
_WRITTEN: Final = (
    *("state", "decision", "reason", "decided_by", "decided_at", "confirmed_by", "confirmed_at"),
    *("due_at", "reopened_at", "reopened_because", "owes_reopened"),
)
NEEDED_AGAIN: Final = gettext_noop("The session needs a review again")
_JUDGED: Final = (Review.State.AWAITING_CONFIRMATION, Review.State.DECIDED)


@dataclass(frozen=True, slots=True)
class Followed:
    """
    A session that is about to be stored, with its rows locked.

    Args:
        session: The session with its new values.
        checks: All of its checks with their new values.
        is_new: Whether it is seen for the first time.
        needed_review: Whether it needed a review before.
        review: The columns ``STORED`` of its review, or None if it has none.
    """

    session: WorkflowSession
    checks: Iterable[RelatedCheck]
    is_new: bool
    needed_review: bool
    review: Mapping[str, Any] | None


def follow(sessions: Iterable[Followed], now: datetime, alias: str) -> list[str]:
    """
    Open, reopen and withdraw reviews in two statements at most.

    Returns:
        The ids of reopened reviews, for which a signal has to be sent after the commit.
    """
    written: list[Review] = []
    events: list[ReviewEvent] = []
    due = conf.COMPLYCUBE_REVIEW_DUE
    for followed in sessions:
        review, event = _followed(followed, now, due)
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

    Normally they are opened when a session is stored. Reviews are missing if other code wrote the session, for
    example an older version of the app during a deployment. This reads the whole queue, so only full runs
    call it.

    Returns:
        The number of opened reviews.
    """
    rows = _without_review(alias).filter(account=account)
    return sum(open_some([row.pk for row in page], alias) for page in pages(rows.only("pk")))


def open_some(ids: Sequence[str], alias: str) -> int:
    """Open the missing reviews among these sessions; return how many were opened."""

    def write() -> int:
        now = timezone.now()
        columns = ("pk", "outcome", "completed_at", "updated_at")
        with transaction.atomic(using=alias):
            lock_sessions(ids, alias)
            rows = _without_review(alias).filter(pk__in=ids).only(*columns)
            due = conf.COMPLYCUBE_REVIEW_DUE
            reviews = [_opened(row, _since(row, now), due) for row in rows]
            upsert(reviews, unique=["session"], alias=alias)
        return len(reviews)

    return retry_transient(write, alias=alias)


def lock_sessions(ids: Sequence[str], alias: str) -> None:
    """
    Lock the rows of sessions in the order of their ids, until the transaction ends.

    SQLite has no row locks. There an update that changes nothing takes the database's only write lock before
    anything is read: a transaction that has read cannot write any more after another one has written.
    """
    rows = WorkflowSession.objects.using(alias).filter(pk__in=ids)
    if connections[alias].features.has_select_for_update:
        list(rows.order_by("pk").select_for_update().values_list("pk"))
    else:
        Review.objects.using(alias).filter(pk="").update(reason="")


def _without_review(alias: str) -> WorkflowSessionQuerySet:
    return WorkflowSession.objects.using(alias).filter(needs_review=True, review=None)


def due_at(since: datetime, due: timedelta | None) -> datetime | None:
    """Return when a review is due that was opened then, or None if reviews are never due."""
    return since + due if due else None


def _followed(
    followed: Followed, now: datetime, due: timedelta | None
) -> tuple[Review | None, ReviewEvent | None]:
    needs, stored = followed.session.needs_review, followed.review
    if stored is None:
        if not needs:
            return None, None
        since = _since(followed.session, now) if followed.is_new else now
        return _opened(followed.session, since, due), None
    if stored["state"] not in _JUDGED:
        is_over = followed.needed_review and not needs
        return _withdrawn(followed.session, now) if is_over else (None, None)
    if stored["decision"] == "":
        return _reopened(followed, [], now, due) if needs else (None, None)
    with translation.override(None):
        # The stored text is in one language for all readers.
        changes = differences(
            stored["seen_fingerprint"], fingerprint(followed.session, followed.checks)
        )
    return _reopened(followed, changes, now, due) if changes else (None, None)


def _opened(session: WorkflowSession, since: datetime, due: timedelta | None) -> Review:
    return new_row(Review, session_id=session.pk, opened_at=since, due_at=due_at(since, due))


def _since(session: WorkflowSession, now: datetime) -> datetime:
    """Return since when a session waits for review: a clear one since its last update, others since completion."""
    is_clear = session.outcome == WorkflowSession.Outcome.CLEAR
    since = session.updated_at if is_clear else session.completed_at
    return min(since or now, now)


def _withdrawn(session: WorkflowSession, now: datetime) -> tuple[Review, ReviewEvent]:
    review = new_row(Review, session_id=session.pk, state="decided", decided_at=now, opened_at=now)
    return review, _event(session, ReviewEvent.Action.WITHDRAWN, now, "")


def _reopened(
    followed: Followed, changes: list[str], now: datetime, due: timedelta | None
) -> tuple[Review, ReviewEvent]:
    assert followed.review is not None  # noqa: S101 - for the type checker
    is_held = followed.review["assignee_id"] is not None
    review = new_row(
        Review,
        session_id=followed.session.pk,
        state="assigned" if is_held else "open",
        opened_at=now,
        due_at=due_at(now, due),
        reopened_at=now,
        reopened_because="\n".join(changes) or NEEDED_AGAIN,
        owes_reopened=signals.review_reopened.has_listeners(Review),
    )
    action = ReviewEvent.Action.REOPENED
    return review, _event(followed.session, action, now, review.reopened_because)


def _event(session: WorkflowSession, action: str, now: datetime, detail: str) -> ReviewEvent:
    return new_row(ReviewEvent, review_id=session.pk, action=str(action), at=now, detail=detail)
