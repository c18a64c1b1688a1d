"""What an evidence holds of a review."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from complycube_sessions.evidence.build import Content
from complycube_sessions.services import (
    add_review_note,
    confirm_review,
    decide_review,
    export_evidence,
    verify_evidence,
)
from tests.reviews.builders import make_user, store

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script>\u202e"


def test_evidence__has_the_review(settings: Any) -> None:
    """Decision, notes and who did what stand in the file that the hash is of, and on its page as text."""
    settings.COMPLYCUBE_FOUR_EYES = ["declined"]
    pk = store()
    add_review_note(pk, make_user("ada"), EVIL)
    decide_review(pk, make_user("bob"), "declined", "Suspected fraud")
    confirm_review(pk, make_user("eve"), True)

    evidence = export_evidence(pk)

    review = json.loads(evidence.json)["review"]
    assert (review["state"], review["decision"]) == ("decided", "declined")
    assert [note["text"] for note in review["notes"]] == [EVIL]
    assert [(e["actor_name"], e["action"], e["detail"]) for e in review["events"]] == [
        ("bob", "decided", "declined: Suspected fraud"),
        ("eve", "confirmed", ""),
    ]
    assert evidence.record.sha256 == hashlib.sha256(evidence.json).hexdigest()
    assert verify_evidence(evidence.json)
    page = evidence.page.decode()
    assert "Suspected fraud" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page


def test_evidence__without_a_review() -> None:
    """A session that nobody had to review has none, and nothing is said to be left out."""
    document = json.loads(export_evidence(store(outcome="clear")).json)
    assert document["review"] is None
    assert document["left_out"] == []


def test_evidence__of_one_who_may_not_see_reviews() -> None:
    pk = store()
    add_review_note(pk, make_user(), "secret words")
    evidence = export_evidence(pk, content=Content(reviews=False))
    assert b"secret words" not in evidence.json + evidence.page
    assert b"The review is left out" in evidence.page
    assert {"what": "review", "why": "permission"} in json.loads(evidence.json)["left_out"]
