from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.admin import paging
from complycube_sessions.models import WorkflowSession, session_queries
from complycube_sessions.statistics.by_day import mark_changed, store_day_statistics
from tests.admin.builders import NOON, make_check, make_session
from tests.builders import by_hand
from tests.examples import parameters

LIST = reverse("admin:complycube_sessions_workflowsession_changelist")
ROWS = 13
PER_PAGE = 3


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count up to six rows, three on a page, so that a few rows are many."""
    from complycube_sessions.admin.sessions import WorkflowSessionAdmin

    monkeypatch.setattr(paging, "COUNTED", 6)
    monkeypatch.setattr(WorkflowSessionAdmin, "list_per_page", PER_PAGE)


@pytest.fixture
def _many(db: None) -> None:
    for number in range(ROWS):
        created = NOON + timedelta(days=number // 2) if number else None
        make_check(make_session(created_at=created, needs_review=True))


def shown(response: Any) -> list[str]:
    return [row.pk for row in response.context["cl"].result_list]


def all_ids(*order: str) -> list[str]:
    return list(WorkflowSession.objects.order_by(*order).values_list("pk", flat=True))


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", ("-created_at", "-pk")),
        ("?review=yes", ("created_at", "pk")),
        ("?o=1", ("outcome", "created_at", "pk")),
        ("?o=-0", ("-entity_name", "-pk")),
        ("?q=john", ("-created_at", "-pk")),
    ],
)
def test_turning__there_and_back(viewer: Client, query: str, order: tuple[str, ...]) -> None:
    """By "Next" to the end and by "Previous" to the beginning, every row is met once, in its order."""
    response = viewer.get(LIST + query)
    met = shown(response)
    while url := response.context["cl"].pages.next:
        response = viewer.get(LIST + url)
        met += shown(response)
    assert met == all_ids(*order)
    back = shown(response)
    while (url := response.context["cl"].pages.previous) and len(back) < 2 * ROWS:
        response = viewer.get(LIST + url)
        back = shown(response) + back
    assert back == all_ids(*order)


@pytest.mark.usefixtures("_many")
def test_long__says_so(viewer: Client) -> None:
    """Beyond the bound the page says "more than" and offers no selection of all."""
    html = unescape(viewer.get(LIST).content.decode())
    assert "More than 6 workflow sessions" in html
    assert "Select all" not in html
    assert 'rel="next"' in html


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize(
    ("words", "count"),
    [("", 8), ("&outcome=clear", 8), ("&outcome=attention", None), ("&q=john", None)],
)
def test_long__exact_where_the_overview_is(viewer: Client, words: str, count: int | None) -> None:
    """A long list that a figure of the overview leads to says that figure while it is kept."""
    now = timezone.now()
    with by_hand():
        WorkflowSession.objects.update(created_at=now - timedelta(days=200))
    for _ in range(8):
        make_session(created_at=now)
    today = timezone.localdate().isoformat()
    days = f"?created_from={today}&created_to={today}"
    assert "More than 6" in unescape(viewer.get(LIST + days).content.decode())

    store_day_statistics()
    html = unescape(viewer.get(LIST + days + words).content.decode())
    assert (f"{count} workflow sessions" in html) == (count is not None)
    assert ("More than 6" in html) == (words == "&q=john")

    mark_changed([now], alias="default")
    assert f"{count} workflow sessions" not in viewer.get(LIST + days).content.decode()


def test_short__is_django_s_own(viewer: Client) -> None:
    """Up to the bound a list has its exact number and Django's pages."""
    for _ in range(6):
        make_session()
    response = viewer.get(LIST)
    assert response.context["cl"].result_count == 6
    assert "6 workflow sessions" in response.content.decode()
    assert "More than" not in response.content.decode()
    assert len(shown(viewer.get(f"{LIST}?p=2"))) == 3
    assert viewer.get(f"{LIST}?p=3").status_code == 302


