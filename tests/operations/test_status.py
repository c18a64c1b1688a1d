from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.conf import get_account
from complycube_sessions.models import (
    PendingRefresh,
    RefreshLease,
    RefreshRun,
    SessionChange,
    WebhookEvent,
)
from complycube_sessions.operations import status
from complycube_sessions.services import refresh_sessions
from complycube_sessions.sync.request_budget import DatabaseSlots
from tests.builders import by_hand, session_row
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db


def ran(state: str = "succeeded", *, hours_ago: float = 1, mode: str = "incremental") -> RefreshRun:
    ended = timezone.now() - timedelta(hours=hours_ago)
    return RefreshRun.objects.create(
        account="default",
        environment="test",
        mode=mode,
        state=state,
        started_at=ended - timedelta(minutes=1),
        finished_at=None if state == "running" else ended,
        watermark=ended if state == "succeeded" else None,
    )


def holds_the_lock(run: RefreshRun) -> None:
    ends = timezone.now() + timedelta(seconds=10)
    RefreshLease.objects.create(account="default", run=run, expires_at=ends)


def told(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code of the command and what it printed with ``--json``."""
    out = StringIO()
    code = 0
    try:
        call_command("complycube_status", "--json", *arguments, stdout=out)
    except CommandError as error:
        code = error.returncode
    return code, json.loads(out.getvalue())


def problems(*arguments: str) -> tuple[int, list[str]]:
    """Return the exit code, and the codes of all problems."""
    code, found = told(*arguments)
    groups = [found["problems"], *(account["problems"] for account in found["accounts"])]
    return code, [problem["code"] for group in groups for problem in group]


def never(settings: Settings) -> None:
    ran("failed")


def only_by_id(settings: Settings) -> None:
    ran(mode="ids")


def healthy(settings: Settings) -> None:
    ran()
    PendingRefresh.objects.create(account="default", session_id="due", reason="webhook")


def running(settings: Settings) -> None:
    ran()
    holds_the_lock(ran("running", hours_ago=2))


def late(settings: Settings) -> None:
    ran(hours_ago=25)


def partial(settings: Settings) -> None:
    ran(hours_ago=2)
    ran("partial")


def failing(settings: Settings) -> None:
    ran()
    PendingRefresh.objects.create(account="default", session_id="x", reason="failed", attempts=2)


def silent(settings: Settings) -> None:
    ran()
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": ["secret"]}}
    row, now = session_row(), timezone.now()
    for _ in range(3):
        with by_hand():
            SessionChange.objects.create(
                session=row, field="status", source="refresh", changed_at=now, observed_at=now
            )


def locked(settings: Settings) -> None:
    ran(hours_ago=30)
    holds_the_lock(ran("running", hours_ago=25))


def first_run(settings: Settings) -> None:
    holds_the_lock(ran("running", hours_ago=25))


def killed(settings: Settings) -> None:
    ran(hours_ago=2)
    ran("running", hours_ago=1)


def no_key(settings: Settings) -> None:
    ran()
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": ""}}


def other_key(settings: Settings) -> None:
    ran()
    session_row(environment="live")


def no_account(settings: Settings) -> None:
    settings.COMPLYCUBE_ACCOUNTS = {}


@pytest.mark.parametrize(
    ("given", "code", "expected"),
    [
        (healthy, 0, []),
        (running, 0, []),
        (late, 1, ["late"]),
        (partial, 1, ["last_run"]),
        (failing, 1, ["failing"]),
        (silent, 1, ["silent"]),
        (first_run, 1, ["first_run"]),
        (killed, 1, ["stalled"]),
        (never, 2, ["never", "last_run"]),
        (only_by_id, 2, ["never"]),
        (locked, 2, ["locked", "late"]),
        (no_key, 2, ["settings"]),
        (other_key, 2, ["settings"]),
        (no_account, 2, ["no_account"]),
    ],
)
def test_status__states(
    given: Callable[[Settings], None], code: int, expected: list[str], settings: Settings
) -> None:
    """Each state has its exit code, and names what is wrong, worst first."""
    given(settings)
    assert problems() == (code, expected)


def test_status__after_a_refresh(api: FakeAPI, settings: Settings) -> None:
    """What a real run leaves is healthy, and is told whole; none of it is a person's or a key's."""
    session_id = api.add_session(1)
    run = refresh_sessions()
    code, found = told("--account", "default")
    (account,) = found["accounts"]
    assert (code, found["state"], account["state"]) == (0, "healthy", "healthy")
    assert account["last_run"]["run"] == run.pk
    assert account["watermark"] == (run.watermark and run.watermark.isoformat())
    assert account["lease_holder"] is None
    out = StringIO()
    call_command("complycube_status", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "default (test): healthy"
    assert "  due: 0 sessions, failing: 0" in lines
    for secret in (session_id, api.sessions[session_id]["entityName"], KEY):
        assert secret not in out.getvalue() + json.dumps(found)


def test_status__what_waits() -> None:
    """Due sessions, waiting events and the wait for the budget are told; none of them is a problem."""
    ran()
    for session_id in ("one", "two"):
        PendingRefresh.objects.create(account="default", session_id=session_id, reason="webhook")
    later = timezone.now() + timedelta(hours=1)
    PendingRefresh.objects.create(
        account="default", session_id="later", reason="webhook", next_try_at=later
    )
    WebhookEvent.objects.create(account="default", event_id="1", type="check.completed")
    slots = DatabaseSlots(get_account().api_key)
    slots.postpone(30)
    code, found = told()
    (account,) = found["accounts"]
    assert (code, account["due"], account["events_waiting"]) == (0, 2, 1)
    assert 20 < account["budget_wait_seconds"] <= 30


def test_status__worst_account_counts(settings: Settings) -> None:
    """One account that is broken breaks the whole, and the others are told all the same."""
    account = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": account, "second": {"API_KEY": ""}}
    ran()
    code, found = told()
    assert (code, {one["account"]: one["state"] for one in found["accounts"]}) == (
        2,
        {"default": "healthy", "second": "broken"},
    )
    assert problems("--account", "default") == (0, [])
    assert problems("--account", "nobody") == (2, ["settings"])


def test_status__database_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is down is a state of its own, and its words are not repeated."""

    def refuse(names: object) -> None:
        raise DatabaseError("could not connect with password=hunter2")

    monkeypatch.setattr(status, "account_freshness", refuse)
    code, found = told()
    assert (code, found["problems"][0]["code"], found["accounts"]) == (2, "database", [])
    assert "hunter2" not in json.dumps(found)


def test_status__queries(settings: Settings) -> None:
    """It takes as many queries whatever is stored, and a few more for each account."""
    silent(settings)
    failing(settings)
    with CaptureQueriesContext(connection) as queries:
        status.read_status()
    assert len(queries) <= 14
