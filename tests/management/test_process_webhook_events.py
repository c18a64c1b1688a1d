from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from complycube_sessions.management.commands import process_webhook_events as command
from complycube_sessions.models import WebhookEvent, WorkflowSession
from complycube_sessions.webhooks.processing import Processed, process_webhook_events
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }


def received(resource_id: str) -> None:
    WebhookEvent.objects.create(
        account="default",
        event_id=f"evt-{resource_id}",
        type="workflow.session.completed",
        resource_id=resource_id,
    )


def run(*args: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("process_webhook_events", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_command__works_off_the_inbox(api: FakeAPI) -> None:
    """All events that are due are processed, and one line tells how many."""
    for number in range(3):
        received(api.add_session(number))
    out, err = run()
    requests = len(api.requests)
    assert out == (
        f"default: 3 events taken, 3 sessions stored, 0 missing, 0 failed, {requests} requests.\n"
    )
    assert err == ""
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_command__empty_inbox(api: FakeAPI) -> None:
    """An empty inbox costs no request."""
    out, _ = run("--account", "default")
    assert out == "default: 0 events taken, 0 sessions stored, 0 missing, 0 failed, 0 requests.\n"
    assert api.requests == []


def test_command__names_what_failed(api: FakeAPI) -> None:
    """A failure is named and ends in 1; all others are stored."""
    bad, good = api.add_session(1), api.add_session(2)
    api.fail(f"/workflowSessions/{bad}", 500)
    received(bad)
    received(good)
    err = StringIO()
    with pytest.raises(CommandError, match="1 session failed and will be retried") as raised:
        call_command("process_webhook_events", stdout=StringIO(), stderr=err)
    assert raised.value.returncode == 1
    assert bad in err.getvalue()
    assert WorkflowSession.objects.get().pk == good


def test_command__refused_key(api: FakeAPI) -> None:
    """A refused key, a missing account: it cannot run."""
    received(api.add_session(1))
    api.fail(f"/workflowSessions/{1:024x}", 401)
    for args in ([], ["--account", "nobody"]):
        with pytest.raises(CommandError) as raised:
            run(*args)
        assert raised.value.returncode == 2


@pytest.mark.django_db(transaction=True)  # it closes connections that were lost
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command__follow_until_a_signal(
    api: FakeAPI, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker goes on after an empty look and after an error, and ends in order by a signal."""
    looks: list[int] = []
    work = process_webhook_events

    def process(account: str, **options: Any) -> Processed:
        looks.append(len(looks))
        assert len(looks) < 10
        if len(looks) == 2:
            received(api.add_session(1))
        if len(looks) == 3:
            api.fail(f"/workflowSessions/{1:024x}", 401)
        if len(looks) == 4:
            api.faults.clear()
            WebhookEvent.objects.update(next_try_at=None)
        done = work(account, **options)
        if done.taken:
            os.kill(os.getpid(), number)
        return done

    monkeypatch.setattr(command, "process_webhook_events", process)
    monkeypatch.setattr(command, "SECONDS_AFTER_ERROR", 0.0)
    before = signal.getsignal(number)
    out, _ = run("--follow", "--interval", "0")
    assert "1 session stored" in out
    assert signal.getsignal(number) is before
    assert WorkflowSession.objects.count() == 1


def test_command__outside_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread, where signals are not its own, it works all the same."""
    said: list[str] = []

    def process(account: str, *, go_on: Callable[[], bool]) -> Processed:
        assert go_on()
        return Processed(1, 1, 0, 1, {})

    monkeypatch.setattr(command, "process_webhook_events", process)
    thread = threading.Thread(target=lambda: said.extend(run()))
    thread.start()
    thread.join()
    assert "1 session stored" in said[0]


@pytest.mark.parametrize("fault", [{}, {"API_KEY": "test_wrong"}], ids=["no key", "refused key"])
def test_command__one_account_cannot_run(api: FakeAPI, settings: Settings, fault: Any) -> None:
    """The inbox of every other account is worked off all the same; the exit code tells of the one."""
    settings.COMPLYCUBE_ACCOUNTS = {"broken": fault, **settings.COMPLYCUBE_ACCOUNTS}
    received(api.add_session(1))
    WebhookEvent.objects.create(
        account="broken", event_id="x", type="workflow.session.completed", resource_id="0" * 24
    )
    with pytest.raises(CommandError, match="broken: ") as error:
        run()
    assert error.value.returncode == 2
    assert WebhookEvent.objects.get(account="default").processed_at is not None
    assert WebhookEvent.objects.get(account="broken").processed_at is None


def test_command__follow_with_an_account_that_cannot_run(
    api: FakeAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker leaves out an account without a key, says so once, and serves the others."""
    settings.COMPLYCUBE_ACCOUNTS = {"broken": {}, **settings.COMPLYCUBE_ACCOUNTS}
    served: list[str] = []

    def process(account: str, **options: Any) -> Processed:
        served.append(account)
        if len(served) == 3:
            signal.raise_signal(signal.SIGTERM)
        return Processed(0, 0, 0, 0, {})

    monkeypatch.setattr(command, "process_webhook_events", process)
    _, err = run("--follow", "--interval", "0")
    assert served == ["default"] * 3
    assert err.count("broken") == 1

    settings.COMPLYCUBE_ACCOUNTS = {"broken": {}}
    with pytest.raises(CommandError, match="broken") as error:
        run("--follow")
    assert error.value.returncode == 2
