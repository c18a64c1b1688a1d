"""Items of a list that cannot be read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from complycube_sessions.models import RefreshRun, WorkflowSession
from complycube_sessions.services import refresh_sessions
from tests.builders import check_payload
from tests.examples import parameters
from tests.fake_api import START, FakeAPI, iso

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/workflowSessions", "/checks"])
def test_unreadable_item__told_once(api: FakeAPI, path: str) -> None:
    """It is named once, by what stays the same; the others are stored and the watermark moves."""
    api.add_session(1, checks=1)
    store = api.sessions if path == "/workflowSessions" else api.checks
    store["broken"] = {"id": None, "status": "complete", "updatedAt": iso(api.now)}
    marks: list[Any] = []
    for number in range(3):
        api.now += timedelta(minutes=1)
        run = refresh_sessions(full=number == 2)
        assert (run.state, run.failed) == (("partial", 1) if number == 0 else ("succeeded", 0))
        assert run.listed == run.created + run.updated + run.unchanged + run.failed
        marks.append(run.watermark)
        # Others come before it, so that its place is another.
        api.touch(api.add_session(10 + number, checks=1, createdAt=iso(api.now)))
    assert None not in marks
    assert marks == sorted(set(marks))
    assert WorkflowSession.objects.count() == 3
    (reason,) = RefreshRun.objects.earliest("pk").errors.values()
    assert reason == "The list holds an item with no id, so it cannot be fetched."


@pytest.mark.parametrize(
    "bad_id", parameters(["../x", 'a"b', "a\\b %s", "ü\0 $.c[0]", "'"], quick={"ü\0 $.c[0]", "'"})
)
def test_unreadable_item__told_once_by_its_id(api: FakeAPI, bad_id: str) -> None:
    """An id that is none is found again in what earlier runs have told, whatever it holds."""
    api.add_session(1)
    api.sessions["broken"] = {"id": bad_id, "updatedAt": iso(api.now)}
    assert [refresh_sessions(full=True).failed for _ in range(3)] == [1, 0, 0]


def test_unreadable_item__that_changed(api: FakeAPI) -> None:
    """When it changes it is told again, for then something new has happened."""
    api.add_session(1)
    api.sessions["broken"] = {"id": None, "updatedAt": iso(api.now)}
    first = refresh_sessions().errors
    api.touch("broken")
    second = refresh_sessions().errors
    assert len(first) == len(second) == 1
    assert first.keys() != second.keys()


def test_unreadable_items__of_the_same_content(api: FakeAPI) -> None:
    """Two that look the same are two, so that the list is whole with both of them."""
    api.add_session(1)
    api.sessions |= {"one": {"id": None, "createdAt": iso(START)}}
    api.sessions |= {"two": {"id": None, "createdAt": iso(START)}}
    run = refresh_sessions()
    assert (run.failed, run.listed) == (2, 3)
    assert run.watermark is not None


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"id": None, "entityName": "Person 1"}, "an item with no id"),
        ({"id": 5}, "an item with a number in place of an id"),
        (
            {"id": "../x", "createdAt": iso(START)},
            "at 2026-01-01T00:00:00+00:00, with the impossible id '../x'",
        ),
        ("Person 1", "a text in place of an object"),
        (check_payload(id={"a": 1}), "an object in place of an id"),
    ],
)
def test_unreadable_item__is_named(api: FakeAPI, item: object, reason: str) -> None:
    """The reason says what is wrong in words, with nothing of a person."""
    page = {"page": 1, "pages": 1, "totalItems": 1, "items": [item]}
    api.fail("/workflowSessions", 200, page)
    run = refresh_sessions()
    ((name, said),) = run.errors.items()
    assert name.startswith("list of sessions: ")
    assert reason in said
    assert "NoneType" not in name + said
    assert "Person" not in name + said
