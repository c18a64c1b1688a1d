from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from complycube_sessions.api.payloads import parse_check, parse_session
from complycube_sessions.conf import get_account
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession, supersedes
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.models import RelatedCheck, SessionChange, WorkflowSession
from tests.builders import by_hand
from tests.examples import examples
from tests.fake_api import iso

pytestmark = pytest.mark.django_db
SESSION_ID, CHECK_ID = "5eb2b61e02df0a0008f1cf2a", "5eb2b61e02df0a0008f1cf2b"
START = datetime(2026, 1, 1, tzinfo=UTC)
storing = settings(
    max_examples=examples(15, 120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Seen:
    """A copy of the session: its time at the vendor (None: unreadable), when we asked, what it said."""

    updated: int | None
    fetched: int
    outcome: str

    def fetched_session(self) -> FetchedSession:
        updated_at = (
            "soon" if self.updated is None else iso(START + timedelta(minutes=self.updated))
        )
        common = {"status": "complete", "createdAt": iso(START), "updatedAt": updated_at}
        at = START + timedelta(days=1, seconds=self.fetched)
        check = {**common, "id": CHECK_ID, "result": {"outcome": self.outcome}}
        source = {
            **common,
            "id": SESSION_ID,
            "outcome": self.outcome,
            "allRelatedChecks": [{"checkId": CHECK_ID, "type": "t", "taskId": "1"}],
        }
        return FetchedSession(
            SESSION_ID,
            parse_session(source, session_id=SESSION_ID),
            at,
            (FetchedCheck(parse_check(check, check_id=CHECK_ID), at),),
        )


outcomes = st.sampled_from(["clear", "attention", "rejected"])
known = st.builds(Seen, st.integers(0, 5), st.integers(0, 50), outcomes)
any_copy = st.builds(Seen, st.none() | st.integers(0, 5), st.integers(0, 50), outcomes)


def consistent(copies: list[Seen]) -> list[Seen]:
    """Let copies of the same version, or of the same moment, say the same, as an API would."""
    said: dict[object, Seen] = {}
    return [said.setdefault((c.updated, c.fetched), c) for c in copies]


def store(copies: list[Seen], sizes: list[int]) -> None:
    """Store the copies in their order, in batches of the given sizes."""
    with by_hand():
        WorkflowSession.objects.all().delete()
    rest = list(copies)
    for size in [*sizes, len(copies)]:
        batch, rest = rest[:size], rest[size:]
        if batch:
            assert not store_batch(get_account(), [c.fetched_session() for c in batch]).failed


def stored_copy() -> tuple[object, ...]:
    row, check = WorkflowSession.objects.get(), RelatedCheck.objects.get()
    return row.outcome, row.updated_at, row.fetched_at, check.outcome, check.updated_at


@storing
@given(
    st.lists(known, min_size=1, max_size=6), st.lists(st.integers(1, 3), max_size=4), st.randoms()
)
def test_merge__any_order_of_arrival(copies: list[Seen], sizes: list[int], rng: object) -> None:
    """In whatever order and batches copies arrive, the newest one is what stays."""
    copies = consistent(copies)
    newest = max(copies, key=lambda c: (c.updated, c.fetched))
    shuffled = list(copies)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random of hypothesis

    store(shuffled, sizes)

    expected = newest.fetched_session()
    assert expected.payload is not None
    at = expected.payload.updated_at
    assert stored_copy() == (newest.outcome, at, expected.fetched_at, newest.outcome, at)


@storing
@given(st.lists(any_copy, min_size=2, max_size=6))
def test_merge__each_step(copies: list[Seen]) -> None:
    """Each arrival obeys the rule, unreadable times included, and the history tells each step once."""
    copies = consistent(copies)
    current = copies[0]
    steps = [current.outcome]
    for copy in copies[1:]:
        if None in (copy.updated, current.updated) or copy.updated == current.updated:
            wins = copy.fetched >= current.fetched
        else:
            wins = (copy.updated or 0) > (current.updated or 0)
        current = copy if wins else current
        steps.append(current.outcome)

    store(copies, [1] * len(copies))

    assert stored_copy()[0] == current.outcome
    told = SessionChange.objects.filter(check_id="", field="outcome").order_by("pk")
    expected = [(old, new) for old, new in pairwise(steps) if old != new]
    assert list(told.values_list("old", "new")) == expected


@storing
@given(any_copy, st.integers(1, 4))
def test_merge__same_copy_again(copy: Seen, times: int) -> None:
    """The same copy, however often it arrives, changes nothing and makes no history."""
    store([copy], [])
    before = (WorkflowSession.objects.values().get(), RelatedCheck.objects.values().get())

    for _ in range(times):
        stored = store_batch(get_account(), [copy.fetched_session()])
        assert stored.effects == {SESSION_ID: "unchanged"}

    assert (WorkflowSession.objects.values().get(), RelatedCheck.objects.values().get()) == before
    assert not SessionChange.objects.exists()


@storing
@given(known, known)
def test_supersedes__one_of_two(one: Seen, other: Seen) -> None:
    """Of two copies with readable times exactly one is newer, or they are equally new."""

    def newer(a: Seen, b: Seen) -> bool:
        x, y = a.fetched_session(), b.fetched_session()
        assert x.payload is not None
        assert y.payload is not None
        return supersedes(
            updated_at=x.payload.updated_at,
            fetched_at=x.fetched_at,
            stored_updated_at=y.payload.updated_at,
            stored_fetched_at=y.fetched_at,
        )

    equal = (one.updated, one.fetched) == (other.updated, other.fetched)
    assert (newer(one, other) and newer(other, one)) == equal
    assert newer(one, other) or newer(other, one)
