"""What people do on a review, through the public services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from complycube_sessions import signals
from complycube_sessions.exceptions import ReviewConflictError, ReviewPermissionError
from complycube_sessions.models import Review, ReviewEvent, ReviewNote, WorkflowSession
from complycube_sessions.services import (
    add_review_note,
    assign_review,
    confirm_review,
    decide_review,
    release_review,
    review_fingerprint,
    take_next_review,
    take_review,
)
from tests.builders import session_row
from tests.reviews.builders import make_user, session_id, store
from tests.reviews.test_store import heard

pytestmark = pytest.mark.django_db
Sessions = WorkflowSession.objects


def events(pk: str) -> list[tuple[str, str]]:
    rows = ReviewEvent.objects.filter(review=pk).order_by("pk")
    return list(rows.values_list("action", "actor_name"))


def test_take__the_oldest_first() -> None:
    """Each press gives another one, from the one that waits longest on, until there is none."""
    for number in (3, 1, 2):
        store(number)
    user = make_user("ada")
    taken = [take_next_review(user) for _ in range(4)]
    assert [review and review.pk for review in taken] == [*map(session_id, (1, 2, 3)), None]
    assert {review.assignee for review in Review.objects.all()} == {user}
    assert events(session_id(2)) == [("taken", "ada")]


def test_take__what_the_store_did_not_write() -> None:
    """A session that something else has stored has its review as soon as anybody asks."""
    row = session_row(needs_review=True, status="complete", outcome="attention")
    other = session_row("other", needs_review=True)
    taken = take_next_review(make_user())
    assert taken is not None
    assert taken.pk in {row.pk, "other"}
    assert take_review(({row.pk, other.pk} - {taken.pk}).pop(), make_user()).state == "assigned"


def test_take__somebody_was_quicker() -> None:
    pk = store()
    first, second = make_user("ada"), make_user("bob")
    take_review(pk, first)
    assert take_review(pk, first).assignee == first  # again is no error
    with pytest.raises(ReviewConflictError, match="Somebody else") as caught:
        take_review(pk, second)
    assert "ada" not in str(caught.value)
    assert events(pk) == [("taken", "ada")]


@pytest.mark.parametrize("outcome", ["clear", "rejected"])
def test_take__nothing_to_review(outcome: str) -> None:
    pk = store(outcome=outcome)
    user = make_user()
    calls: list[Callable[[], Any]] = [
        lambda: take_review(pk, user),
        lambda: assign_review(pk, user, user),
        lambda: release_review(pk, user),
        lambda: add_review_note(pk, user, "text"),
        lambda: decide_review(pk, user, "approved"),
        lambda: confirm_review(pk, user, True),
        lambda: take_review("unknown", user),
    ]
    for call in calls:
        with pytest.raises(ReviewConflictError):
            call()
    assert not Review.objects.exists()


def test_assign__to_somebody_and_to_nobody() -> None:
    pk = store()
    lead, ada = make_user("lead"), make_user("ada")
    assert assign_review(pk, ada, lead).assignee == ada
    assert list(Sessions.assigned_to(ada)) == [WorkflowSession(pk)]
    assert assign_review(pk, None, lead).state == "open"
    assert [e.detail for e in ReviewEvent.objects.order_by("pk")] == ["ada", ""]
    assert events(pk) == [("assigned", "lead"), ("assigned", "lead")]
    ada.is_active = False
    with pytest.raises(ReviewPermissionError):
        assign_review(pk, ada, lead)


def test_assign__opens_a_decided_one_again() -> None:
    """An escalated case goes to whom the lead gives it."""
    pk = store()
    lead, ada = make_user(), make_user()
    decide_review(pk, ada, "escalated")
    with heard(signals.review_reopened) as told:
        review = assign_review(pk, lead, lead)
    assert (review.state, review.decision, review.assignee) == ("assigned", "", lead)
    assert told == [review]
    assert [action for action, _ in events(pk)] == ["decided", "reopened", "assigned"]


def test_release__only_ones_own() -> None:
    pk = store()
    ada = make_user()
    take_review(pk, ada)
    with pytest.raises(ReviewPermissionError):
        release_review(pk, make_user())
    assert release_review(pk, ada).state == "open"
    with pytest.raises(ReviewConflictError):
        release_review(pk, ada)


def test_note__is_kept_as_written() -> None:
    """Hostile text is stored as text, and line ends are of one kind."""
    pk = store()
    ada = make_user("ada")
    text = "<script>alert(1)</script>\r\n=1+1 \ud800\0 ünï 🙂"
    note = add_review_note(pk, ada, f"  {text}  ")
    assert note.text == "<script>alert(1)</script>\n=1+1 ? ünï 🙂"
    assert (note.author, note.author_name) == (ada, "ada")
    for wrong in ("", "  \n", "x" * 5001):
        with pytest.raises(ValueError, match=r"note|characters"):
            add_review_note(pk, ada, wrong)
    assert ReviewNote.objects.count() == 1


def test_decide__for_what_was_seen() -> None:
    """A decision that was made on an older page is refused, with what changed in words."""
    pk = store()
    ada = make_user()
    seen = review_fingerprint(pk)
    store(check="attention")
    with pytest.raises(ReviewConflictError, match="went from clear to attention") as caught:
        decide_review(pk, ada, "approved", seen=seen)
    assert caught.value.changes == ["AML screening went from clear to attention"]
    assert Review.objects.get().state == "open"

    seen = review_fingerprint(pk)
    review = decide_review(pk, ada, "declined", "Suspected fraud", "He lied.", seen=seen)
    assert (review.state, review.decision, review.reason) == (
        "decided",
        "declined",
        "Suspected fraud",
    )
    assert (review.decided_by, review.assignee, review.seen_fingerprint) == (ada, ada, seen)
    assert [note.text for note in review.notes.all()] == ["He lied."]
    assert [e.detail for e in review.events.all()] == ["declined: Suspected fraud"]


@pytest.mark.parametrize("seen", ["x", "[]", "{}", "[" * 5000, '{"checks":{"a":[]},"status":1}'])
def test_decide__what_was_seen_is_nonsense(seen: str) -> None:
    pk = store()
    with pytest.raises(ReviewConflictError, match="The session has changed"):
        decide_review(pk, make_user(), "approved", seen=seen)


def test_decide__twice_or_by_another() -> None:
    pk = store()
    ada = make_user()
    take_review(pk, ada)
    with pytest.raises(ReviewPermissionError):
        decide_review(pk, make_user(), "approved")
    decide_review(pk, ada, "approved")
    with pytest.raises(ReviewConflictError):
        decide_review(pk, ada, "declined")
    assert Review.objects.get().decision == "approved"


def test_decide__words_that_are_none(settings: Any) -> None:
    pk = store()
    ada = make_user()
    with pytest.raises(ValueError, match="decision"):
        decide_review(pk, ada, "maybe")
    with pytest.raises(ValueError, match="reason"):
        decide_review(pk, ada, "approved", "Suspected fraud")
    settings.COMPLYCUBE_REVIEW_REASONS = ["Seen in person"]
    assert decide_review(pk, ada, "approved", "Seen in person").reason == "Seen in person"


@pytest.mark.parametrize("named", ["approved", "attention"])
def test_four_eyes(named: str, settings: Any) -> None:
    """A second person confirms or sends back, and never the one who has decided."""
    settings.COMPLYCUBE_FOUR_EYES = [named]
    pk = store()
    ada, lead = make_user("ada"), make_user("lead")
    take_review(pk, ada)
    with heard(signals.review_decided) as told:
        assert decide_review(pk, ada, "approved").state == "awaiting_confirmation"
        with pytest.raises(ReviewPermissionError):
            confirm_review(pk, ada, True)
        with pytest.raises(ReviewConflictError):
            assign_review(pk, ada, lead)
        back = confirm_review(pk, lead, False, "Look at the passport.")
        assert (back.state, back.assignee, back.decision) == ("assigned", ada, "")
        decide_review(pk, ada, "approved")
        assert told == []
        assert confirm_review(pk, lead, True).state == "decided"
        assert [review.pk for review in told] == [pk]
    review = Review.objects.get()
    assert (review.decided_by, review.confirmed_by) == (ada, lead)
    assert review.confirmed_at is not None
    with pytest.raises(ReviewConflictError):
        confirm_review(pk, lead, True)
    assert [action for action, _ in events(pk)] == [
        *("taken", "decided", "sent_back", "decided", "confirmed")
    ]


def test_four_eyes__not_of_other_decisions(settings: Any) -> None:
    settings.COMPLYCUBE_FOUR_EYES = ["approved", "clear"]
    assert decide_review(store(), make_user(), "declined").state == "decided"


def test_querysets__read_like_the_question(settings: Any) -> None:
    settings.COMPLYCUBE_FOUR_EYES = ["declined"]
    ada = make_user()
    free, own, waiting, done, clear = (
        store(1),
        store(2),
        store(3),
        store(4),
        store(5, outcome="clear"),
    )
    take_review(own, ada)
    decide_review(waiting, ada, "declined")
    decide_review(done, ada, "approved")
    Review.objects.update(due_at=timezone.now() + timedelta(hours=1))
    Review.objects.filter(pk__in=[own, done]).update(due_at=timezone.now() - timedelta(hours=1))

    def ids(rows: Any) -> set[str]:
        return set(rows.values_list("pk", flat=True))

    assert ids(Sessions.open_reviews()) == {free, own, waiting}
    assert ids(Sessions.unassigned()) == {free}
    assert ids(Sessions.assigned_to(ada)) == {own}
    assert ids(Sessions.overdue()) == {own}
    assert clear not in ids(Sessions.needs_review())


@pytest.mark.parametrize("state", ["assigned", "awaiting_confirmation", "decided"])
def test_deleted_person__leaves_no_dangling_name(state: str, settings: Any) -> None:
    """An account may go: what it held is free again, what it did keeps the name."""
    settings.COMPLYCUBE_FOUR_EYES = ["approved"] if state == "awaiting_confirmation" else []
    pk = store()
    ada = make_user("ada")
    take_review(pk, ada)
    add_review_note(pk, ada, "text")
    if state != "assigned":
        decide_review(pk, ada, "approved")

    ada.delete()

    review = Review.objects.get()
    assert review.assignee_id is review.decided_by_id is None
    assert review.state == ("open" if state == "assigned" else state)
    assert {name for _, name in events(pk)} == {"ada"}
    assert [(note.author, note.author_name) for note in review.notes.all()] == [(None, "ada")]
    if state == "assigned":
        assert take_next_review(make_user()) is not None


def test_signal__a_receiver_that_fails() -> None:
    """It neither undoes the decision nor keeps others from hearing of it."""

    def fail(**kwargs: Any) -> None:
        raise RuntimeError

    pk = store()
    signals.review_decided.connect(fail)
    try:
        with heard(signals.review_decided) as told:
            decide_review(pk, make_user(), "approved")
    finally:
        signals.review_decided.disconnect(fail)
    assert [review.state for review in told] == ["decided"]
    assert not Review.objects.get().owes_decided


@pytest.mark.django_db(transaction=True)
def test_signal__only_after_the_callers_commit() -> None:
    """Inside a transaction of the caller nothing is said before it ends well."""
    pk = store()
    with heard(signals.review_decided) as told:
        with transaction.atomic():
            decide_review(pk, make_user(), "approved")
            transaction.set_rollback(True)
        assert told == []
        with transaction.atomic():
            decide_review(pk, make_user(), "approved")
            assert told == []
        assert [review.pk for review in told] == [pk]
