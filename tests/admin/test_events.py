from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import WebhookEvent, WorkflowSession
from complycube_sessions.webhooks import dispatch, processing
from tests.admin.conftest import SignIn
from tests.fake_api import FakeAPI

pytestmark = pytest.mark.django_db

OPERATOR = ("view_webhookevent", "refresh_workflowsession")
LIST = "admin:complycube_sessions_webhookevent_changelist"
PAGE = "admin:complycube_sessions_webhookevent_change"


def stored(number: int, **fields: Any) -> WebhookEvent:
    values = {"type": "workflow.session.completed", "resource_id": f"session{number}", **fields}
    return WebhookEvent.objects.create(account="default", event_id=f"evt{number}", **values)


def process_again(client: Client, *events: WebhookEvent) -> Any:
    data = {"action": "process_again", "_selected_action": [event.pk for event in events]}
    return client.post(reverse(LIST), data, follow=True)


def test_events__list(sign_in: SignIn, django_assert_max_num_queries: Any) -> None:
    """The list shows type, resource, state, attempts and error of each event, escaped."""
    stored(1)
    stored(2, error="500 <b>", attempts=3, next_try_at=timezone.now())
    stored(3, processed_at=timezone.now())
    stored(4, processed_at=timezone.now(), error="The event names no possible id.")
    client = sign_in(*OPERATOR)
    with django_assert_max_num_queries(12):
        page = client.get(reverse(LIST)).content.decode()
    for text in ("Waiting", "Failed, will be tried again", "Processed", "Given up", "session2"):
        assert text in page
    assert "500 &lt;b&gt;" in page


@pytest.mark.parametrize(
    ("state", "number"), [("waiting", 1), ("failing", 2), ("processed", 3), ("given_up", 4)]
)
def test_events__filter_by_state(sign_in: SignIn, state: str, number: int) -> None:
    """Each state is found by the filter."""
    stored(1)
    stored(2, error="500")
    stored(3, processed_at=timezone.now())
    stored(4, processed_at=timezone.now(), error="No id.")
    response = sign_in(*OPERATOR).get(reverse(LIST), {"state": state})
    assert [event.event_id for event in response.context["cl"].result_list] == [f"evt{number}"]


@pytest.mark.parametrize("typed", ["session1", "evt1", "client1"])
def test_events__search_by_exact_id(sign_in: SignIn, typed: str) -> None:
    """An event is found by any of the ids it carries."""
    stored(1, client_id="client1")
    stored(2)
    response = sign_in(*OPERATOR).get(reverse(LIST), {"q": typed})
    assert [event.event_id for event in response.context["cl"].result_list] == ["evt1"]


def test_events__page(sign_in: SignIn) -> None:
    """The page of an event shows all that is kept of it."""
    event = stored(
        1,
        error="The API answered 500.",
        attempts=7531,
        client_id="the-client",
        status="some-status",
        outcome="some-outcome",
    )
    page = sign_in(*OPERATOR).get(reverse(PAGE, args=[event.pk])).content.decode()
    kept = (
        "error",
        "event_id",
        "type",
        "resource_id",
        "client_id",
        "status",
        "outcome",
        "attempts",
    )
    assert [name for name in kept if str(getattr(event, name)) not in page] == []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the accounts whose inbox the thread of this process was told to look at."""
    accounts: list[str] = []
    monkeypatch.setattr(dispatch, "process_here", accounts.append)
    return accounts


def test_events__process_again(sign_in: SignIn, asked: list[str]) -> None:
    """Events are due again, those that were given up too, and processed as new ones would be."""
    event = stored(1, processed_at=timezone.now(), error="Gone.", attempts=10)
    stored(2, processed_at=timezone.now())
    text = process_again(sign_in(*OPERATOR), event).text
    assert "1 event is due again and is being processed in the background." in text
    event.refresh_from_db()
    assert (event.processed_at, event.attempts, event.error) == (None, 0, "")
    assert asked == ["default"]


@pytest.mark.django_db(transaction=True)
def test_events__process_again_fetches(
    sign_in: SignIn, api: FakeAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a task engine the process itself fetches what the events are about, with no other command."""
    # In the test's own thread: another one would leave its connection to the database in memory open.
    work = processing.work_in_background
    monkeypatch.setattr(
        processing.Background, "wake", lambda background, account, schemas: work(account)
    )
    event = stored(1, resource_id=api.add_session(1), processed_at=timezone.now(), error="500")
    process_again(sign_in(*OPERATOR), event)
    event.refresh_from_db()
    assert event.processed_at is not None
    assert event.error == ""
    assert WorkflowSession.objects.get().pk == event.resource_id


def test_events__process_again_where_nobody_does(
    sign_in: SignIn, settings: Settings, asked: list[str]
) -> None:
    """Where processing is off, the message names what processes the events, and nobody is woken."""
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    text = process_again(sign_in(*OPERATOR), stored(1), stored(2)).text
    assert "2 events are due again. The next refresh run or the command" in text
    assert "process_webhook_events" in text
    assert asked == []


def test_events__who_may_only_look(sign_in: SignIn) -> None:
    """Without the permission to refresh there is no action; without the view nothing."""
    event = stored(1, processed_at=timezone.now())
    viewer = sign_in("view_webhookevent")
    assert "Process the selected" not in viewer.get(reverse(LIST)).content.decode()
    process_again(viewer, event)
    event.refresh_from_db()
    assert event.processed_at is not None
    assert sign_in("view_workflowsession").get(reverse(LIST)).status_code == 403
