"""What a run leaves to a later one is told, and its counts add up to what it listed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import PendingRefresh, RefreshRun, WebhookEvent, WorkflowSession
from complycube_sessions.services import refresh_sessions
from tests.builders import UNKNOWN_ID, session_row
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db

DONE = ("created", "updated", "unchanged", "missing", "failed", "remaining")


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }


def adds_up(run: RefreshRun) -> bool:
    return bool(run.listed == sum(getattr(run, name) for name in DONE))


def due_now() -> None:
    PendingRefresh.objects.update(next_try_at=timezone.now())


def test_limit__what_was_not_fetched_is_told(api: FakeAPI) -> None:
    """A limited run counts what it left, and the next one what waits for its next try."""
    ids = [api.add_session(n) for n in range(30)]
    for session_id in ids[-3:]:
        api.fail(f"/workflowSessions/{session_id}", 500)
    run = refresh_sessions(limit=6)
    assert (run.listed, run.created, run.failed, run.remaining) == (30, 3, 3, 24)
    assert run.still_due == 3
    run = refresh_sessions()
    assert (run.state, run.listed, run.created, run.unchanged) == ("succeeded", 30, 24, 3)
    assert (run.failed, run.remaining, run.still_due) == (0, 3, 3)
    assert RefreshRun.objects.latest("pk").still_due == 3
    api.faults.clear()
    due_now()
    run = refresh_sessions()
    assert (run.created, run.unchanged, run.remaining, run.still_due) == (3, 3, 0, 0)
    assert adds_up(run)


def test_dry_run__keeps_to_the_limit_and_knows_what_is_due(api: FakeAPI) -> None:
    """A dry run tells what the real one does: no more than the limit, and what is due as well."""
    ids = [api.add_session(n) for n in range(10)]
    planned = refresh_sessions(limit=4, dry_run=True)
    assert (planned.created, planned.remaining) == (4, 6)
    run = refresh_sessions(limit=4)
    assert (run.created, run.remaining) == (4, 6)
    refresh_sessions()
    PendingRefresh.objects.create(account="default", session_id=ids[0], reason="failed")
    planned = refresh_sessions(dry_run=True)
    run = refresh_sessions()
    assert planned.listed == run.listed
    assert planned.updated == 1


def test_counts__of_due_listed_failed_and_gone(api: FakeAPI) -> None:
    """Whatever came to the run, due or on a list, is counted by what became of it."""
    ids = [api.add_session(n) for n in range(8)]
    refresh_sessions()
    for session_id in ids[:5]:
        api.touch(session_id)
    now = timezone.now()
    for session_id in (ids[0], ids[6]):  # one of them is on the list as well
        PendingRefresh.objects.create(
            account="default", session_id=session_id, reason="webhook", next_try_at=now
        )
    api.fail(f"/workflowSessions/{ids[1]}", 500)
    api.fail(f"/workflowSessions/{ids[2]}", 404)
    run = refresh_sessions()
    assert (run.updated, run.failed, run.missing, run.unchanged) == (3, 1, 1, 4)
    assert adds_up(run), {name: getattr(run, name) for name in ("listed", *DONE)}


def test_counts__check_that_failed(api: FakeAPI) -> None:
    """A session that is stored without one of its checks counts as failed, and not as created too."""
    api.add_session(1)
    api.add_session(2)
    check = api.checks["c0" + f"{1:022x}"]
    check["result"]["outcome"] = "attention"
    api.fail(f"/checks/{check['id']}", 500)
    run = refresh_sessions()
    assert WorkflowSession.objects.count() == 2
    assert (run.listed, run.created, run.failed) == (2, 1, 1)


def test_counts__checks_that_moved(api: FakeAPI) -> None:
    """A session of which two checks moved counts once, and not as unchanged besides."""
    for n in range(5):
        api.add_session(n)
    refresh_sessions()
    for index in range(2):
        api.touch_check(f"c{index}{0:022x}", "attention")
    api.touch_check(f"c0{4:022x}", "attention")
    run = refresh_sessions(full=True)
    assert (run.listed, run.updated, run.unchanged, run.failed) == (5, 2, 3, 0)
    api.touch_check(f"c2{1:022x}", "attention")  # of a session that the next list does not show
    run = refresh_sessions()
    assert run.updated == 1
    assert adds_up(run)


def test_counts__ids(api: FakeAPI) -> None:
    """All ids that were named count as listed, the impossible and the foreign ones too."""
    known = api.add_session(1)
    foreign = session_row("f" * 24, account="other").pk
    run = refresh_sessions(ids=[known, foreign, UNKNOWN_ID, "../x"])
    assert (run.listed, run.created, run.failed) == (4, 1, 3)


def test_counts__run_that_was_cut_short(api: FakeAPI, settings: Settings) -> None:
    """Where the quota ends a run, what it did not come to is told as remaining."""
    settings.COMPLYCUBE_ACCOUNTS["default"]["REQUESTS_PER_SECOND"] = 5
    ids = [api.add_session(n) for n in range(6)]
    api.fail(f"/workflowSessions/{ids[0]}", 429)
    run = refresh_sessions()
    assert run.state == "partial"
    assert run.remaining >= 1
    assert adds_up(run)


def test_counts__unreadable_item(api: FakeAPI) -> None:
    """An item of the list that cannot be read was listed, and failed."""
    api.add_session(1)
    api.sessions["bad"] = {"id": "../bad", "createdAt": "2026-01-01T00:00:00.000Z"}
    run = refresh_sessions()
    assert (run.listed, run.created, run.failed) == (2, 1, 1)


def test_tasks__tell_what_is_still_due(api: FakeAPI, settings: Any) -> None:
    """What a task returns tells it too."""
    from complycube_sessions import tasks

    PendingRefresh.objects.create(
        account="default",
        session_id="a" * 24,
        reason="failed",
        attempts=7,
        next_try_at=timezone.now() + timedelta(hours=1),
    )
    told = tasks.run_refresh("default")
    assert (told["remaining"], told["still_due"]) == (0, 1)


def test_retry_failed__does_not_wait(api: FakeAPI) -> None:
    """A run that is told so tries at once what failed, sessions and events, and each only once."""
    session_id, other = api.add_session(1), api.add_session(2)
    for failing in (session_id, other):
        api.fail(f"/workflowSessions/{failing}", 500)
    WebhookEvent.objects.create(
        account="default", event_id="1", type="workflow.session.completed", resource_id=session_id
    )
    assert refresh_sessions().failed == 2
    assert refresh_sessions().failed == 0
    api.requests.clear()
    assert refresh_sessions(retry_failed=True).failed == 2
    assert api.count(f"/workflowSessions/{other}") == 1
    assert set(PendingRefresh.objects.values_list("attempts", flat=True)) == {2}
    api.faults.clear()
    planned = refresh_sessions(retry_failed=True, dry_run=True)
    run = refresh_sessions(retry_failed=True)
    assert (run.state, run.created, run.still_due) == ("succeeded", 2, 0)
    assert (planned.created, planned.listed) == (run.created, run.listed)
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_retry_failed__leaves_what_a_worker_has(api: FakeAPI) -> None:
    """A session that another process has taken is not fetched beside it."""
    session_id = api.add_session(1)
    later = timezone.now() + timedelta(minutes=2)
    PendingRefresh.objects.create(
        account="default", session_id=session_id, reason="webhook", next_try_at=later
    )
    run = refresh_sessions(retry_failed=True)
    assert (run.fetched, run.remaining, run.still_due) == (0, 1, 1)
