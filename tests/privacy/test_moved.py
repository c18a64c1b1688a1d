"""Sessions that change hands between clients of whom one was erased, and words that prove nothing."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeErasedError, ComplyCubeError
from complycube_sessions.mirror import erased
from complycube_sessions.models import (
    Erasure,
    PendingRefresh,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.privacy.removal import ReferencedError
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.webhooks import processing
from tests.admin.conftest import SignIn
from tests.builders import by_hand
from tests.examples import parameters
from tests.fake_api import FakeAPI
from tests.privacy.support import NAME, Person, add_person, dump, leave_traces, run
from tests.webhook_requests import event, post

pytestmark = pytest.mark.django_db
ERASE = "erase_complycube_client"


def hold(session: WorkflowSession) -> str:
    return "case 4711" if session.client_id.startswith("cli") else ""


@pytest.fixture
def person(api: FakeAPI) -> Person:
    """Store a person and erase another, to whom the person's sessions then move."""
    api.add_session(1)
    person = add_person(api, 40)
    leave_traces(person, api)
    WebhookEvent.objects.filter(resource_id="never-stored-session").delete()
    erase_client("B", block_unknown=True, reason="request 17")
    for session_id in person.sessions[:1]:
        api.touch(session_id, clientId="B", entityName="Other")
    return person


def refresh(how: str, session_id: str) -> None:
    if how == "service":
        with pytest.raises(ComplyCubeErasedError):
            refresh_session(session_id)
    elif how == "id":
        refresh_sessions(ids=[session_id])
    else:
        assert refresh_sessions(full=how == "full").state == "succeeded"


