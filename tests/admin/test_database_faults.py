"""What the admin says where the database takes no write: another writer, a replica, a failover."""

from __future__ import annotations

import pytest
import responses
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from complycube_sessions.admin import base
from complycube_sessions.models import SessionEvidence, WebhookEvent, WorkflowSession
from tests.admin.builders import make_session, make_staff
from tests.fake_api import FakeAPI
from tests.unwritable import unwritable

pytestmark = pytest.mark.django_db(transaction=True)
REFUSED = "The database refused this"


@pytest.fixture
def boss(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(base, "PATIENCE_SECONDS", 0.02)
    client = Client()
    client.force_login(make_staff(superuser=True))
    return client


def address(page: str, *args: str, model: str = "workflowsession") -> str:
    return reverse(f"admin:complycube_sessions_{model}_{page}", args=args)


@pytest.mark.parametrize("page", ["refresh", "evidence", "report"])
def test_session_page__says_it_and_goes_back(
    boss: Client, api: FakeAPI, mocked: responses.RequestsMock, page: str
) -> None:
    """A refresh, evidence or a report that the database refuses ends on the session's page with a message."""
    session = make_session(id=api.add_session(1))
    with unwritable():
        response = boss.post(address(page, session.pk))
        assert response["Location"] == address("change", session.pk)
        assert REFUSED in boss.get(response["Location"]).text
    assert not SessionEvidence.objects.exists()
    assert not LogEntry.objects.exists()


def test_fetch__says_it_in_the_form(boss: Client, api: FakeAPI) -> None:
    """A fetch by id that the database refuses keeps what was typed."""
    typed = {"session_id": api.add_session(1), "account": "default"}
    with unwritable():
        response = boss.post(address("fetch"), typed)
    assert REFUSED in response.text
    assert typed["session_id"] in response.text
    assert not WorkflowSession.objects.exists()


def test_actions__say_it_and_keep_the_filters(boss: Client, api: FakeAPI) -> None:
    """An action and an export that the database refuses go back to the list as it was filtered."""
    session = make_session(id=api.add_session(1))
    chosen = {"action": "refresh_selected", "_selected_action": [session.pk]}
    with unwritable():
        listed = f"{address('changelist')}?outcome=clear"
        assert REFUSED in boss.post(listed, chosen, follow=True).text
        response = boss.post(f"{address('export')}?outcome=clear", {"format": "csv"})
        assert response["Location"] == listed
        assert REFUSED in boss.get(listed).text


def test_events__say_it(boss: Client) -> None:
    """Events that cannot be made due again stay as they are."""
    event = WebhookEvent.objects.create(account="default", event_id="1", type="client.updated")
    chosen = {"action": "process_again", "_selected_action": [event.pk]}
    with unwritable():
        listed = address("changelist", model="webhookevent")
        assert REFUSED in boss.post(listed, chosen, follow=True).text
