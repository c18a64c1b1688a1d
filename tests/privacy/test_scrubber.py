from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeError, ComplyCubeScrubberError
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    SessionNameWord,
    WorkflowSession,
)
from complycube_sessions.services import refresh_session, refresh_sessions
from tests.fake_api import FakeAPI
from tests.privacy.support import NAME, add_person, dump

pytestmark = pytest.mark.django_db
SEEN: list[tuple[str, dict[str, Any]]] = []


def without_name(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    SEEN.append((kind, dict(data)))
    data.pop("entityName", None)
    if kind == "check":
        data["result"].pop("breakdown", None)
    return data


def without_checks(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "allRelatedChecks"}


def failing(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    raise ValueError(data["entityName"])


def failing_on_checks(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return failing(kind, data) if kind == "check" else data


def failing_on_the_named(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return failing(kind, data) if data["entityName"] == NAME else data


def forgetful(kind: str, data: dict[str, Any]) -> None:
    data.clear()


def other_client(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return data | {"clientId": "somebody else"}


def other_state(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    data["outcome"] = "clear"
    return data


def later(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return data | {"updatedAt": "2030-01-01T00:00:00.000Z"}


def not_json(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return data | {"tasks": [object()]}


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


def scrub_with(settings: Settings, function: str) -> None:
    settings.COMPLYCUBE_SCRUBBER = f"tests.privacy.test_scrubber.{function}"


@pytest.mark.parametrize("by_id", [False, True])
def test_scrubber__runs_before_anything_is_stored(
    api: FakeAPI, settings: Settings, by_id: bool
) -> None:
    """What it takes out of a session or a check is in no column, no name word and no raw answer."""
    scrub_with(settings, "without_name")
    (session_id,) = add_person(api, 40).sessions
    if by_id:
        refresh_session(session_id)
    else:
        refresh_sessions()
    row = WorkflowSession.objects.get()
    assert (row.entity_name, row.outcome) == ("", "attention")
    assert "entityName" not in row.raw
    assert not SessionNameWord.objects.exists()
    assert [c.result for c in RelatedCheck.objects.all()] == [{"outcome": "attention"}] * 3
    assert all(word not in dump() for word in (*NAME.split(), *NAME.casefold().split()))
    # It has got whole answers, of both kinds.
    assert {kind for kind, _ in SEEN} == {"session", "check"}
    assert all(data["entityName"] == NAME for _, data in SEEN)


def test_scrubber__columns_follow(api: FakeAPI, settings: Settings) -> None:
    """Rows of checks follow from the scrubbed session, too; a second look finds nothing new."""
    scrub_with(settings, "without_checks")
    session_id = add_person(api, 40).sessions[0]
    refresh_session(session_id)
    assert not RelatedCheck.objects.exists()
    run = refresh_sessions(full=True)
    assert (run.state, run.unchanged, run.updated) == ("succeeded", 1, 0)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("failing", "raised ValueError"),
        ("forgetful", "returned NoneType, no dict"),
        ("other_client", "changed clientId"),
        ("other_state", "changed outcome"),
        ("later", "changed updatedAt"),
        ("not_json", "raised TypeError"),
    ],
)
def test_scrubber__fault(
    api: FakeAPI,
    settings: Settings,
    function: str,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault of the scrubber is a named failure, of which nothing is stored and nothing is told."""
    caplog.set_level(logging.DEBUG)
    person = add_person(api, 40)
    scrub_with(settings, function)
    with pytest.raises(ComplyCubeScrubberError, match=said) as caught:
        refresh_session(person.sessions[0])
    assert caught.value.__context__ is None or caught.value.__suppress_context__

    run = refresh_sessions()

    assert run.state == RefreshRun.State.PARTIAL
    assert said in run.errors[person.sessions[0]]
    assert "nothing of the answer is stored" in run.errors[person.sessions[0]]
    assert not WorkflowSession.objects.exists()
    assert PendingRefresh.objects.get().session_id == person.sessions[0]
    assert all(word not in dump() + caplog.text for word in NAME.split())


def test_scrubber__fault_of_a_check(api: FakeAPI, settings: Settings) -> None:
    """A check that cannot be scrubbed is a named failure; its session is stored, its result is not."""
    scrub_with(settings, "failing_on_checks")
    person = add_person(api, 40)
    with pytest.raises(ComplyCubeError, match="3 of its checks could not be fetched"):
        refresh_session(person.sessions[0])
    assert WorkflowSession.objects.exists()
    assert [c.result for c in RelatedCheck.objects.all()] == [{}] * 3


def test_scrubber__faults_cost_one_record(api: FakeAPI, settings: Settings) -> None:
    """The others of a run are stored."""
    scrub_with(settings, "failing_on_the_named")
    add_person(api, 40)
    other = api.add_session(1)
    run = refresh_sessions()
    assert (run.created, run.failed) == (1, 1)
    assert WorkflowSession.objects.get().pk == other


def untouched(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return data


@pytest.mark.parametrize("depth", [100, 800, 5_000, 100_000])
def test_scrubber__deep_answer(api: FakeAPI, settings: Settings, depth: int) -> None:
    """An answer that is too deep for Python is at most one named failure, never the end of a run."""
    scrub_with(settings, "untouched")
    deep, other = api.add_session(1), api.add_session(2)
    body = json.dumps(api.sessions[deep])[:-1] + ', "x": ' + "[" * depth + "]" * depth + "}"
    api.fail(f"/workflowSessions/{deep}", 200, body.encode())
    run = refresh_sessions()
    assert set(run.errors) <= {deep}
    assert WorkflowSession.objects.filter(pk=other).exists()
    assert run.created + run.failed == 2


def test_scrubber__fault_keeps_no_answer(api: FakeAPI, settings: Settings) -> None:
    """The functions of the traceback hold nothing of the answer, for an error page shows what they hold."""
    person = add_person(api, 40)
    scrub_with(settings, "failing")
    with pytest.raises(ComplyCubeScrubberError) as caught:
        refresh_session(person.sessions[0])
    own = [f.frame for f in caught.traceback if "complycube_sessions/" in str(f.path)]
    assert own
    for frame in own:
        assert NAME not in repr(frame.f_locals), frame
