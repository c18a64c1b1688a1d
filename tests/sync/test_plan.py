"""What a page of the session list and the stored facts say, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from complycube_sessions.api.payloads import SessionSummary
from complycube_sessions.mirror.queries import SessionState
from complycube_sessions.privacy.tombstones import ErasedIds
from complycube_sessions.sync.plan import PagePlan, StoredFacts, moved_sessions, plan_page

MOMENT = datetime(2025, 1, 2, tzinfo=UTC)


def listed(session_id: str, client_id: str = "c", **values: Any) -> SessionSummary:
    item = SessionSummary(
        id=session_id,
        client_id=client_id,
        entity_name="",
        status="complete",
        outcome="clear",
        workflow_template_id="",
        workflow_template_name="",
        workflow_id="",
        workflow_version=None,
        created_at=MOMENT,
        updated_at=MOMENT,
    )
    return replace(item, **values)


def stored(item: SessionSummary, **values: Any) -> SessionState:
    told: dict[str, object] = {"client_id": item.client_id, "outcome": item.outcome}
    state = SessionState(item.updated_at, MOMENT + timedelta(hours=1), told)
    return replace(state, **values)


def planned(
    *moved: SessionSummary, known: tuple[str, ...] = (), keeps: bool = True, **facts: Any
) -> PagePlan:
    return plan_page(moved, known, StoredFacts(**facts), lambda item: keeps, 0)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({}, False),
        ({"updated_at": MOMENT + timedelta(seconds=1)}, True),
        ({"updated_at": MOMENT - timedelta(seconds=1)}, False),
        ({"updated_at": None}, True),
        ({"outcome": "attention"}, True),
        ({"outcome": ""}, False),
    ],
)
def test_moved__what_a_page_tells(change: dict[str, Any], moved: bool) -> None:
    """A session has moved where its entry says more than the stored row."""
    item = listed("a")
    page = [replace(item, **change)]
    assert bool(moved_sessions(page, {"a": stored(item)}, ())) is moved


def test_moved__new_and_foreign() -> None:
    """A session that is not stored has moved; another account's never has."""
    page = [listed("new"), listed("foreign")]
    assert [item.id for item in moved_sessions(page, {}, {"foreign"})] == ["new"]


def test_plan__fetches_what_moved() -> None:
    """New and known sessions are fetched in the order of the page."""
    assert planned(listed("b"), listed("a"), known=("a",)) == PagePlan(["b", "a"], [], 0, 0)


def test_plan__counts_the_others_as_unchanged() -> None:
    """What is stored as it is listed is unchanged."""
    plan = plan_page([listed("a")], (), StoredFacts(), lambda item: True, 7)
    assert plan == PagePlan(["a"], [], 0, 7)


def test_plan__retention_keeps_new_ones_out() -> None:
    """What retention would remove is not fetched unless it is stored, and counts as unchanged."""
    plan = planned(listed("new"), listed("known"), known=("known",), keeps=False)
    assert plan == PagePlan(["known"], [], 0, 1)


def test_plan__waiting_and_taken() -> None:
    """What failed lately waits; what this run fetches for another reason counts there."""
    plan = planned(listed("a"), listed("b"), listed("c"), taken={"b"}, waiting={"c"})
    assert plan == PagePlan(["a"], ["c"], 0, 1)


def test_plan__taken_before_waiting() -> None:
    """What is due by now does not wait as well."""
    assert planned(listed("a"), taken={"a"}, waiting={"a"}) == PagePlan([], [], 0, 1)


def test_plan__erased_persons_are_kept_out() -> None:
    """An erased session is never fetched; one of an erased client only while its row is stored."""
    erased = ErasedIds(clients=frozenset({"gone"}), sessions=frozenset({"s"}))
    plan = planned(
        listed("s"),
        listed("new", "gone"),
        listed("moved", "gone"),
        listed("other"),
        known=("s", "new"),
        erased=erased,
        still_stored={"s", "moved"},
    )
    assert plan == PagePlan(["moved", "other"], [], 2, 0)


def test_plan__row_of_an_erased_client_is_asked_for_past_retention() -> None:
    """Its row must go, however old it is."""
    erased = ErasedIds(clients=frozenset({"gone"}))
    plan = planned(listed("a", "gone"), erased=erased, still_stored={"a"}, keeps=False)
    assert plan == PagePlan(["a"], [], 0, 0)
