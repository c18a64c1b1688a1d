"""Events of checks that no stored session names: the sessions of their client are looked for."""

from __future__ import annotations

import pytest

from complycube_sessions.models import WebhookEvent, WorkflowSession
from complycube_sessions.services import refresh_sessions
from complycube_sessions.webhooks import processing
from tests.fake_api import FakeAPI

pytestmark = pytest.mark.django_db
CLIENT = "0000000000000000000000c1"


def check_event(api: FakeAPI, session_id: str, *, index: int = 0, named: bool = True) -> None:
    """Receive an event of a check of a session, with the id of its client or without."""
    check_id = api.sessions[session_id]["allRelatedChecks"][index]["checkId"]
    api.checks[check_id]["clientId"] = CLIENT
    WebhookEvent.objects.create(
        account="default",
        event_id=f"e{WebhookEvent.objects.count()}",
        type="check.completed",
        resource_id=check_id,
        client_id=CLIENT if named else "",
    )


@pytest.fixture
def stored(api: FakeAPI) -> str:
    """Return a session of the client that is stored."""
    session_id = api.add_session(1, clientId=CLIENT)
    refresh_sessions(ids=[session_id])
    api.requests.clear()
    return session_id


@pytest.mark.parametrize("named", [True, False])
def test_check_event__new_session_of_a_known_client(api: FakeAPI, stored: str, named: bool) -> None:
    """The new session of a client of whom another one is stored is fetched."""
    new = api.add_session(2, clientId=CLIENT)
    check_event(api, new, named=named)

    processing.process_webhook_events()

    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == {stored, new}
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_check_events__list_their_client_once(api: FakeAPI, stored: str) -> None:
    """Several events of one client, taken together, cost one list."""
    new = api.add_session(2, clientId=CLIENT)
    for index in range(3):
        check_event(api, new, index=index)

    processing.process_webhook_events()

    assert api.count("/workflowSessions?") == 1


def test_check_event__client_of_many_pages(api: FakeAPI, stored: str) -> None:
    """All pages of the client's sessions are read."""
    api.page_size_limit = 2
    new = [api.add_session(number, clientId=CLIENT) for number in range(2, 7)]
    check_event(api, new[0])

    processing.process_webhook_events()

    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == {stored, *new}


def test_check_event__list_that_fails(api: FakeAPI, stored: str) -> None:
    """While the client's sessions cannot be listed, the event stays open."""
    check_event(api, api.add_session(2, clientId=CLIENT))
    api.fail("/workflowSessions", 400)

    processing.process_webhook_events()

    assert "400" in WebhookEvent.objects.get(processed_at=None).error
