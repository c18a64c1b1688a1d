"""Working on a review: taking, assigning and releasing it, and adding notes."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from complycube_sessions import signals
from complycube_sessions.conf import conf
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ReviewConflictError, ReviewPermissionError
from complycube_sessions.models import Review, ReviewEvent, ReviewNote, WorkflowSession
from complycube_sessions.reviews.announce import announce_reopened
from complycube_sessions.reviews.records import (
    after_commit,
    checked_note,
    in_one_piece,
    name_of,
    no_review,
    on_locked_review,
    open_missing_review,
    record,
    write_note,
)
from complycube_sessions.reviews.upkeep import due_at, open_some

# How many reviews are read at once; if all of them are lost to others, the next ones are read.
LOOKED_AT: Final = 20
ASSIGNED_AGAIN: Final = gettext_noop("Assigned again after it was decided")
State = Review.State
Action = ReviewEvent.Action


def take_review(session_id: str, user: Any) -> Review:
    """
    Take the unassigned review of a session; nothing happens if the user has it already.

    Args:
        session_id: The vendor's id of the session.
        user: The person who takes it.

    Raises:
        ReviewConflictError: Somebody else has it, it is decided, or the session needs no review.
    """
    open_missing_review(session_id)
    taken = in_one_piece(partial(_take, session_id, user))
    review = Review.objects.using(write_alias()).filter(pk=session_id).first()
    if review is None:
        raise ReviewConflictError(no_review(session_id))
    is_own = review.state == State.ASSIGNED and review.assignee_id == user.pk
    if not taken and not is_own:
        raise ReviewConflictError(why_not_free(review))
    return review


def take_next_review(user: Any) -> Review | None:
    """
    Take the unassigned review that has been open the longest.

    Two users who call it at the same time get different reviews, on every database: a single statement takes a
    review, and only if it is unassigned.

    Returns:
        The review, or None if all are taken.
    """
    alias = write_alias()
    free = Review.objects.using(alias).filter(state=State.OPEN).order_by("opened_at", "pk")
    lost: set[str] = set()
    while True:
        ids = list(free.exclude(pk__in=lost).values_list("pk", flat=True)[:LOOKED_AT])
        for session_id in ids:
            if in_one_piece(partial(_take, session_id, user)):
                return Review.objects.using(alias).get(pk=session_id)
            lost.add(session_id)
        if not ids and not _open_missing(alias):
            return None


def assign_review(session_id: str, assignee: Any, by: Any) -> Review:
    """
    Assign the review of a session to a user, also if somebody else has it, or unassign it.

    A decided review is reopened. A review that waits for a second person cannot be assigned: it has to be
    confirmed or sent back first.

    Args:
        session_id: The vendor's id of the session.
        assignee: The user to assign it to; None for nobody.
        by: The user who assigns it.

    Raises:
        ReviewConflictError: It waits for a second person, or the session needs no review.
        ReviewPermissionError: The assignee's account is not active.
    """
    if assignee is not None and not assignee.is_active:
        raise ReviewPermissionError(_("That account is not active."))

    def assign(review: Review, alias: str) -> Review:
        if review.state == State.AWAITING_CONFIRMATION:
            message = _("The review cannot be assigned (%(state)s).") % state_words(review)
            raise ReviewConflictError(message)
        if review.state == State.DECIDED:
            _open_again(review)
            record(review, Action.REOPENED, by, alias, review.reopened_because)
        review.state = State.ASSIGNED if assignee else State.OPEN
        review.assignee_id = assignee.pk if assignee else None
        review.save(using=alias)
        to = name_of(assignee) if assignee else ""
        record(review, Action.ASSIGNED, by, alias, to)
        return review

    review = on_locked_review(session_id, assign)
    if review.owes_reopened:
        after_commit(partial(announce_reopened, [review.pk], write_alias()))
    return review


def release_review(session_id: str, user: Any) -> Review:
    """
    Unassign the user's own review.

    Raises:
        ReviewConflictError: It is unassigned, waits for a second person or is decided.
        ReviewPermissionError: It is assigned to somebody else.
    """

    def release(review: Review, alias: str) -> Review:
        if review.state != State.ASSIGNED:
            raise ReviewConflictError(
                _("The review is not in work (%(state)s).") % state_words(review)
            )
        refuse_others(review, user)
        review.state, review.assignee_id = State.OPEN, None
        review.save(using=alias, update_fields=["state", "assignee"])
        record(review, Action.RELEASED, user, alias)
        return review

    return on_locked_review(session_id, release)


def add_review_note(session_id: str, user: Any, text: str) -> ReviewNote:
    """
    Add a note to a review in any state; notes cannot be edited or deleted.

    Args:
        session_id: The vendor's id of the session.
        user: The author.
        text: Plain text of up to 5,000 characters.

    Raises:
        ValueError: The text is empty or too long.
        ReviewConflictError: The session needs no review and never had one.
    """
    plain = checked_note(text)
    if not plain:
        raise ValueError(_("Write the note first."))

    def note(review: Review, alias: str) -> ReviewNote:
        return write_note(review.pk, user, plain, alias)

    return on_locked_review(session_id, note)


def refuse_others(review: Review, user: Any) -> None:
    """Raise ``ReviewPermissionError`` if a review is assigned to somebody else."""
    if review.assignee_id not in {None, user.pk}:
        raise ReviewPermissionError(_("Somebody else works on this review."))


def why_not_free(review: Review) -> str:
    """Return the reason why a review cannot be taken."""
    if review.state == State.ASSIGNED:
        return _("Somebody else has taken this review.")
    return _("The review cannot be taken (%(state)s).") % state_words(review)


def _take(session_id: str, user: Any, alias: str) -> bool:
    """Take an unassigned review in one statement; return False if it is not unassigned."""
    free = Review.objects.using(alias).filter(pk=session_id, state=State.OPEN)
    if not free.update(state=State.ASSIGNED, assignee_id=user.pk):
        return False
    record(Review(pk=session_id), Action.TAKEN, user, alias)
    return True


def _open_missing(alias: str) -> int:
    rows = WorkflowSession.objects.using(alias).filter(needs_review=True, review=None)
    ids = list(rows.order_by("created_at", "pk").values_list("pk", flat=True)[:LOOKED_AT])
    return open_some(ids, alias) if ids else 0


def _open_again(review: Review) -> None:
    now = timezone.now()
    review.decision = review.reason = ""
    review.decided_by_id = review.decided_at = None
    review.confirmed_by_id = review.confirmed_at = None
    review.reopened_at, review.due_at = now, due_at(now, conf.COMPLYCUBE_REVIEW_DUE)
    review.reopened_because = ASSIGNED_AGAIN
    review.owes_reopened = signals.review_reopened.has_listeners(Review)


def state_words(review: Review) -> dict[str, str]:
    """Return the state of a review for a sentence."""
    return {"state": str(dict(State.choices).get(review.state, review.state))}
