from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import PendingRefresh, RefreshRun, SessionChange
from tests.admin.builders import make_session
from tests.admin.conftest import SignIn
from tests.admin.test_sessions import LIST
from tests.builders import by_hand

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
    return html[html.index('class="ccs-fresh') : html.index('class="ccs-find"')]


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


@pytest.mark.parametrize("newest", ["incremental", "full"])
def test_line__newest_success_of_any_mode_counts(
    viewer: Client, settings: Any, newest: str
) -> None:
    """Between two nightly full runs the quarter-hourly ones keep the copy fresh, and the other way round."""
    settings.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL = timedelta(hours=2)
    (other,) = {"incremental", "full"} - {newest}
    run("succeeded", hours_ago=8, mode=other)
    run("succeeded", hours_ago=1, mode=newest)
    assert LATE not in line(viewer)


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
    assert "1 session fails to refresh" in line(viewer)


def test_line__events_have_stopped(reviewer: Client, settings: Settings) -> None:
    """Where polling finds changes of which no event told, the line warns; without a secret it does not."""
    account = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": {**account, "WEBHOOK_SECRETS": ["a secret"]}}
    session = make_session()
    warning = "Webhook events have stopped (account default)"
    assert warning not in line(reviewer)
    for _ in range(3):
        with by_hand():
            SessionChange.objects.create(
                session=session,
                field="status",
                new="complete",
                changed_at=timezone.now(),
                observed_at=timezone.now(),
                source="refresh",
            )
    assert warning in line(reviewer)
    settings.COMPLYCUBE_ACCOUNTS = {"default": account}
    assert warning not in line(reviewer)


def test_line__failing_is_a_link_for_operators(sign_in: SignIn) -> None:
    """What still fails is one click away for those who may see it, and the list has as many rows."""
    PendingRefresh.objects.create(account="default", session_id="s1", reason="failed", attempts=1)
    PendingRefresh.objects.create(account="default", session_id="s2", reason="chunk")
    address = f"{reverse('admin:complycube_sessions_pendingrefresh_changelist')}?failing=yes"
    assert address not in line(sign_in("view_workflowsession"))
    client = sign_in("view_workflowsession", "view_pendingrefresh")
    text = line(client)
    assert f'<a href="{address}">1 session fails' in text
    assert client.get(address).context["cl"].result_count == 1


def test_line__last_good_one_after_a_failure(viewer: Client, settings: Any) -> None:
    """After a run that failed, or while one runs, the last good one of that account is still named."""
    key = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": key, "second": key}
    run("succeeded", hours_ago=3)
    run("succeeded", hours_ago=1, account="second")
    assert "Last successful one" not in line(viewer)
    for state in ("failed", "partial", "interrupted", "running"):
        run(state, hours_ago=0.5)
        assert "Last successful one" in line(viewer)
        three_hours_ago = timezone.now() - timedelta(hours=3)
        assert f"{three_hours_ago:%H:%M}" in line(viewer)


def test_line__waiting_is_told_and_links(sign_in: SignIn) -> None:
    """What is due and was never tried is told apart from what fails; its link shows as many rows."""
    address = f"{reverse('admin:complycube_sessions_pendingrefresh_changelist')}?failing=no"
    client = sign_in("view_workflowsession", "view_pendingrefresh")
    assert "to be fetched" not in line(client)
    for number in range(3):
        PendingRefresh.objects.create(account="default", session_id=str(number), attempts=number)
    text = line(client)
    assert f'<a href="{address}">1 session is waiting to be fetched' in text
    assert "2 sessions fail to refresh" in text
    assert client.get(address).context["cl"].result_count == 1
    assert address not in line(sign_in("view_workflowsession"))
