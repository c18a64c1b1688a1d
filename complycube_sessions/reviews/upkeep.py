"""
Letting reviews follow what the store writes: opened, opened again, or no longer needed.

The store calls it in its transaction, with the sessions locked, so that no decision can come in between.
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

# What has to be known of a review that is stored, to let it follow.
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
    A session whose rows are locked, as it is about to be stored.

    Args:
        session: With its new values.
        checks: All of its checks, with theirs.
        is_new: It is seen for the first time.
        needed_review: Whether it did before.
        review: The columns ``STORED`` of its review; None where there is none.
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
        The ids of those that were opened again, of which a signal has to be sent after the commit.
    """
    written: list[Review] = []
    events: list[ReviewEvent] = []
    due = conf.COMPLYCUBE_REVIEW_DUE
    for one in sessions:
        review, event = _followed(one, now, due)
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

    The store opens reviews itself. Something else wrote these sessions, such as an older version of the app
    during a deployment. It reads the whole queue, so only full runs call it.

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
            due = conf.COMPLYCUBE_REVIEW_DUE
            reviews = [_opened(row, _since(row, now), due) for row in rows]
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


def due_at(since: datetime, due: timedelta | None) -> datetime | None:
    """Return when a review is due that is open since then, or None where none ever is."""
    return since + due if due else None


def _followed(
    one: Followed, now: datetime, due: timedelta | None
) -> tuple[Review | None, ReviewEvent | None]:
    needs, stored = one.session.needs_review, one.review
    if stored is None:
        if not needs:
            return None, None
        since = _since(one.session, now) if one.is_new else now
        return _opened(one.session, since, due), None
    if stored["state"] not in _JUDGED:
        is_over = one.needed_review and not needs
        return _withdrawn(one.session, now) if is_over else (None, None)
    if stored["decision"] == "":
        return _reopened(one, [], now, due) if needs else (None, None)
    with translation.override(None):
        # What is kept is in one language, whoever reads it.
        changes = differences(stored["seen_fingerprint"], fingerprint(one.session, one.checks))
    return _reopened(one, changes, now, due) if changes else (None, None)


def _opened(session: WorkflowSession, since: datetime, due: timedelta | None) -> Review:
    return new_row(Review, session_id=session.pk, opened_at=since, due_at=due_at(since, due))


def _since(session: WorkflowSession, now: datetime) -> datetime:
    """Return since when a session waits: since a check turned where it is clear, else since it completed."""
    is_clear = session.outcome == WorkflowSession.Outcome.CLEAR
    since = session.updated_at if is_clear else session.completed_at
    return min(since or now, now)


def _withdrawn(session: WorkflowSession, now: datetime) -> tuple[Review, ReviewEvent]:
    review = new_row(Review, session_id=session.pk, state="decided", decided_at=now, opened_at=now)
    return review, _event(session, ReviewEvent.Action.WITHDRAWN, now, "")


def _reopened(
    one: Followed, changes: list[str], now: datetime, due: timedelta | None
) -> tuple[Review, ReviewEvent]:
    assert one.review is not None  # noqa: S101 - for the type checker
    is_held = one.review["assignee_id"] is not None
    review = new_row(
        Review,
        session_id=one.session.pk,
        state="assigned" if is_held else "open",
        opened_at=now,
        due_at=due_at(now, due),
        reopened_at=now,
        reopened_because="\n".join(changes) or NEEDED_AGAIN,
        owes_reopened=signals.review_reopened.has_listeners(Review),
    )
    action = ReviewEvent.Action.REOPENED
    return review, _event(one.session, action, now, review.reopened_because)


def _event(session: WorkflowSession, action: str, now: datetime, detail: str) -> ReviewEvent:
    return new_row(ReviewEvent, review_id=session.pk, action=str(action), at=now, detail=detail)
