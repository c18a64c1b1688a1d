from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.models import RefreshRun, WebhookEvent, WorkflowSession
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.webhooks import processing
from tests.builders import UNKNOWN_ID, session_row
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db

LIVE_KEY = "live_dummy-key-of-the-tests"


@pytest.fixture
def live(api: FakeAPI, settings: Settings) -> FakeAPI:
    """Put a live key over a copy that was made with a test key."""
    api.add_session(1)
    refresh_sessions()
    api.requests.clear()
    api.key = LIVE_KEY
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": LIVE_KEY, "REQUESTS_PER_SECOND": 10_000}}
    return api


def test_live_key_over_test_rows__is_refused(live: FakeAPI) -> None:
    """One sentence names both environments and the way out, before any request, exit 2."""
    for args in [(), ("--full",), (UNKNOWN_ID,)]:
        with pytest.raises(CommandError) as caught:
            call_command("refresh_workflow_sessions", *args, stdout=StringIO(), stderr=StringIO())
        assert caught.value.returncode == 2
        text = str(caught.value)
        for part in ("'default' has a live key", "with a test key", "new mirror", "upgrading.md"):
            assert part in text
        assert "\n" not in text
    assert live.requests == []
    assert RefreshRun.objects.filter(mode="incremental").count() == 1


@pytest.mark.parametrize("way", ["session", "webhook"])
def test_live_key_over_test_rows__no_other_way_in(live: FakeAPI, way: str) -> None:
    """Neither a single session nor an event brings a live session beside test ones."""
    WebhookEvent.objects.create(
        account="default", event_id="1", type="workflow.session.completed", resource_id=UNKNOWN_ID
    )
    with pytest.raises(ComplyCubeConfigurationError, match="live key"):
        refresh_session(UNKNOWN_ID) if way == "session" else processing.process_webhook_events()
    assert live.requests == []
    assert WorkflowSession.objects.get().environment == "test"


def test_rotation__of_the_same_environment(live: FakeAPI, settings: Settings) -> None:
    """Another key of the same environment goes on where the old one ended."""
    live.key = "test_the-next-key"
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": live.key}}
    run = refresh_sessions()
    assert (run.state, run.fetched, run.unchanged) == ("succeeded", 0, 1)


def test_account_of_its_own__beside_the_sandbox(live: FakeAPI, settings: Settings) -> None:
    """The way out that the sentence names is one."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY},
        "live": {"API_KEY": LIVE_KEY, "REQUESTS_PER_SECOND": 10_000},
    }
    live.sessions.clear()
    live.checks.clear()
    live.add_session(2)
    assert refresh_sessions("live").state == "succeeded"


def test_copy_of_both__goes_on(live: FakeAPI) -> None:
    """A copy that holds both already is not stopped."""
    session_row("f" * 24, environment="live")
    assert refresh_sessions().error_count == 1  # the session of the other environment


@pytest.mark.parametrize(("key", "stored"), [(LIVE_KEY, "test"), (KEY, "live"), ("other", "test")])
def test_check__names_both(settings: Any, key: str, stored: str) -> None:
    """``check --deploy --database default`` says so, whichever of the two is the key's."""
    session_row(environment=stored)
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": key, "WEBHOOK_SECRETS": ["s"]}}
    err = StringIO()
    call_command("check", deploy=True, databases=["default"], stderr=err, stdout=StringIO())
    assert "complycube_sessions.W062" in err.getvalue()
    assert f"but {stored} sessions of it are stored here" in err.getvalue()
