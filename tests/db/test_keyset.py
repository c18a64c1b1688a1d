from __future__ import annotations

from datetime import timedelta

import pytest

from complycube_sessions.db import keyset
from complycube_sessions.models import WorkflowSession
from tests.admin.builders import NOON, make_session

pytestmark = pytest.mark.django_db
ORDERS = [
    ["created_at", "pk"],
    ["-created_at", "-pk"],
    ["outcome", "created_at", "pk"],
    ["-outcome", "-created_at", "-pk"],
    ["-created_at", "pk"],
    ["pk"],
]


@pytest.fixture
def _rows() -> None:
    """Store sessions that share times and outcomes, some without a time."""
    for number in range(23):
        created = NOON + timedelta(days=number // 4) if number % 5 else None
        make_session(created_at=created, outcome=("clear", "attention", "")[number % 3])


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 4, 7, 50])
def test_walk__is_the_whole_list(order: list[str], size: int) -> None:
    """Page after page gives every row once, in the order of the database, rows without a time as well."""
    rows = WorkflowSession.objects.all()
    keys = keyset.keys_of(WorkflowSession, order)
    walked = [row for chunk in keyset.walk(rows, keys, size=size) for row in chunk]
    assert [row.pk for row in walked] == [row.pk for row in rows.order_by(*order)]


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("order", ORDERS)
def test_page__backwards(order: list[str]) -> None:
    """The page before any row holds the rows before it; without a row it is the end of the list."""
    rows = WorkflowSession.objects.all()
    keys = keyset.keys_of(WorkflowSession, order)
    listed = list(rows.order_by(*order))
    assert keyset.page(rows, keys, size=5, backwards=True) == listed[-5:]
    for number, row in enumerate(listed):
        after = keyset.position(row, keys)
        before = keyset.page(rows, keys, size=5, after=after, backwards=True)
        assert before == listed[max(number - 5, 0) : number]


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("order", ORDERS)
def test_cursor__there_and_back(order: list[str]) -> None:
    """A position survives its way through an address."""
    keys = keyset.keys_of(WorkflowSession, order)
    for row in WorkflowSession.objects.all():
        position = keyset.position(row, keys)
        assert keyset.decode(keyset.encode(position), keys) == position


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "é", "[" * 5000, keyset.encode([]), keyset.encode([1, 2, 3]), keyset.encode(["x", "y"]),
        keyset.encode([None, None]), keyset.encode(["2026-01-01T00:00:00+00:00", "a\0"]),
        keyset.encode(["2026-01-01T00:00:00", "naive"]), keyset.encode([[], {}]), keyset.encode([1.5, "x"]),
    ],
)  # fmt: skip
def test_cursor__hostile(text: str) -> None:
    """What is no position of this list is refused before it reaches the database."""
    keys = keyset.keys_of(WorkflowSession, ["-created_at", "-pk"])
    with pytest.raises(keyset.CursorError):
        keyset.decode(text, keys)


@pytest.mark.parametrize("order", [["created_at"], ["nonsense", "pk"], ["?"], []])
def test_keys__only_of_a_whole_order(order: list[str]) -> None:
    """An order that does not reach the primary key has no positions."""
    assert keyset.keys_of(WorkflowSession, order) == []
