"""What a session means as text, and what changed between two of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.reviews.meaning import MOST_DIFFERENCES, differences, fingerprint

words = st.text(max_size=8)
results = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["matches", "breakdown", "id", "validation"]), inner)
    ),
    max_leaves=12,
)
checks = st.builds(
    RelatedCheck, check_id=words, type=words, status=words, outcome=words, result=results
)
sessions = st.builds(WorkflowSession, status=words, outcome=words)
meanings = st.builds(fingerprint, sessions, st.lists(checks, max_size=4))


@given(one=meanings, other=meanings)
def test_differences__of_any_two(one: str, other: str) -> None:
    """They never fail, are bounded, and there are none of a meaning from itself."""
    assert differences(one, one) == []
    found = differences(one, other)
    assert len(found) <= MOST_DIFFERENCES
    assert all(found)


@given(text=st.text(), meaning=meanings)
def test_differences__from_any_text(text: str, meaning: str) -> None:
    """What comes from a form is never taken for what was seen, unless it says the same."""
    assert differences(text, meaning) or text == meaning


def screening(*validations: str, fetched: bool = True) -> str:
    matches = [{"id": str(n), "validation": word} for n, word in enumerate(validations)]
    result: dict[str, Any] = {"outcome": "attention"}
    if fetched:
        result["breakdown"] = {"matches": matches}
    check = RelatedCheck(
        check_id="c", type="standard_screening_check", outcome="attention", result=result
    )
    return fingerprint(WorkflowSession(status="complete", outcome="attention"), [check])


def test_matches__a_decision_on_one() -> None:
    (sentence,) = differences(screening("pending", ""), screening("rejected", ""))
    assert "undecided before: 2, now: 1" in sentence


def test_matches__one_for_another() -> None:
    """That the decisions of two matches are exchanged is a change, though their numbers are the same."""
    assert differences(screening("rejected", "confirmed"), screening("confirmed", "rejected"))


def test_matches__a_result_that_is_fetched_later() -> None:
    """A breakdown that nobody had fetched changes nothing by being fetched."""
    assert differences(screening(fetched=False), screening("pending")) == []
    assert differences(screening("pending"), screening(fetched=False)) == []


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The outcome went from clear to attention"),
        ("de", "Das Ergebnis ging von „Einwandfrei“ auf „Auffällig“"),
    ],
)
def test_differences__in_the_readers_language(language: str, sentence: str) -> None:
    one, other = (
        fingerprint(WorkflowSession(status="complete", outcome=word), [])
        for word in ("clear", "attention")
    )
    with translation.override(language):
        assert differences(one, other) == [sentence]
