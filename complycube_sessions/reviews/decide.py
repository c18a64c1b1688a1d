"""Deciding a review, and confirming the decision of another person."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from complycube_sessions import signals
from complycube_sessions.conf import conf
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ReviewConflictError, ReviewPermissionError
from complycube_sessions.models import Review, ReviewEvent, WorkflowSession
from complycube_sessions.reviews.announce import announce_decided
from complycube_sessions.reviews.meaning import differences
from complycube_sessions.reviews.records import (
    after_commit,
    checked_note,
    current_fingerprint,
    on_locked_review,
    record,
    write_note,
)
from complycube_sessions.reviews.work import refuse_others, state_words
from complycube_sessions.setting_rules import REVIEW_REASONS

State = Review.State
Action = ReviewEvent.Action


def decide_review(
    session_id: str,
    user: Any,
    decision: str,
    reason: str = "",
    note: str = "",
    *,
    seen: str = "",
) -> Review:
    """
    Decide the review of a session, based on what the person has seen.

    If ``COMPLYCUBE_FOUR_EYES`` names the decision or the session's outcome, a second person has to confirm it.

    Args:
        session_id: The vendor's id of the session.
        user: The person who decides; the review must be theirs or unassigned.
        decision: ``approved``, ``declined``, ``more_information`` or ``escalated``.
        reason: One of ``COMPLYCUBE_REVIEW_REASONS`` for the decision, or ``""``.
        note: Free text that is stored as a note.
        seen: The ``review_fingerprint`` from when the person's page was rendered; without it the decision is
            based on what is stored now.

    Raises:
        ReviewConflictError: The session has changed since, as ``changes`` describes, or the review was decided
            meanwhile.
        ReviewPermissionError: The review is assigned to somebody else.
        ValueError: The decision or the reason is unknown, or the note is too long.
    """
    if decision not in Review.Decision.values:
        raise ValueError(_("Choose a decision."))
    if reason and reason not in reasons_for(decision):
        raise ValueError(_("That is no reason for this decision."))
    text = checked_note(note)

    def decide(review: Review, alias: str) -> Review:
        if review.state not in {State.OPEN, State.ASSIGNED}:
            message = _("The review cannot be decided (%(state)s).") % state_words(review)
            raise ReviewConflictError(message)
        refuse_others(review, user)
        now_seen = current_fingerprint(session_id, alias)
        refuse_older(seen or now_seen, now_seen)
        review.assignee_id, review.decided_by_id = user.pk, user.pk
        review.decision, review.reason = decision, reason
        review.decided_at, review.seen_fingerprint = timezone.now(), now_seen
        _judge(review, is_final=not needs_second_person(session_id, decision, alias))
        review.save(using=alias)
        detail = f"{decision}: {reason}" if reason else decision
        record(review, Action.DECIDED, user, alias, detail)
        if text:
            write_note(review.pk, user, text, alias)
        return review

    return _announced(on_locked_review(session_id, decide))


def confirm_review(session_id: str, user: Any, agree: bool, note: str = "") -> Review:
    """
    Confirm the decision of another person, or send the review back to its assignee.

    Args:
        session_id: The vendor's id of the session.
        user: The person who confirms; not the one who decided.
        agree: Whether the decision is right.
        note: Free text that is stored as a note.

    Raises:
        ReviewConflictError: The review does not wait for a confirmation, or the session has changed.
        ReviewPermissionError: The same person made the decision.
        ValueError: The note is too long.
    """
    text = checked_note(note)

    def confirm(review: Review, alias: str) -> Review:
        if review.state != State.AWAITING_CONFIRMATION:
            message = _("The review does not wait for a second person (%(state)s).")
            raise ReviewConflictError(message % state_words(review))
        if review.decided_by_id == user.pk:
            raise ReviewPermissionError(_("Nobody confirms the own decision."))
        refuse_older(review.seen_fingerprint, current_fingerprint(session_id, alias))
        if agree:
            review.confirmed_by_id, review.confirmed_at = user.pk, timezone.now()
            _judge(review, is_final=True)
        else:
            _send_back(review)
        review.save(using=alias)
        record(review, Action.CONFIRMED if agree else Action.SENT_BACK, user, alias)
        if text:
            write_note(review.pk, user, text, alias)
        return review

    return _announced(on_locked_review(session_id, confirm))


def review_fingerprint(session_id: str) -> str:
    """
    Return a fingerprint of the session as it is stored now, to pass to ``decide_review`` as ``seen``.

    Raises:
        WorkflowSession.DoesNotExist: The session is not stored.
    """
    return current_fingerprint(session_id, write_alias())


def reasons_for(decision: str) -> list[str]:
    """Return the allowed reasons for a decision."""
    reasons = conf.COMPLYCUBE_REVIEW_REASONS
    if reasons is None:
        reasons = REVIEW_REASONS
    return list(reasons.get(decision, ()) if isinstance(reasons, Mapping) else reasons)


def needs_second_person(session_id: str, decision: str, alias: str) -> bool:
    """Return whether ``COMPLYCUBE_FOUR_EYES`` names the decision or the outcome of the session."""
    named = conf.COMPLYCUBE_FOUR_EYES
    sessions = WorkflowSession.objects.using(alias).filter(pk=session_id, outcome__in=named)
    return decision in named or (bool(named) and sessions.exists())


def refuse_older(seen: str, now: str) -> None:
    """Raise ``ReviewConflictError`` if the session has changed since it was seen."""
    if changes := differences(seen, now):
        message = _(
            "The session has changed since this page was made. Look at it again: %(changes)s."
        )
        raise ReviewConflictError(message % {"changes": "; ".join(changes)}, changes=changes)


def _judge(review: Review, *, is_final: bool) -> None:
    review.state = State.DECIDED if is_final else State.AWAITING_CONFIRMATION
    review.owes_decided = is_final and signals.review_decided.has_listeners(Review)


def _send_back(review: Review) -> None:
    review.state = State.ASSIGNED if review.assignee_id else State.OPEN
    review.decision = review.reason = ""
    review.decided_by_id = review.decided_at = None


def _announced(review: Review) -> Review:
    if review.owes_decided:
        after_commit(partial(announce_decided, [review.pk], write_alias()))
    return review
