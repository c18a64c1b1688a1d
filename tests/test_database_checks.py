from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions import database_checks
from complycube_sessions.database_checks import check_events_arrive
from complycube_sessions.models import SessionChange, WebhookEvent, WorkflowSession
from complycube_sessions.services import refresh_sessions
from tests.builders import by_hand, session_row
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": ["secret"]}}


def changed(count: int, *, source: str = "refresh", ago: timedelta = timedelta(0)) -> None:
    row = session_row(f"session{SessionChange.objects.count()}")
    at = timezone.now() - ago
    for _ in range(count):
        with by_hand():
            SessionChange.objects.create(
                session=row, field="status", source=source, changed_at=at, observed_at=at
            )


def event(ago: timedelta) -> None:
    WebhookEvent.objects.create(
        account="default", event_id="1", type="x", received_at=timezone.now() - ago
    )


def found() -> list[str | None]:
    return [message.id for message in check_events_arrive(databases=["default"])]


def test_check__accounts_are_apart(settings: Settings) -> None:
    """Each account is told of its own events."""
    account = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"other": account, "default": account}
    event(timedelta(minutes=5))
    changed(3)
    assert found() == []
    with by_hand():
        WorkflowSession.objects.update(account="other")
    (message,) = check_events_arrive(databases=["default"])
    assert "'other'" in message.msg


def test_check__quiet_account() -> None:
    """An account in which nothing happens is no cause for alarm."""
    event(timedelta(days=3))
    changed(2)
    assert found() == []


def test_check__events_stopped() -> None:
    """Changes that only polling found, after the last event, are one."""
    event(timedelta(hours=5))
    changed(3)
    assert found() == ["complycube_sessions.W030"]


def test_check__no_event_ever() -> None:
    """A secret that is configured, and not one event, are one too."""
    changed(3)
    assert found() == ["complycube_sessions.W030"]


def test_check__events_come() -> None:
    """Polling may be first now and then, while events still come."""
    event(timedelta(minutes=30))
    changed(3)
    assert found() == []


def test_check__changes_that_events_brought() -> None:
    """What events or a person have brought to light proves nothing."""
    changed(3, source="webhook")
    changed(3, source="admin")
    assert found() == []


def test_check__long_ago() -> None:
    """A gap of more than a week ago is over."""
    changed(3, ago=timedelta(days=8))
    assert found() == []


def test_check__without_a_webhook(settings: Settings) -> None:
    """A project that only polls is not told of webhooks."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY}}
    changed(3)
    assert found() == []


def test_check__only_with_the_database() -> None:
    """Without ``--database`` the check asks nothing."""
    changed(3)
    assert check_events_arrive() == []
    assert check_events_arrive(databases=["other"]) == []


def test_check__before_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tables are not there yet, there is nothing to say."""

    def missing() -> list[str]:
        raise DatabaseError

    monkeypatch.setattr(database_checks, "silent_accounts", missing)
    assert check_events_arrive(databases=["default"]) == []


def test_check_command__registered() -> None:
    """``manage.py check --database default`` tells it."""
    changed(3)
    err = StringIO()
    call_command("check", databases=["default"], stderr=err, stdout=StringIO())
    assert "complycube_sessions.W030" in err.getvalue()


# Accounts


def ids(check: Callable[..., list[CheckMessage]]) -> list[str | None]:
    return [message.id for message in check(databases=["default"])]


def test_check__rows_of_an_account_that_is_not_configured() -> None:
    """Sessions and events of an account that left the settings are told, each account once."""
    assert ids(database_checks.check_accounts_are_configured) == []
    session_row("one", account="gone")
    session_row("two")
    WebhookEvent.objects.create(account="gone", event_id="1")
    WebhookEvent.objects.create(account="older", event_id="1")
    one, other = database_checks.check_accounts_are_configured(databases=["default"])
    assert one.id == other.id == "complycube_sessions.W042"
    assert "no account 'gone', but the database has workflow sessions and webhook events" in one.msg
    assert "no account 'older', but the database has webhook events of it" in other.msg
    assert database_checks.check_accounts_are_configured() == []


def test_check__accounts_that_see_the_same_sessions(api: FakeAPI, settings: Settings) -> None:
    """Two keys of one ComplyCube account are told once the second has run."""
    account = {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000}
    settings.COMPLYCUBE_ACCOUNTS = {"a": account, "b": account}
    for number in range(3):
        api.add_session(number)
    refresh_sessions("a")
    assert ids(database_checks.check_accounts_are_apart) == []
    refresh_sessions("b")
    (warning,) = database_checks.check_accounts_are_apart(databases=["default"])
    assert warning.id == "complycube_sessions.W043"
    assert "'a' and 'b' see the same sessions: 3 that" in warning.msg
    assert database_checks.check_accounts_are_apart() == []
    del settings.COMPLYCUBE_ACCOUNTS["a"]
    assert ids(database_checks.check_accounts_are_apart) == []


@pytest.mark.parametrize("name", ["accounts_left", "shared_sessions"])
def test_check__accounts_before_migrate(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where the tables are not there yet, these have nothing to say either."""

    def missing() -> None:
        raise DatabaseError

    monkeypatch.setattr(database_checks, name, missing)
    assert ids(database_checks.check_accounts_are_configured) == []
    assert ids(database_checks.check_accounts_are_apart) == []


def test_check_command__accounts() -> None:
    """``manage.py check --database default`` tells these too."""
    session_row("one", account="gone")
    err = StringIO()
    call_command("check", databases=["default"], stderr=err, stdout=StringIO())
    assert "complycube_sessions.W042" in err.getvalue()


def test_check__names_what_to_look_at() -> None:
    """The warning names the portal, the address of the receiver, and the setting of the secret."""
    changed(3)
    (message,) = check_events_arrive(databases=["default"])
    for part in ("ComplyCube portal", "webhook/default/", "WEBHOOK_SECRETS"):
        assert part in str(message.hint)


def test_check__receiver_without_an_address(settings: Settings) -> None:
    """A site that does not serve the receiver expects no event, whatever secret is set."""
    changed(3)
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert found() == []


def test_check__stand_in_that_sends_none(settings: Settings) -> None:
    """A stand-in for the API on this machine owes no events, until it has sent one."""
    account = settings.COMPLYCUBE_ACCOUNTS["default"]
    local = {**account, "BASE_URL": "http://127.0.0.1:8000/sandbox/v1"}
    settings.COMPLYCUBE_ACCOUNTS = {"default": local}
    changed(3)
    assert found() == []
    event(timedelta(hours=5))
    assert found() == ["complycube_sessions.W030"]
