"""No answer and no event can make a run work without an end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeError
from complycube_sessions.models import RelatedCheck, WebhookEvent, WorkflowSession
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.sync import checks, due, fetch, listing
from tests.builders import UNKNOWN_ID
from tests.fake_api import KEY, FakeAPI, Reply

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def bounds(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the bounds, so that reaching them takes a moment."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }
    monkeypatch.setattr(fetch, "MAX_CHECK_REQUESTS", 20)
    monkeypatch.setattr(checks, "MAX_CHECK_REQUESTS", 20)
    monkeypatch.setattr(listing, "MORE_PAGES", 10)
    monkeypatch.setattr(due, "DUE_SHARE", 5)


def event(number: int, resource_id: str) -> WebhookEvent:
    return WebhookEvent.objects.create(
        account="default",
        event_id=str(number),
        type="workflow.session.completed",
        resource_id=resource_id,
    )


def test_events__never_starve_the_lists(api: FakeAPI) -> None:
    """Where events of unknown ids come faster than they are fetched, the run still lists, stores and ends."""
    ids = [api.add_session(n) for n in range(30)]
    numbers = itertools.count()

    def attack(*args: object) -> None:
        assert len(api.requests) < 300, "the run does not end"
        for _unused in range(2):
            number = next(numbers)
            event(number, f"{number:024x}e")

    for _ in range(20):
        attack()
    run = refresh_sessions(on_progress=attack)
    assert run.created == len(ids) == WorkflowSession.objects.count()
    first_page = next(i for i, r in enumerate(api.requests) if r.startswith("/workflowSessions?"))
    assert first_page <= 10


def test_events__and_the_list_cost_one_request_a_session(api: FakeAPI) -> None:
    """A session of a long inbox that the list shows too is fetched once, for both."""
    ids = [api.add_session(n) for n in range(40)]
    for number, session_id in enumerate(ids):
        event(number, session_id)
    run = refresh_sessions()
    assert (run.state, run.created, run.still_due) == ("succeeded", 40, 0)
    assert api.count("/workflowSessions/") == 40
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def name_checks(api: FakeAPI, number: int) -> str:
    session_id = api.add_session(1, checks=0)
    api.sessions[session_id]["allRelatedChecks"] = [
        {"checkId": f"{n:023x}f", "type": "document_check"} for n in range(number)
    ]
    return session_id


def test_checks__of_one_session_are_bounded(api: FakeAPI) -> None:
    """A session that names ever so many unknown checks costs a bounded number of requests, and fails by name."""
    session_id, other = name_checks(api, 3000), api.add_session(2)
    run = refresh_sessions()
    assert len(api.requests) < 40
    assert (run.state, run.failed) == ("partial", 1)
    assert "no more than 20" in run.errors[session_id]
    assert WorkflowSession.objects.filter(pk=other).exists()
    assert WorkflowSession.objects.filter(pk=session_id).exists()
    api.requests.clear()
    with pytest.raises(ComplyCubeError, match="no more than 20"):
        refresh_session(session_id)
    assert len(api.requests) < 40


def test_checks__that_moved_are_bounded(api: FakeAPI) -> None:
    """Neither are all breakdowns of such a session fetched when its checks turn."""
    session_id = name_checks(api, 100)
    for n in range(100):
        check_id = f"{n:023x}f"
        api.checks[check_id] = {
            "id": check_id,
            "clientId": f"client{1:018x}",
            "type": "document_check",
            "status": "complete",
            "result": {"outcome": "clear"},
            "createdAt": "2026-01-01T00:01:00.000Z",
            "updatedAt": "2026-01-01T00:01:00.000Z",
        }
    assert refresh_sessions().state == "succeeded"
    for n in range(100):
        api.touch_check(f"{n:023x}f", "attention")
    api.requests.clear()
    run = refresh_sessions()
    assert len(api.requests) < 40
    assert "no more than 20" in run.errors[session_id]
    assert not RelatedCheck.objects.exclude(outcome="attention").exists()


def endless(items: Iterator[dict[str, Any]]) -> Any:
    """Answer each page with ten new items, and promise one page more."""

    def answer(count: int) -> Reply:
        assert count < 200, "the list is read without an end"
        page = {
            "page": count,
            "pageSize": 10,
            "totalItems": 10 * (count + 1),
            "pages": count + 1,
            "items": list(itertools.islice(items, 10)),
        }
        return 200, {}, json.dumps(page).encode()

    return answer


@pytest.mark.parametrize("path", ["/checks", "/workflowSessions"])
def test_list__without_an_end(api: FakeAPI, path: str) -> None:
    """A list that promises more on every page is given up by name; what was read is stored."""
    time = "2026-01-01T00:00:00.000Z"
    items = (
        {"id": f"{n:024x}", "status": "complete", "createdAt": time, "updatedAt": time}
        for n in itertools.count(1000)
    )
    session_id = api.add_session(1)
    api.faults[path] = endless(items)
    run = refresh_sessions()
    assert run.state == "partial"
    assert run.watermark is None
    told = "checks" if path == "/checks" else "sessions"
    assert "promised more on each of 14 pages" in run.errors[f"list of {told}"]
    if path == "/checks":
        assert WorkflowSession.objects.get().pk == session_id


def test_list__of_one_client_without_an_end(api: FakeAPI) -> None:
    """The list of one client's checks costs that session, by name."""
    session_id = api.add_session(1)
    items = ({"id": f"{n:024x}", "status": "complete"} for n in itertools.count(1000))
    api.faults["/checks"] = endless(items)
    run = refresh_sessions(ids=[session_id, UNKNOWN_ID])
    assert "promised more on each of 14 pages" in run.errors[session_id]
    assert WorkflowSession.objects.get().pk == session_id
