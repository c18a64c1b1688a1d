"""Times that no clock can have shown yet: of the vendor's answers, of the copy and of earlier runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.utils import timezone

from complycube_sessions.models import RefreshRun, RelatedCheck, WorkflowSession
from complycube_sessions.services import refresh_sessions
from tests.fake_api import FakeAPI, iso

pytestmark = pytest.mark.django_db
MINUTES_10, HOURS_14 = timedelta(minutes=10), timedelta(hours=14)
MARGIN = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def today(api: FakeAPI) -> None:
    """Let the vendor's clock be right, with which the one here agrees."""
    api.now = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)


def date_ahead(api: FakeAPI, by: timedelta) -> Callable[[], str]:
    return lambda: format_datetime(api.now + by, usegmt=True)


def add(api: FakeAPI, number: int, at: datetime, *, checks: int = 0) -> str:
    """Add a session, and its checks, that were created and last changed at a time."""
    times = {"createdAt": iso(at), "updatedAt": iso(at)}
    session_id = api.add_session(number, checks=checks, completedAt=iso(at), **times)
    for related in api.sessions[session_id]["allRelatedChecks"]:
        api.checks[related["checkId"]] |= times
    return session_id


def outcome(session_id: str) -> str:
    return str(WorkflowSession.objects.get(pk=session_id).outcome)


def last_mark() -> datetime:
    mark = RefreshRun.objects.exclude(watermark=None).latest("pk").watermark
    assert mark is not None
    return mark


@pytest.mark.parametrize("date", [None, MINUTES_10, HOURS_14])
def test_watermark__never_later_than_the_request(api: FakeAPI, date: timedelta | None) -> None:
    """Without a ``Date``, or with one ahead, it is the time at which the request began here."""
    add(api, 1, api.now + HOURS_14, checks=1)
    api.date_header = date_ahead(api, date) if date else lambda: None
    before = timezone.now()

    run = refresh_sessions()

    assert run.state == "succeeded"
    assert run.watermark is not None
    assert before - MARGIN <= run.watermark <= timezone.now() - MARGIN


def test_watermark__date_behind(api: FakeAPI) -> None:
    """With a ``Date`` that is behind it is that one."""
    add(api, 1, api.now - timedelta(hours=2))
    api.date_header = date_ahead(api, -MINUTES_10)
    assert refresh_sessions().watermark is not None
    assert timedelta(0) <= api.now - MINUTES_10 - MARGIN - last_mark() < timedelta(seconds=3)


def test_times_ahead__hide_nothing(api: FakeAPI) -> None:
    """Where all that is stored lies 14 hours ahead, later runs still see what is new and what changed."""
    api.date_header = lambda: None
    old = add(api, 9, api.now - timedelta(days=9), checks=1)
    for number in range(3):
        add(api, number, api.now + HOURS_14, checks=1)
    refresh_sessions()
    new = add(api, 4, api.now)
    api.touch(old, outcome="rejected")
    api.touch_check(api.sessions[old]["allRelatedChecks"][0]["checkId"], "rejected")

    run = refresh_sessions()

    assert (run.state, run.created, run.updated) == ("succeeded", 1, 1)
    assert (outcome(old), outcome(new)) == ("rejected", "clear")
    assert RelatedCheck.objects.get(session=old).outcome == "rejected"


def test_times_ahead__are_replaced_by_right_ones(api: FakeAPI) -> None:
    """A stored time of the future does not make the right one that comes next an older one."""
    session_id = add(api, 1, api.now + HOURS_14, checks=1)
    refresh_sessions()
    api.touch(session_id, outcome="rejected")
    api.touch_check(api.sessions[session_id]["allRelatedChecks"][0]["checkId"], "rejected")

    refresh_sessions()

    assert outcome(session_id) == "rejected"
    assert RelatedCheck.objects.get().outcome == "rejected"


