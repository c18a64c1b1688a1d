"""The parts of every action on a review: locking it, recording who did what, and explaining why it is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from complycube_sessions.db.connections import is_durable, retry_transient, write_alias
from complycube_sessions.exceptions import ReviewConflictError
from complycube_sessions.models import (
    RelatedCheck,
    Review,
    ReviewEvent,
    ReviewNote,
    WorkflowSession,
)
from complycube_sessions.models.lengths import NAME_LENGTH
from complycube_sessions.models.reviews import NOTE_LENGTH
from complycube_sessions.reviews.meaning import fingerprint
from complycube_sessions.reviews.upkeep import lock_sessions, open_some

Result = TypeVar("Result")
CHECK_COLUMNS: Final = (
    "session",
    "check_id",
    "type",
    "status",
    "outcome",
    "result",
    "missing_since",
)


def in_one_piece(work: Callable[[str], Result]) -> Result:
    """Call ``work`` with the database alias in a transaction, retrying it if necessary, and return the result."""
    alias = write_alias()

    def write() -> Result:
        with transaction.atomic(using=alias):
            return work(alias)

    return retry_transient(write, alias=alias)


def after_commit(work: Callable[[], object]) -> None:
    """Call ``work`` once everything is committed: now, or when the caller's transaction ends."""
    alias = write_alias()
    if is_durable(alias):
        work()
    else:
        transaction.on_commit(work, using=alias, robust=True)


def on_locked_review(session_id: str, work: Callable[[Review, str], Result]) -> Result:
    """
    Call ``work`` with the locked review of a session, and return the result.

    Raises:
        ReviewConflictError: The session has no review.
    """
    open_missing_review(session_id)
    return in_one_piece(partial(_locked, session_id, work))


def open_missing_review(session_id: str) -> None:
    """Open the review of a session that needs one but has none, as other code than the mirror's wrote the session."""
    alias = write_alias()
    if not Review.objects.using(alias).filter(pk=session_id).exists():
        open_some([session_id], alias)


def _locked(session_id: str, work: Callable[[Review, str], Result], alias: str) -> Result:
    # Lock the session first, as the mirror does, to avoid a deadlock.
    lock_sessions([session_id], alias)
    review = Review.objects.using(alias).select_for_update().filter(pk=session_id).first()
    if review is None:
        raise ReviewConflictError(no_review(session_id))
    return work(review, alias)


def no_review(session_id: str) -> str:
    return _("Session %(id)s has no review: it needs none.") % {"id": session_id}


def current_fingerprint(session_id: str, alias: str) -> str:
    """Return the fingerprint of a session as it is stored now."""
    session = WorkflowSession.objects.using(alias).only("status", "outcome").get(pk=session_id)
    checks = RelatedCheck.objects.using(alias).filter(session=session_id).only(*CHECK_COLUMNS)
    return fingerprint(session, checks)


def record(review: Review, action: str, user: Any, alias: str, detail: str = "") -> None:
    """Record an action on a review; the name is kept if the user account is deleted."""
    ReviewEvent.objects.using(alias).create(
        review_id=review.pk,
        actor_id=user.pk,
        actor_name=name_of(user),
        action=action,
        at=timezone.now(),
        detail=detail,
    )


def write_note(review_id: str, user: Any, text: str, alias: str) -> ReviewNote:
    """Store a note as returned by ``checked_note``."""
    return ReviewNote.objects.using(alias).create(
        review_id=review_id, author_id=user.pk, author_name=name_of(user), text=text
    )


def checked_note(text: str) -> str:
    """
    Return a note in a form that can be stored, with uniform line ends.

    Raises:
        ValueError: It is longer than 5,000 characters.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    plain = plain.encode("utf-8", "replace").decode("utf-8").strip()
    if len(plain) > NOTE_LENGTH:
        raise ValueError(
            _("A note has at most %(most)d characters, this one has %(count)d.")
            % {"most": NOTE_LENGTH, "count": len(plain)}
        )
    return plain


def name_of(user: Any) -> str:
    """Return the name a user signs in with, which colleagues know."""
    return str(user.get_username())[:NAME_LENGTH]
