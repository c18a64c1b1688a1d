"""What a fetched object tells of a change whose answer was lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complycube_sessions.models import UpstreamChange
from complycube_sessions.upstream.requested import (
    CheckState,
    RequestedChange,
    check_shows,
    session_shows,
    verdict,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
MATCHES = {"breakdown": {"matches": [{"id": "m1", "validation": "pending"}, {"id": "m2"}]}}


def validation(outcome: str, match_id: str = "") -> RequestedChange:
    return RequestedChange(UpstreamChange.Action.VALIDATE, "s", "c", match_id, outcome)


@pytest.mark.parametrize(
    ("action", "status", "shown"),
    [
        ("complete", "processing", True),
        ("complete", "complete", True),
        ("complete", "started", False),
        ("complete", "cancelled", False),
        ("cancel", "cancelled", True),
        ("cancel", "started", False),
        ("cancel", "complete", False),
        ("cancel", "withdrawn", None),
        ("complete", "", None),
    ],
)
def test_session_shows(action: str, status: str, shown: bool | None) -> None:
    """A status that only the change leads to shows it; one that nobody knows tells nothing."""
    assert session_shows(action, status) is shown


@pytest.mark.parametrize(
    ("outcome", "before", "now", "shown"),
    [
        ("confirmed", "attention", "clear", True),
        ("confirmed", "attention", "attention", False),
        ("rejected", "attention", "rejected", True),
        ("rejected", "attention", "clear", False),
        ("attention", "clear", "attention", True),
    ],
)
def test_check_shows__outcome(outcome: str, before: str, now: str, shown: bool | None) -> None:
    """The outcome that a validation leads to shows it."""
    states = CheckState(before, {}, NOON), CheckState(now, {}, LATER)
    assert check_shows(validation(outcome), *states) is shown


def test_check_shows__nothing_that_could_be_seen() -> None:
    """An outcome that was there before tells only by a later time."""
    before = CheckState("clear", {}, NOON)
    assert check_shows(validation("confirmed"), before, before) is None
    assert check_shows(validation("confirmed"), before, CheckState("clear", {}, LATER)) is True


@pytest.mark.parametrize(
    ("match_id", "now", "shown"),
    [
        ("m1", "rejected", True),
        ("m1", "pending", False),
        ("m2", "rejected", True),
        ("m3", "x", None),
    ],
)
def test_check_shows__match(match_id: str, now: str, shown: bool | None) -> None:
    """Of a screening the match tells, and not the outcome, which others have a part in."""
    matches = [{"id": match_id if match_id != "m3" else "m1", "validation": now}]
    after = CheckState("attention", {"breakdown": {"matches": matches}}, LATER)
    before = CheckState("attention", MATCHES, NOON)
    assert check_shows(validation("rejected", match_id), before, after) is shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["breakdown", "matches", "id", "validation"]), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_verdict__any_shape(result: Any) -> None:
    """A result of whatever shape is read without an error."""
    found = verdict(result, "m1")
    assert found is None or isinstance(found, str)
    assert verdict({"breakdown": {"matches": [result, {"id": "m1", "validation": "x"}]}}, "m1")