@pytest.mark.parametrize(
    "how", parameters(["plain", "full", "id", "service"], quick={"plain", "service"})
)
def test_moved__goes_the_way_of_the_erasure(
    person: Person, api: FakeAPI, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stored session that has moved to an erased client is removed with all that names it, and it is told."""
    caplog.set_level(logging.INFO)
    moved = person.sessions[0]

    refresh(how, moved)

    assert not WorkflowSession.objects.filter(pk=moved).exists()
    text = dump()
    for trace in (NAME.split()[0], moved, *person.checks[:3]):
        assert trace not in text, [line for line in text.splitlines() if trace in line]
    told = Erasure.objects.get(kind="session")
    assert told.removed["WorkflowSession"] == 1
    assert told.removed["SessionChange"] >= 1
    assert told.reason == (
        "request 17 Moved to this client upstream, and removed when that was seen."
    )
    assert told.client_digest == Erasure.objects.get(kind="client").digest
    assert Erasure.objects.filter(kind="check").count() == 3
    api.requests.clear()
    ended = refresh_sessions(full=True)
    assert (ended.state, ended.kept_out) == ("succeeded", 1)
    assert api.count(f"/workflowSessions/{moved}") == 0


def test_moved__after_it_was_missing(person: Person) -> None:
    """A session that was marked as missing and comes back as the erased client's goes as well."""
    moved = person.sessions[0]
    with by_hand():
        WorkflowSession.objects.filter(pk=moved).update(missing_since=timezone.now())
    assert refresh_sessions(full=True).kept_out == 1
    assert not WorkflowSession.objects.filter(pk=moved).exists()


def test_moved__refreshed_in_the_admin(person: Person, sign_in: SignIn) -> None:
    """Who refreshes such a session from its page is told what happened, on a page that is there."""
    browser = sign_in("refresh_workflowsession", "view_workflowsession")
    address = f"/admin/complycube_sessions/workflowsession/{person.sessions[0]}/refresh/"
    answer = browser.post(address, follow=True)
    assert answer.status_code == 200
    assert "was erased and is not stored again" in answer.content.decode()
    assert not WorkflowSession.objects.filter(pk=person.sessions[0]).exists()


def test_moved__is_counted(person: Person) -> None:
    """A run tells how many sessions an erasure keeps out, without naming them."""
    ended = refresh_sessions()
    assert (ended.kept_out, ended.failed) == (1, 0)
    said = run("refresh_workflow_sessions", "--full", "--no-progress")
    assert "1 session was not stored, as the person was erased" in said.out
    assert person.sessions[0] not in said.out + said.err
    assert json.loads(run("refresh_workflow_sessions", "--full", "--json").out)["kept_out"] == 1


def test_moved__held(person: Person, settings: Settings) -> None:
    """A session that a hold protects stays as it was, and every run names it until the hold ends."""
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_moved.hold"
    moved = person.sessions[0]
    for _ in range(2):
        ended = refresh_sessions(ids=[moved])
        assert (ended.state, ended.failed) == ("partial", 1)
        assert "legal hold: case 4711" in ended.errors[moved]
        assert WorkflowSession.objects.get(pk=moved).entity_name == NAME
    with pytest.raises(ComplyCubeError, match="case 4711"):
        refresh_session(moved)
    erase_client("B", override="released")
    refresh_sessions(ids=[moved])
    assert not WorkflowSession.objects.filter(pk=moved).exists()


def test_moved__older_never_wins(person: Person, api: FakeAPI) -> None:
    """A copy that is older than the stored one does not remove it."""
    moved = person.sessions[0]
    after = api.sessions[moved].copy()
    api.touch(moved, clientId=person.client_id, entityName=NAME)
    refresh_sessions()
    api.sessions[moved] = after
    refresh_sessions(ids=[moved])
    row = WorkflowSession.objects.get(pk=moved)
    assert (row.client_id, row.entity_name) == (person.client_id, NAME)


# What an event says


def two_clients(api: FakeAPI) -> tuple[str, Person]:
    """Return a session of Y's, not stored, and X, who is stored."""
    x = add_person(api, 40)
    refresh_sessions()
    return api.add_session(50), x


def test_event__names_anothers_session(api: FakeAPI) -> None:
    """After X is erased, a session that only an event gave to X is stored as the API says whose it is."""
    of_y, x = two_clients(api)
    check = api.sessions[of_y]["allRelatedChecks"][0]["checkId"]
    for number, (kind, resource) in enumerate(
        [("workflow.session.completed", of_y), ("check.completed", check)]
    ):
        WebhookEvent.objects.create(
            account="default",
            event_id=f"e{number}",
            type=kind,
            resource_id=resource,
            client_id=x.client_id,
        )
    run(ERASE, x.client_id)

    ended = refresh_sessions(full=True)

    assert (ended.state, ended.kept_out) == ("succeeded", 1)
    assert WorkflowSession.objects.filter(pk=of_y).exists()
    assert refresh_session(of_y).pk == of_y
    assert RelatedCheck.objects.filter(check_id=check).exists()
    assert WebhookEvent.objects.count() == 0


def test_event__of_anothers_check_proves_nothing(api: FakeAPI, client: Client) -> None:
    """An event that gives Y's check to X, who was erased, leaves no hash of the check."""
    of_y, x = two_clients(api)
    erase_client(x.client_id)
    before = Erasure.objects.count()
    check = api.sessions[of_y]["allRelatedChecks"][0]["checkId"]
    # It was stored by a process that had not seen the erasure.
    WebhookEvent.objects.create(
        account="default",
        event_id="e",
        type="check.completed",
        resource_id=check,
        client_id=x.client_id,
    )
    processing.process_webhook_events()
    assert Erasure.objects.count() == before
    assert post(client, event("e2", "check.completed", id=check)).status_code == 200
    processing.process_webhook_events()
    assert WorkflowSession.objects.filter(pk=of_y).exists()


def test_lift__of_one_session(api: FakeAPI, client: Client) -> None:
    """An operator lets one session in by its id; what is the client's stays out."""
    x = add_person(api, 40, 41)
    refresh_sessions()
    erase_client(x.client_id)
    mine, still = x.sessions
    api.touch(mine, clientId="Y", entityName="Other")
    with pytest.raises(ComplyCubeErasedError):
        refresh_session(mine)

    said = run(ERASE, mine, "--lift")

    assert (said.code, said.out[:8]) == (0, "Lifted: ")
    ended = refresh_sessions(full=True)
    assert [row.pk for row in WorkflowSession.objects.all()] == [mine]
    assert ended.kept_out == 1
    check = api.sessions[mine]["allRelatedChecks"][0]["checkId"]
    other = api.sessions[still]["allRelatedChecks"][0]["checkId"]
    for number, one in enumerate([check, other]):
        post(client, event(f"e{number}", "check.completed", id=one))
    processing.process_webhook_events()
    assert WebhookEvent.objects.get().resource_id == check
    assert still not in dump()
    assert not PendingRefresh.objects.exists()
    assert not SessionChange.objects.filter(session=still).exists()


def test_lift__of_one_session_of_the_client(api: FakeAPI) -> None:
    """A session that is the erased client's by the word of the API is refused again, by its client."""
    x = add_person(api, 40)
    refresh_sessions()
    erase_client(x.client_id)
    run(ERASE, x.sessions[0], "--lift")
    with pytest.raises(ComplyCubeErasedError):
        refresh_session(x.sessions[0])
    assert not WorkflowSession.objects.exists()


def test_moved__rows_of_the_project_protect(person: Person, monkeypatch: Any) -> None:
    """Where a row of the project forbids the removal, the session stays and is a named failure."""

    def refused(*args: Any) -> Any:
        raise ReferencedError("Rows of shop.Invoice protect rows of WorkflowSession.")

    monkeypatch.setattr(erased, "remove_session", refused)
    session_id = person.sessions[0]
    ended = refresh_sessions(ids=[session_id])
    assert "shop.Invoice" in ended.errors[session_id]
    assert WorkflowSession.objects.filter(pk=session_id).exists()
