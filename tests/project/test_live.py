from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from project.sandbox import live
from project.sandbox.models import SandboxCheck, SandboxSession

URL = "http://127.0.0.1:1/complycube/webhook/default/"


def body(session_id: str) -> dict[str, Any]:
    text: str = SandboxSession.objects.get(pk=session_id).body
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.django_db
def test_walk__from_started_to_complete() -> None:
    """A session begins without checks, has them pending, and ends with all that explains its outcome."""
    walker = live.walk()
    (event,) = next(walker)
    assert event["type"] == "workflow.session.started"
    session_id = event["payload"]["id"]
    started = body(session_id)
    assert started["status"] == "started"
    assert not {"outcome", "completedAt", "policyAssurance", "allRelatedChecks"} & set(started)
    assert {task["status"] for task in started["tasks"]} == {"pending"}

    (event,) = next(walker)
    assert event["type"] == "workflow.session.processing"
    processing = body(session_id)
    named = [check["checkId"] for check in processing["allRelatedChecks"]]
    assert set(SandboxCheck.objects.values_list("pk", "status")) == {(i, "pending") for i in named}

    events = next(walker)
    assert [event["type"] for event in events] == [
        *["check.completed"] * len(named),
        "workflow.session.completed",
    ]
    assert [event["payload"]["id"] for event in events] == [*named, session_id]
    complete = body(session_id)
    assert complete["outcome"]
    assert started["createdAt"] <= complete["completedAt"] <= complete["updatedAt"]
    assert started["updatedAt"] < processing["updatedAt"] < complete["updatedAt"]
    assert next(walker, None) is None


@pytest.mark.django_db
def test_walk__people_differ() -> None:
    """Each walk is somebody else's."""
    assert next(live.walk())[0]["payload"]["id"] != next(live.walk())[0]["payload"]["id"]


@pytest.mark.django_db(transaction=True)
def test_live__ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its time is over nobody new comes, and whoever is under way gets to the end."""
    sent: list[str] = []

    def note(url: str, secret: str, event: dict[str, Any]) -> int:
        sent.append(event["type"])
        return 200

    now = iter([0.0, 1.0] + [11.0] * 50)
    monkeypatch.setattr(live, "deliver", note)
    monkeypatch.setattr(live, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: next(now)))
    sandbox = live.LiveSandbox(URL, "secret", seconds=10)
    sandbox.run()
    assert sent[:2] == ["workflow.session.started", "workflow.session.processing"]
    assert sent[-1] == "workflow.session.completed"
    assert SandboxSession.objects.get().status == "complete"


@pytest.mark.django_db(transaction=True)
def test_live__site_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that does not answer any more ends the live part, without a traceback."""

    def refuse(url: str, secret: str, event: dict[str, Any]) -> int:
        raise requests.ConnectionError

    monkeypatch.setattr(live, "deliver", refuse)
    monkeypatch.setattr(live, "STEP_SECONDS", 0.0)
    sandbox = live.LiveSandbox(URL, "secret", seconds=60)
    sandbox.run()
    assert SandboxSession.objects.get().status == "started"
