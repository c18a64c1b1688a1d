"""What the store does to reviews: it opens them, opens them again, and takes back what is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from complycube_sessions import signals
from complycube_sessions.models import Review, ReviewEvent, WorkflowSession
from complycube_sessions.services import (
    confirm_review,
    decide_review,
    refresh_sessions,
    take_review,
)
from tests.builders import by_hand
from tests.fake_api import FakeAPI
from tests.reviews.builders import NOON, make_user, store

pytestmark = pytest.mark.django_db


@contextmanager
def heard(signal: Any) -> Iterator[list[Review]]:
    """Collect the reviews that a signal tells of."""
    told: list[Review] = []

    def listen(sender: Any, review: Review, **kwargs: Any) -> None:
        told.append(review)

    signal.connect(listen)
    try:
        yield told
    finally:
        signal.disconnect(listen)


def test_store__opens_one_review() -> None:
    """A session that needs a review has one, also when it is stored again."""
    pk = store(outcome="attention")
    store(outcome="attention")

    review = Review.objects.get()
    assert (review.pk, review.state, review.assignee) == (pk, "open", None)
    assert review.opened_at == NOON + timedelta(seconds=1)  # it waits since it was completed
    assert review.due_at == review.opened_at + timedelta(days=2)


@pytest.mark.parametrize(
    "said", [{"outcome": "clear"}, {"outcome": "rejected"}, {"status": "processing"}]
)
def test_store__opens_none(said: dict[str, Any]) -> None:
    store(**said)
    assert not Review.objects.exists()


def test_store__opens_later() -> None:
    """A session that turns is open since it turned, not since it completed."""
    store(outcome="clear")
    store(outcome="attention")
    review = Review.objects.get()
    assert review.state == "open"
    assert review.opened_at > NOON + timedelta(days=1)


def test_store__one_review_a_session() -> None:
    """The schema refuses a second one."""
    pk = store()
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.bulk_create([Review(session_id=pk)])


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [
        ({}, {"check": "attention"}, "AML screening went from clear to attention"),
        ({}, {"outcome": "review"}, "The outcome went from attention to review"),
        ({}, {"outcome": "clear"}, "The outcome went from attention to clear"),
        ({}, {"status": "processing"}, "The status went from complete to processing"),
        ({}, {"checks": 2}, "AML screening was added"),
        ({"checks": 2}, {}, "AML screening is gone"),
        (
            {"check_status": "pending"},
            {},
            "The status of AML screening went from pending to complete",
        ),
        (
            {"matches": ["pending", "rejected"]},
            {"matches": ["rejected", "rejected"]},
            "Matches of AML screening were decided or added (undecided before: 1, now: 0)",
        ),
    ],
)
@pytest.mark.parametrize("final", [True, False])
def test_store__reopens_what_changed(
    before: dict[str, Any], after: dict[str, Any], because: str, final: bool, settings: Any
) -> None:
    """A change of meaning takes a decision back, whether it was confirmed or waits for that, and says why."""
    settings.COMPLYCUBE_FOUR_EYES = [] if final else ["approved"]
    user = make_user()
    pk = store(**before)
    take_review(pk, user)
    decide_review(pk, user, "approved")

    store(**after)

    review = Review.objects.get()
    assert (review.state, review.assignee, review.decision) == ("assigned", user, "")
    assert (review.decided_by, review.decided_at) == (None, None)
    assert review.reopened_because.split("\n")[0] == because
    assert review.reopened_at is not None
    assert list(review.events.order_by("pk").values_list("action", flat=True))[-1] == "reopened"


@pytest.mark.parametrize("what", ["nothing", "name"])
def test_store__leaves_a_decision_alone(what: str) -> None:
    """Content that means the same leaves a decision as it is."""
    user = make_user()
    pk = store(outcome="review")
    decide_review(pk, user, "declined")
    if what == "name":
        with by_hand():
            WorkflowSession.objects.update(entity_name="Other")
    store(outcome="review")
    review = Review.objects.get()
    assert (review.state, review.decision, review.decided_by) == ("decided", "declined", user)
    assert not ReviewEvent.objects.filter(action="reopened").exists()


def test_store__takes_back_what_is_not_needed() -> None:
    """Where nobody has decided, nobody has to when the session turns clear; and has to when it turns back."""
    pk = store()
    take_review(pk, make_user())
    store(outcome="clear")
    review = Review.objects.get()
    assert (review.state, review.decision) == ("decided", "")
    assert list(review.events.order_by("pk").values_list("action", flat=True))[-1] == "withdrawn"

    store(outcome="attention")
    review.refresh_from_db()
    assert review.state == "assigned"
    assert review.reopened_because == "The session needs a review again"


def test_store__says_that_it_reopened() -> None:
    """The signal comes once, after what it tells is stored."""
    user = make_user()
    pk = store()
    decide_review(pk, user, "approved")
    with heard(signals.review_reopened) as told:
        store(check="attention")
        store(check="attention")
    assert [review.pk for review in told] == [pk]
    assert told[0].reopened_because == "AML screening went from clear to attention"
    assert not Review.objects.get().owes_reopened


def test_store__says_it_again_after_a_kill(api: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process has not said, the next run says, and opens what has no review."""
    pk = store()
    other = store(2)
    decide_review(pk, make_user(), "approved")
    with monkeypatch.context() as killed, heard(signals.review_reopened) as told:
        killed.setattr("complycube_sessions.mirror.write.announce_reopened", lambda *a: None)
        store(check="attention")
        assert told == []
        Review.objects.filter(pk=other).delete()
        refresh_sessions()
        refresh_sessions()
        assert [review.pk for review in told] == [pk]
    assert Review.objects.get(pk=other).state == "open"


def test_store__a_session_without_checks() -> None:
    """A decision on a session without a check is followed too."""
    pk = store(checks=0)
    decide_review(pk, make_user(), "approved")
    store(checks=0)
    assert Review.objects.get().state == "decided"
    store(checks=0, outcome="review")
    assert Review.objects.get().state == "assigned"


def test_store__confirmed_is_followed_as_well(settings: Any) -> None:
    settings.COMPLYCUBE_FOUR_EYES = ["approved"]
    pk = store()
    decide_review(pk, make_user(), "approved")
    confirm_review(pk, make_user(), True)
    store(check="rejected")
    review = Review.objects.get()
    assert (review.state, review.confirmed_by, review.confirmed_at) == ("assigned", None, None)
