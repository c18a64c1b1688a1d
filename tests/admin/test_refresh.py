from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.urls import resolve, reverse
from pytest_django import Settings

from complycube_sessions import tasks
from complycube_sessions.admin import refresh as refresh_admin
from complycube_sessions.conf import get_account
from complycube_sessions.exceptions import (
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubeInvalidIdError,
    ComplyCubeNotFoundError,
    ComplyCubeOwnershipError,
    ComplyCubePayloadError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)
from complycube_sessions.models import PendingRefresh, WorkflowSession
from complycube_sessions.sync.request_budget import DatabaseSlots
from tests.admin.builders import make_session
from tests.admin.conftest import VIEWS, SignIn
from tests.fake_api import FakeAPI

LIST = "admin:complycube_sessions_workflowsession_changelist"
FETCH = "admin:complycube_sessions_workflowsession_fetch"

ERRORS = [
    (ComplyCubeNotFoundError("x", status_code=404), "does not know this session (404)"),
    (ComplyCubeRateLimitError("x"), "accepts no more requests at the moment (429)"),
    (ComplyCubeAuthenticationError("x", status_code=401), "rejects the API key (401)"),
    (ComplyCubeBusyError("x"), "Other requests to ComplyCube take precedence at the moment"),
    (ComplyCubeConnectionError("x"), "could not be reached"),
    (ComplyCubeServerError("x", status_code=503), "had an internal error"),
    (ComplyCubePayloadError("x"), "answer could not be read"),
    (ComplyCubeInvalidIdError("x"), "is not a valid session id"),
    (ComplyCubeOwnershipError("x"), "another account or environment"),
    (ComplyCubeConfigurationError("x"), "no usable API key"),
    (ComplyCubeError("x"), "refresh failed (ComplyCubeError)"),
]


@pytest.fixture
def lead(sign_in: SignIn) -> Client:
    return sign_in(*VIEWS, "refresh_workflowsession")


def refresh(client: Client, session_id: str) -> Any:
    address = reverse("admin:complycube_sessions_workflowsession_refresh", args=[session_id])
    return client.post(address, follow=True)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[str]:
    asked: list[str] = []

    def fail(session_id: str, **kwargs: Any) -> WorkflowSession:
        asked.append(session_id)
        raise error

    monkeypatch.setattr(refresh_admin, "refresh_session", fail)
    return asked


def test_refresh__fetches_stores_and_logs(lead: Client, api: FakeAPI) -> None:
    """The button fetches the session from the API, goes back to its page and writes the log."""
    session_id = api.add_session(1, outcome="attention", entityName="Ann Secret")
    make_session(id=session_id, outcome="", status="processing", updated_at=None)
    response = refresh(lead, session_id)
    assert response.redirect_chain[0][0].endswith(f"{session_id}/change/")
    assert "The session is up to date." in response.content.decode()
    session = WorkflowSession.objects.get(pk=session_id)
    assert session.outcome == "attention"
    assert session.changes.filter(field="outcome", source="admin").exists()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (
        session_id,
        f"Refreshed from ComplyCube: {session_id}",
    )
    assert entry.change_message == "Refreshed from ComplyCube."


@pytest.mark.parametrize(("error", "text"), ERRORS)
def test_refresh__says_what_went_wrong(
    lead: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    """Each error becomes a sentence for the reviewer, and the try stands in the log."""
    fail_with(monkeypatch, error)
    session = make_session(entity_name="Ann Secret")
    assert text in refresh(lead, session.pk).content.decode()
    entry = LogEntry.objects.get()
    assert entry.object_id == session.pk
    assert type(error).__name__ in entry.change_message
    assert "Ann" not in f"{entry.object_repr} {entry.change_message}"


@pytest.mark.vendors("postgresql", "mysql")  # SQLite takes no second connection that writes
@pytest.mark.parametrize("middleware", ["open_transactions", "rolled_back_transactions"])
@pytest.mark.django_db(transaction=True)
def test_refresh__inside_a_transaction(
    sign_in: SignIn, settings: Settings, api: FakeAPI, middleware: str
) -> None:
    """Where a middleware holds a transaction open, a session is fetched and stored beside it."""
    session_id = api.add_session(1, outcome="attention")
    make_session(id=session_id, outcome="", status="processing", updated_at=None)
    client = sign_in(*VIEWS, "refresh_workflowsession")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"tests.middleware.{middleware}"]
    page = refresh(client, session_id).text
    assert "The session is up to date." in page
    assert WorkflowSession.objects.get(pk=session_id).outcome == "attention"


