from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.models import PendingRefresh, RefreshRun
from tests.admin.test_sessions import LIST

LATE = "No refresh has succeeded"


def run(
    state: str, *, hours_ago: float, mode: str = "incremental", account: str = "default"
) -> None:
    ended = timezone.now() - timedelta(hours=hours_ago)
    RefreshRun.objects.create(
        account=account,
        mode=mode,
        state=state,
        started_at=ended - timedelta(minutes=1),
        finished_at=None if state == "running" else ended,
    )


def line(client: Client) -> str:
    html: str = client.get(reverse(LIST)).content.decode()
    return html[html.index('class="ccs-fresh') : html.index('id="changelist"')]


def test_line__fresh(viewer: Client) -> None:
    """A run that succeeded lately is named, without a warning."""
    run("succeeded", hours_ago=1)
    assert "Succeeded" in line(viewer)
    assert LATE not in line(viewer)


@pytest.mark.parametrize("state", ["failed", "partial", "interrupted"])
def test_line__last_run_did_not_succeed(viewer: Client, state: str) -> None:
    """The state of the last run is shown as it is; the warning waits for the expected time."""
    run("succeeded", hours_ago=2)
    run(state, hours_ago=1)
    assert state.capitalize() in line(viewer)
    assert LATE not in line(viewer)


def test_line__late(viewer: Client) -> None:
    """Failures do not count as news: the warning names the last success."""
    run("succeeded", hours_ago=25)
    run("failed", hours_ago=1)
    run("succeeded", hours_ago=1, mode="ids")
    assert LATE in line(viewer)


def test_line__never(viewer: Client) -> None:
    """Where nothing ever ran, the line says so."""
    assert "No refresh has run yet." in line(viewer)
    assert LATE in line(viewer)


def test_line__running(viewer: Client) -> None:
    """A run that is still alive is shown as such."""
    run("running", hours_ago=0)
    assert "Refresh running since" in line(viewer)


def test_line__one_of_two_accounts_is_late(viewer: Client, settings: Any) -> None:
    """An account that nobody refreshes is named even while the other is fresh."""
    key = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": key, "second": key}
    run("succeeded", hours_ago=1)
    assert "account second" in line(viewer)


def test_line__expected_interval(viewer: Client, settings: Any) -> None:
    """How long is too long is a setting."""
    run("succeeded", hours_ago=2)
    settings.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL = timedelta(hours=1)
    assert LATE in line(viewer)


def test_line__failing(viewer: Client) -> None:
    """Sessions that failed and will be tried again are counted."""
    run("succeeded", hours_ago=1)
    PendingRefresh.objects.create(account="default", session_id="a", reason="failed", attempts=2)
    PendingRefresh.objects.create(account="default", session_id="b", reason="webhook")
    assert "1 session still fails to refresh" in line(viewer)