@pytest.mark.usefixtures("_many")
def test_numbers__beyond_the_bound(viewer: Client) -> None:
    """A page that is asked for by its number is found, however deep; one behind the end is not there."""
    assert shown(viewer.get(f"{LIST}?p=4")) == all_ids("-created_at", "-pk")[9:12]
    assert shown(viewer.get(f"{LIST}?p=5")) == all_ids("-created_at", "-pk")[12:]
    assert viewer.get(f"{LIST}?p=6").status_code == 302


@pytest.mark.usefixtures("_many")
def test_last(viewer: Client) -> None:
    """The last page is one step away."""
    response = viewer.get(LIST + viewer.get(LIST).context["cl"].pages.last)
    assert shown(response) == all_ids("-created_at", "-pk")[-PER_PAGE:]
    assert not response.context["cl"].pages.next


@pytest.mark.parametrize("text", ["nonsense", "e30", "W10", "%00", "a" * 5000])
def test_position__hostile(viewer: Client, text: str) -> None:
    """A position that is none leads back to the list."""
    make_session()
    for name in ("after", "before"):
        response = viewer.get(f"{LIST}?{name}={text}")
        assert response.status_code == 302
        assert response["Location"].endswith("?e=1")


@pytest.mark.usefixtures("_many")
def test_frequent__walked_without_a_count(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word of many sessions is walked in their order, and gives the same rows as when they are gathered."""
    make_session(entity_name="Somebody Else")
    gathered = shown(viewer.get(f"{LIST}?q=john"))
    monkeypatch.setattr(session_queries, "MANY", 3)
    monkeypatch.setattr(session_queries, "LONG", 2)
    found = WorkflowSession.objects.search("john")
    assert session_queries.read_plan(found).is_long
    assert not session_queries.read_plan(found.filter(outcome="clear")).is_long
    assert shown(viewer.get(f"{LIST}?q=john")) == gathered
    assert shown(viewer.get(f"{LIST}?q=john+doe")) == gathered
    checked = viewer.get(f"{LIST}?check_type=document_check&check_outcome=clear")
    assert shown(checked) == gathered


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("many", parameters([1, 5_000], quick={1}))
@pytest.mark.parametrize(
    "counted", parameters([(1, 2), (1, 5), (3, 20), (5_000, 20_000)], quick={(3, 20)})
)
def test_search__same_rows_by_every_way(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, many: int, counted: tuple[int, int]
) -> None:
    """However frequent the words of a name are, alone or with a filter, the same sessions are found."""
    names = ["John Garcia", "Maria Garcia", "Garcia Maria Doe", "Mara Dorn", "Maria"]
    for name in names:
        make_session(entity_name=name, created_at=NOON)
    found = {
        typed: [row.entity_name for row in WorkflowSession.objects.search(typed).order_by("pk")]
        for typed in ("mar d", "garcia maria", "j d", "maria x", "gar garcia doe")
    }
    assert found["mar d"] == ["Garcia Maria Doe", "Mara Dorn"]
    assert found["garcia maria"] == ["Maria Garcia", "Garcia Maria Doe"]
    assert found["j d"] == ["John Doe"] * ROWS
    assert found["maria x"] == []
    assert found["gar garcia doe"] == ["Garcia Maria Doe"]

    monkeypatch.setattr(session_queries, "MANY", many)
    monkeypatch.setattr(session_queries, "_COUNTED", counted)
    for typed, rows in found.items():
        for query in ({}, {"outcome": "clear"}, {"outcome": "attention"}):
            response = viewer.get(LIST, {"q": typed, **query})
            pages = [row.entity_name for row in response.context["cl"].result_list]
            while url := response.context["cl"].pages.next:
                response = viewer.get(LIST + url)
                pages += [row.entity_name for row in response.context["cl"].result_list]
            expected = [] if query.get("outcome") == "attention" else rows
            assert sorted(pages) == sorted(expected), (typed, query)
