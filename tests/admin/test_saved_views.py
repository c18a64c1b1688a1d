"""Names for the filters of the list of sessions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from complycube_sessions.models import SavedView
from tests.admin.test_reviews import REVIEWER, Desk, told

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script>"


def url() -> str:
    return reverse("admin:complycube_sessions_workflowsession_views")


def save(desk: Desk, name: str, query: str, **data: str) -> list[str]:
    said = told(desk.client.post(url(), {"do": "save", "name": name, "query": query, **data}))
    desk.client.get(url())
    return said


def shown(desk: Desk) -> str:
    return desk.client.get(url()).content.decode()


def test_views__own_and_shared() -> None:
    """One's own are one's own, unless they are shared; only who saved one removes it."""
    ada, bob = Desk(*REVIEWER), Desk(*REVIEWER)
    assert save(ada, "Hers", "outcome=attention&case=open") == ["The view is saved."]
    assert save(ada, "Ours", "status=started", shared="on") == ["The view is saved."]
    assert 'outcome=attention&amp;case=open">' in shown(ada)
    assert "Ours" in shown(bob)
    assert "Hers" not in shown(bob)
    ours = SavedView.objects.get(name="Ours")
    bob.client.post(url(), {"do": "remove", "view": ours.pk})
    assert SavedView.objects.count() == 2
    assert told(ada.client.post(url(), {"do": "remove", "view": ours.pk})) == [
        "The view is removed."
    ]
    assert SavedView.objects.get().name == "Hers"


def test_views__without_what_was_searched_for() -> None:
    """A search may be a name; nothing but filters and the order is kept, neither offered nor sent."""
    desk = Desk(*REVIEWER)
    query = urlencode({"q": "Jane Doe", "outcome": "clear", "o": "-2", "p": "3", "x": "Jane Doe"})
    html = desk.client.get(f"{url()}?{query}").content.decode()
    assert "Jane" not in html
    save(desk, "Clear", query)
    assert SavedView.objects.get().query == "outcome=clear&o=-2"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": " ", "query": "outcome=clear"}, "Give the view a name of up to 80 characters."),
        ({"name": "x" * 81, "query": "outcome=clear"}, "Give the view a name"),
        ({"name": "x", "query": "q=Jane"}, "Set filters in the list first."),
        ({"name": "x", "query": f"outcome={'x' * 2000}"}, "Set filters in the list first."),
    ],
)
def test_views__refused(data: dict[str, str], said: str) -> None:
    (message,) = save(Desk(*REVIEWER), **data)
    assert message.startswith(said)
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("view", ["", "x", "9" * 30, "²"])
def test_views__remove_what_is_none(view: str) -> None:
    assert told(Desk(*REVIEWER).client.post(url(), {"do": "remove", "view": view})) == []


def test_views__hostile_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are text, a NUL is a bad request, and nobody has more than a bound."""
    monkeypatch.setattr("complycube_sessions.admin.saved_views.MOST_OWN", 1)
    desk: Any = Desk(*REVIEWER)
    assert desk.client.post(url(), {"name": "a\0"}).status_code == 400
    save(desk, EVIL, f"outcome={EVIL}")
    assert EVIL not in shown(desk)
    assert save(desk, "second", "outcome=clear") == ["You have 1 views. Remove one first."]
