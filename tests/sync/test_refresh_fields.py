"""A full run compares every field that the list tells."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.services import refresh_sessions
from tests.examples import parameters
from tests.fake_api import START, FakeAPI, iso

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("clientId", "client_id", "another-client"),
        ("entityName", "entity_name", "Another Name"),
        ("workflowTemplateId", "workflow_template_id", "another-template"),
        ("workflowTemplateName", "workflow_template_name", "Another template"),
        ("workflowId", "workflow_id", "another-workflow"),
        ("workflowVersion", "workflow_version", 2),
        ("createdAt", "created_at", iso(START)),
    ],
)
def test_full_run__compares_all_that_the_list_tells(
    api: FakeAPI, name: str, column: str, value: Any
) -> None:
    """A field that differs is stored, though the session's time stood still."""
    session_id = api.add_session(1)
    other = api.add_session(2)
    refresh_sessions()
    api.sessions[session_id][name] = value
    api.requests.clear()

    run = refresh_sessions(full=True)

    assert (run.fetched, run.updated, run.unchanged) == (1, 1, 1)
    assert f"/workflowSessions/{other}" not in api.requests
    row = WorkflowSession.objects.get(pk=session_id)
    assert getattr(row, column) == (START if column == "created_at" else value)
    assert refresh_sessions(full=True).fetched == 0


def test_full_run__compares_when_a_check_was_created(api: FakeAPI) -> None:
    """What the list tells of a check is compared whole as well."""
    session_id = api.add_session(1, checks=1)
    refresh_sessions()
    check_id = api.sessions[session_id]["allRelatedChecks"][0]["checkId"]
    api.checks[check_id]["createdAt"] = iso(START)
    refresh_sessions(full=True)
    assert RelatedCheck.objects.get().created_at == START


def test_full_run__left_out_is_not_different(api: FakeAPI) -> None:
    """What the list leaves out of an item was not told, and costs no request."""
    session_id = api.add_session(1)
    refresh_sessions()
    listed = {"id": session_id, "updatedAt": api.sessions[session_id]["updatedAt"]}
    page = {"page": 1, "pages": 1, "totalItems": 1, "items": [listed]}
    api.fail("/workflowSessions", 200, page)
    assert refresh_sessions(full=True).fetched == 0


@pytest.mark.parametrize(
    "value",
    parameters([None, 1e20, True, [1], "x" * 300, "a\0b", " ", "2"], quick=[None, "a\0b"]),
)
@pytest.mark.parametrize(
    "name",
    parameters(
        ["entityName", "workflowId", "workflowVersion", "createdAt"],
        quick={"entityName", "createdAt"},
    ),
)
def test_full_run__odd_value(api: FakeAPI, name: str, value: Any) -> None:
    """What cannot be stored as it is told is no difference as long as both answers tell the same."""
    api.add_session(1, **{name: value})
    refresh_sessions()
    assert refresh_sessions(full=True).fetched == 0


def renamed(kind: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Scrub the name out of an answer."""
    return {**answer, "entityName": "somebody"}


def test_full_run__with_a_scrubber(api: FakeAPI, settings: Settings) -> None:
    """A name that the project keeps otherwise than the list tells it is no difference; the client is one."""
    settings.COMPLYCUBE_SCRUBBER = f"{__name__}.renamed"
    session_id = api.add_session(1)
    refresh_sessions()
    assert refresh_sessions(full=True).fetched == 0
    api.sessions[session_id]["clientId"] = "another-client"
    assert refresh_sessions(full=True).updated == 1


def test_moved_to_another_client__erased_with_that_one(api: FakeAPI) -> None:
    """A session that was moved to another client goes when that client is erased."""
    session_id = api.add_session(1)
    refresh_sessions()
    api.sessions[session_id]["clientId"] = "another-client"
    refresh_sessions(full=True)
    erase_client("another-client")
    assert not WorkflowSession.objects.exists()