def test_date_ahead__change_whose_event_was_lost(api: FakeAPI) -> None:
    """Newer sessions that came by events do not hide a change, however far ahead the ``Date`` is."""
    api.date_header = date_ahead(api, MINUTES_10)
    lost = add(api, 7, api.now - timedelta(days=1))
    arrived = [add(api, number, api.now - timedelta(days=2)) for number in (1, 2, 3)]
    refresh_sessions()
    api.touch(lost, outcome="rejected")
    for session_id in arrived:
        api.touch(session_id)
    refresh_sessions(ids=arrived)

    refresh_sessions()

    assert outcome(lost) == "rejected"


def marked(mark: datetime, **fields: Any) -> RefreshRun:
    return RefreshRun.objects.create(
        account="default", environment="test", state="succeeded", watermark=mark, **fields
    )


@pytest.mark.parametrize("full", [True, False])
def test_stored_watermark__in_the_future(api: FakeAPI, full: bool) -> None:
    """It is not believed: the whole list is read, and the run's own takes its place."""
    ids = [add(api, number, api.now - timedelta(days=2)) for number in range(5)]
    refresh_sessions()
    marked(timezone.now() + HOURS_14, finished_at=timezone.now(), mode="incremental")
    lost = ids[0]
    api.sessions[lost] |= {"outcome": "rejected", "updatedAt": iso(api.now - timedelta(days=1))}
    for session_id in ids[1:]:
        api.touch(session_id)
    refresh_sessions(ids=ids[1:])
    api.requests.clear()

    run = refresh_sessions(full=full)

    assert (run.state, outcome(lost)) == ("succeeded", "rejected")
    assert last_mark() < timezone.now() - MARGIN
    assert api.requests[0] == "/workflowSessions?page=1&pageSize=1000"
    api.requests.clear()
    refresh_sessions()
    assert "updatedAfter" in api.requests[0]


def test_stored_watermark__was_in_the_future(api: FakeAPI) -> None:
    """One that a wrong clock made is not believed either when its time has come, nor what rests on it."""
    add(api, 1, api.now - timedelta(days=2))
    refresh_sessions()
    api.requests.clear()
    marked(api.now - HOURS_14, finished_at=api.now - 2 * HOURS_14, mode="incremental")
    marked(api.now - HOURS_14 / 2, finished_at=api.now - HOURS_14 / 3, mode="incremental")

    refresh_sessions()

    assert api.requests[0] == "/workflowSessions?page=1&pageSize=1000"
    api.requests.clear()
    refresh_sessions()
    assert "updatedAfter" in api.requests[0]


def test_stored_watermark__ahead_of_the_listing(api: FakeAPI) -> None:
    """One that is ahead of the clock of the listing alone is noticed by its first page."""
    ids = [add(api, number, api.now - timedelta(days=2)) for number in range(3)]
    refresh_sessions()
    api.sessions[ids[0]] |= {"outcome": "rejected", "updatedAt": iso(api.now - timedelta(days=1))}
    for number in (4, 5, 6):
        add(api, number, api.now - timedelta(hours=1))
        refresh_sessions(ids=[f"{number:024x}"])
    api.date_header = date_ahead(api, -timedelta(hours=1))

    run = refresh_sessions()

    assert (run.state, outcome(ids[0])) == ("succeeded", "rejected")
    assert run.listed == 6
    assert last_mark() < api.now - timedelta(hours=1)


def test_since__does_not_lower_the_watermark(api: FakeAPI) -> None:
    """A run that looks only at a window never takes back what earlier ones have earned."""
    add(api, 1, api.now - timedelta(days=2))
    refresh_sessions()
    mark = last_mark()
    api.date_header = date_ahead(api, -timedelta(minutes=2))
    refresh_sessions(since=api.now - timedelta(days=3))
    assert last_mark() == mark


@pytest.mark.parametrize("date", [None, -MINUTES_10, MINUTES_10])
def test_pages__bound_by_a_clock_that_is_wrong(api: FakeAPI, date: timedelta | None) -> None:
    """The newest sessions of a first page stay within the bound of the next ones."""
    for number in range(12):
        add(api, number, api.now - timedelta(seconds=30 * number))
    api.page_size_limit = 5
    api.date_header = date_ahead(api, date) if date else lambda: None

    run = refresh_sessions()

    assert (run.state, run.created) == ("succeeded", 12)
    assert api.count("/workflowSessions?") == 4
