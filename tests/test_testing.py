"""``complycube_sessions.testing``, as a host project uses it, and the recipes of its page."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses
from django.test import Client, TestCase
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeStorageError
from complycube_sessions.models import WebhookEvent, WorkflowSession
from complycube_sessions.services import (
    cancel_session,
    refresh_session,
    refresh_sessions,
    validate_check,
)
from complycube_sessions.signals import session_outcome_changed
from complycube_sessions.testing import fake_api, make_session, session_answer, signed_webhook
from tests.fake_api import KEY

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"
PYTEST, TESTCASE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.django_db


def defined(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own document
    return names


def test_make_session__is_as_a_refresh_stores_it() -> None:
    """What the store works out is there: the review, the search, the environment, the times of the fetch."""
    session = make_session(
        entityName="Łukasz Ñandú", outcome="attention", checks=[{"outcome": "rejected"}]
    )
    assert (session.needs_review, session.environment, session.account) == (True, "test", "default")
    assert datetime.now(UTC) - session.fetched_at < timedelta(minutes=1)
    assert list(WorkflowSession.objects.search("nandu lukasz")) == [session]
    check = session.checks.get()
    assert (check.outcome, check.type, check.status) == ("rejected", "document_check", "complete")
    assert session.raw["allRelatedChecks"][0]["checkId"] == check.check_id


def test_fake_api__is_changed_from_here(settings: Settings) -> None:
    """What the project asks of the API is done there, and can be asserted."""
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = settings.COMPLYCUBE_AUDIT_LOGS = True
    matches = [{"id": "m1"}, {"id": "m2", "validation": "rejected"}]
    screening = {"outcome": "attention", "breakdown": {"matches": matches}}
    session = make_session(
        outcome="attention",
        checks=[
            {"type": "document_check", "outcome": "attention"},
            {"type": "extensive_screening_check", "result": screening},
        ],
    )
    started = make_session(status="started")
    document, check = session.checks.order_by("position")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        api = fake_api(mock, [session, started])
        assert validate_check(session.pk, document.check_id, "confirmed").session == session
        validate_check(session.pk, check.check_id, "rejected", "m1")
        assert cancel_session(started.pk).session == started
    assert api.posts == [
        (f"checks/{document.check_id}/validate", {"outcome": "confirmed"}),
        (f"checks/{check.check_id}/validate", {"outcome": "rejected", "matchId": "m1"}),
        (f"workflowSessions/{started.pk}/cancel", {}),
    ]
    assert [row.outcome for row in session.checks.order_by("position")] == ["clear", "clear"]
    started.refresh_from_db()
    assert started.status == "cancelled"


def test_make_session__again_is_a_newer_answer() -> None:
    """The same id changes the row, with its history and its signal."""
    told: list[tuple[str, str]] = []

    def listen(old: str, new: str, **kwargs: Any) -> None:
        told.append((old, new))

    session_outcome_changed.connect(listen)
    try:
        first = make_session(id="one", outcome="clear")
        second = make_session(id="one", outcome="attention")
    finally:
        session_outcome_changed.disconnect(listen)
    assert (first.pk, second.outcome) == ("one", "attention")
    assert [(c.old, c.new) for c in second.changes.all()] == [("clear", "attention")]
    assert told == [("", "clear"), ("clear", "attention")]


def test_make_session__names_of_columns_are_refused() -> None:
    """A column's name would do nothing, so it is an error."""
    with pytest.raises(TypeError, match="client_id"):
        make_session(client_id="one")
    assert not WorkflowSession.objects.exists()


def test_make_session__of_another_account(settings: Settings) -> None:
    """What a refresh would refuse is an error that says why."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000},
        "other": {"API_KEY": "test_b"},
    }
    make_session(id="one")
    with pytest.raises(ComplyCubeStorageError, match="stored for account 'default'"):
        make_session(id="one", account="other")


def test_fake_api__pages_and_windows(mocked: responses.RequestsMock) -> None:
    """More sessions than a page holds are all refreshed; a second run asks for what moved alone."""
    now = datetime.now(UTC)
    api = fake_api(
        mocked,
        [
            session_answer(
                id=f"s{number}",
                createdAt=now - timedelta(days=2, seconds=number),
                updatedAt=now - timedelta(days=1),
                allRelatedChecks=[{"checkId": f"c{number}", "type": "identity_check"}],
            )
            for number in range(30)
        ],
    )
    run = refresh_sessions()
    assert (run.created, run.failed, run.state) == (30, 0, "succeeded")
    assert WorkflowSession.objects.get(pk="s7").checks.get().outcome == "clear"
    api.change("s3", outcome="decline")
    api.requests.clear()
    assert refresh_sessions().updated == 1
    assert [r for r in api.requests if r.startswith("workflowSessions/")] == ["workflowSessions/s3"]


def test_fake_api__row_round_trips(mocked: responses.RequestsMock) -> None:
    """A row that is served and fetched again is the same row."""
    breakdown = {"outcome": "attention", "breakdown": {"summary": "attention"}}
    session = make_session(outcome="attention", checks=[{"result": breakdown}])
    fake_api(mocked, [session])
    again = refresh_session(session.pk)
    assert again.raw == session.raw
    assert again.checks.get().result == breakdown
    assert not again.changes.exists()


def test_signed_webhook__event_is_stored(client: Client, settings: Settings) -> None:
    """The receiver takes it, and refuses one of another secret."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "WEBHOOK_SECRETS": ["secret"]}
    }
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    assert client.post(**signed_webhook({"payload": {"id": "s1"}}, "secret")).status_code == 200
    assert client.post(**signed_webhook({"payload": {"id": "s2"}}, "wrong")).status_code == 400
    assert [event.resource_id for event in WebhookEvent.objects.all()] == ["s1"]


@pytest.mark.parametrize("name", re.findall(r"def (test_\w+)", PYTEST))
def test_recipe__pytest(
    name: str, client: Client, settings: Settings, mocked: responses.RequestsMock
) -> None:
    """Each test of the page passes."""
    function = defined(PYTEST)[name]
    wanted = {"client": client, "settings": settings}
    needed = function.__code__.co_varnames[: function.__code__.co_argcount]
    mocked.stop(allow_assert=False)
    try:
        function(**{argument: wanted[argument] for argument in needed})
    finally:
        mocked.start()


def test_recipe__testcase(mocked: responses.RequestsMock) -> None:
    """The ``TestCase`` of the page passes, each of its tests."""
    case = defined(TESTCASE)["DeskTests"]
    assert issubclass(case, TestCase)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    mocked.stop(allow_assert=False)
    try:
        result = suite.run(unittest.TestResult())
    finally:
        mocked.start()
    assert result.testsRun == 2
    assert result.errors + result.failures == []


def test_testing__needs_no_test_dependency() -> None:
    """It can be imported where no library for tests is installed."""
    code = (
        "import sys\n"
        "for name in ('pytest', 'responses', 'hypothesis'): sys.modules[name] = None\n"
        "import django; django.setup()\n"
        "import complycube_sessions.testing"
    )
    command = [sys.executable, "-c", code]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""}
    root = Path(__file__).parent.parent
    subprocess.run(command, check=True, env=environment, cwd=root, timeout=60)