def test_refresh__inside_a_transaction_that_cannot_be_left(
    lead: Client, settings: Settings, api: FakeAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be stored beside it (SQLite, a host's test), nobody is asked, and it is said why."""
    session = make_session(id=api.add_session(1))
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.middleware.open_transactions"]
    assert "holds a database transaction open" in refresh(lead, session.pk).text
    assert "atomic = False" in caplog.text
    assert api.requests == []


def test_refresh__unknown_id_asks_nobody(lead: Client) -> None:
    """A session that is not stored is not fetched by the button of its page."""
    assert "There is no session" in refresh(lead, "nobody").content.decode()
    assert not LogEntry.objects.exists()


def test_fetch__stores_a_new_session(lead: Client, api: FakeAPI) -> None:
    """A session that nobody knows here is fetched by its id and shown."""
    session_id = api.add_session(7)
    response = lead.post(
        reverse(FETCH), {"session_id": f" {session_id} ", "account": "default"}, follow=True
    )
    assert f"Session {session_id} is stored." in response.content.decode()
    assert WorkflowSession.objects.filter(pk=session_id).exists()
    assert LogEntry.objects.get().is_addition()


@pytest.mark.parametrize("typed", ["nobody-knows-me", "../checks/1", "John Doe"])
def test_fetch__unknown_id(lead: Client, api: FakeAPI, typed: str) -> None:
    """An id that the API does not know, or that cannot be one, is refused in words; it is not logged."""
    response = lead.post(reverse(FETCH), {"session_id": typed, "account": "default"})
    text = response.content.decode()
    assert "does not know this session" in text or "is not a valid session id" in text
    entry = LogEntry.objects.get()
    assert typed not in f"{entry.object_repr} {entry.change_message} {entry.object_id}"


def test_fetch__operator_stays_where_he_may_be(sign_in: SignIn, api: FakeAPI) -> None:
    """Somebody who may fetch but not see sessions is not sent to a page that refuses him."""
    client = sign_in("refresh_workflowsession")
    data = {"session_id": api.add_session(7), "account": "default"}
    response = client.post(reverse(FETCH), data, follow=True)
    assert response.status_code == 200
    assert response.redirect_chain == [(reverse(FETCH), 302)]


def test_fetch__wrong_account(lead: Client) -> None:
    """An account that is not in the settings is refused by the form."""
    response = lead.post(reverse(FETCH), {"session_id": "abc", "account": "other"})
    assert response.status_code == 200
    assert not LogEntry.objects.exists()


def select(client: Client, ids: list[str], **data: str) -> str:
    response = client.post(
        reverse(LIST),
        {"action": "refresh_selected", "_selected_action": ids, **data},
        follow=True,
    )
    return str(response.content.decode())


def test_selection__refreshes_each(lead: Client, api: FakeAPI) -> None:
    """Each chosen session is fetched and logged, and no other."""
    ids = [api.add_session(number) for number in range(3)]
    for session_id in ids:
        make_session(id=session_id)
    assert "2 sessions are up to date." in select(lead, ids[:2])
    assert set(LogEntry.objects.values_list("object_id", flat=True)) == set(ids[:2])


def test_selection__too_large(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the bound is refused before anything is asked, with a hint what to do."""
    asked = fail_with(monkeypatch, AssertionError())
    ids = [make_session().pk for _ in range(refresh_admin.MAX_SELECTED + 1)]
    text = select(lead, ids[:1], select_across="1")
    assert "At most 20 sessions" in text
    assert "refresh_workflow_sessions" in text
    assert asked == []


@pytest.mark.parametrize("is_taken", [True, False])
def test_selection__large_goes_to_the_engine(
    lead: Client, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    """With a task engine, more than the bound are handed over, by account, and each is logged."""
    asked = fail_with(monkeypatch, AssertionError())
    monkeypatch.setattr(tasks, "engine", lambda: "tasks")
    handed: dict[str, list[str]] = {}

    def take(account: str, ids: list[str]) -> bool:
        handed[account] = ids
        return is_taken

    monkeypatch.setattr(tasks, "refresh_in_background", take)
    ids = [make_session().pk for _ in range(refresh_admin.MAX_SELECTED)]
    other = make_session(account="other").pk
    text = select(lead, ids[:1], select_across="1")
    assert handed == {"default": sorted(ids), "other": [other]}
    assert asked == []
    for words in ("20 sessions", "1 session"):
        expected = (
            f"{words} {'are' if words[0] == '2' else 'is'} being refreshed in the background."
        )
        assert (expected in text) is is_taken
    assert ("The next refresh run fetches 20 sessions." in text) is not is_taken
    assert set(LogEntry.objects.values_list("object_id", flat=True)) == {*ids, other}


def test_selection__larger_than_an_engine_takes(
    lead: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound holds for the engine too."""
    monkeypatch.setattr(tasks, "engine", lambda: "tasks")
    monkeypatch.setattr(refresh_admin, "MAX_SELECTED", 1)
    monkeypatch.setattr(refresh_admin, "MAX_HANDED_OVER", 2)
    ids = [make_session().pk for _ in range(3)]
    assert "At most 2 sessions" in select(lead, ids)
    assert not PendingRefresh.objects.exists()
    assert not LogEntry.objects.exists()


def test_selection__account_that_is_gone(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of an account without settings are named, and nothing is logged for them."""
    monkeypatch.setattr(tasks, "engine", lambda: "tasks")
    monkeypatch.setattr(refresh_admin, "MAX_SELECTED", 1)
    ids = [make_session(account="gone").pk for _ in range(2)]
    assert "one: The account has no usable API key." in select(lead, ids)
    assert not LogEntry.objects.exists()


@pytest.mark.vendors("postgresql", "mysql")  # SQLite takes no second connection that writes
@pytest.mark.django_db(transaction=True)
def test_selection__handed_over_inside_a_transaction(
    sign_in: SignIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker is told of is stored by then, where a middleware holds a transaction open."""
    monkeypatch.setattr(tasks, "engine", lambda: "tasks")
    monkeypatch.setattr(refresh_admin, "MAX_SELECTED", 1)
    seen: list[tuple[bool, int]] = []

    def enqueue(name: str, account: str) -> None:
        seen.append((connection.in_atomic_block, PendingRefresh.objects.count()))

    monkeypatch.setattr(tasks, "enqueue", enqueue)
    ids = [make_session().pk for _ in range(2)]
    client = sign_in(*VIEWS, "refresh_workflowsession")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.middleware.open_transactions"]
    select(client, ids)
    assert seen == [(False, 2)]


def test_selection__stops_at_what_hits_all(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key ends the action at the first session and says how many were not tried."""
    asked = fail_with(monkeypatch, ComplyCubeAuthenticationError("x", status_code=401))
    text = select(lead, [make_session().pk for _ in range(3)])
    assert len(asked) == 1
    assert "2 other sessions were not tried." in text


def test_selection__goes_on_after_a_404(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is gone costs only itself."""
    asked = fail_with(monkeypatch, ComplyCubeNotFoundError("x", status_code=404))
    select(lead, [make_session().pk for _ in range(3)])
    assert len(asked) == 3


@pytest.mark.parametrize("page", ["changelist", "fetch", "refresh"])
def test_views__wait_outside_of_transactions(page: str) -> None:
    """A view that may wait for the API is kept out of the transactions of ATOMIC_REQUESTS."""
    args = ["x"] if page == "refresh" else []
    view = resolve(reverse(f"admin:complycube_sessions_workflowsession_{page}", args=args)).func
    assert "default" in view._non_atomic_requests  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", ["refresh", "fetch", "action"])
def test_refresh__never_waits_long_for_the_budget(api: FakeAPI, lead: Client, page: str) -> None:
    """While others have reserved the budget for longer, a page says so instead of holding a worker up."""
    ids = [make_session(pk=f"s{number}").pk for number in range(3)]
    DatabaseSlots(get_account().api_key).postpone(60)
    calls: dict[str, Callable[[], Any]] = {
        "refresh": lambda: refresh(lead, ids[0]),
        "fetch": lambda: lead.post(
            reverse(FETCH), {"session_id": "s9", "account": "default"}, follow=True
        ),
        "action": lambda: lead.post(
            reverse(LIST), {"action": "refresh_selected", "_selected_action": ids}, follow=True
        ),
    }
    began = time.monotonic()
    response = calls[page]()
    assert time.monotonic() - began < 30  # of a minute
    assert response.status_code == 200
    html = response.content.decode()
    assert html.count("Other requests to ComplyCube take precedence at the moment") == 1
    assert ("2 other sessions were not tried" in html) == (page == "action")
    assert api.requests == []
