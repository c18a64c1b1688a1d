"""Times that a clock left behind which ran ahead and was set back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.api import throttle
from complycube_sessions.api.retries import LONGEST_BACKOFF_SECONDS
from complycube_sessions.api.throttle import NoSlotYetError, Patience, Throttle
from complycube_sessions.db import clocks
from complycube_sessions.evidence.vendor_report import open_session_report
from complycube_sessions.exceptions import (
    ComplyCubeBusyError,
    ComplyCubeNotFoundError,
    ComplyCubeRateLimitError,
    ComplyCubeRefreshRunningError,
    ComplyCubeServerError,
)
from complycube_sessions.models import (
    PendingRefresh,
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    RequestBudget,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.statistics.overview import freshness
from complycube_sessions.sync.pending import claim_pending, visibility_timeout
from complycube_sessions.sync.request_budget import FARTHEST, DatabaseSlots, has_room
from complycube_sessions.webhooks import inbox, processing
from complycube_sessions.webhooks.health import silent_accounts
from tests.builders import by_hand, default_account, session_row
from tests.examples import parameters
from tests.fake_api import KEY, FakeAPI
from tests.reliability.support import assert_equals_source, configure, refresh, summary

pytestmark = pytest.mark.django_db

AHEAD = [timedelta(minutes=10), timedelta(days=30)]
ahead_by = pytest.mark.parametrize("ahead", AHEAD, ids=str)


@pytest.fixture(autouse=True)
def impatient(settings: Settings) -> None:
    configure(settings)


def set_budget(ahead: timedelta) -> None:
    """Let the next free slot lie so far ahead, as a clock or a pause has left it."""
    digest = DatabaseSlots(KEY).digest
    RequestBudget.objects.update_or_create(
        pk=digest, defaults={"next_slot_at": timezone.now() + ahead}
    )


def resets(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING" and "A clock ran ahead" in record.getMessage()
    ]


@ahead_by
def test_budget__of_a_clock_that_was_set_back(
    api: FakeAPI, caplog: pytest.LogCaptureFixture, ahead: timedelta
) -> None:
    """A run neither waits for such a slot nor counts it, and says so once."""
    for number in range(3):
        api.add_session(number)
    set_budget(ahead)
    assert has_room(default_account())
    began = time.monotonic()

    ended = refresh("--full")

    assert (ended.code, ended.errors) == (0, {})
    assert time.monotonic() - began < 60  # a wait for the clock would last ten minutes
    assert_equals_source(api)
    (said,) = resets(caplog)
    told = re.search(r"the next free request of a key lay (\d+) s ahead", said)
    assert told is not None
    assert int(told[1]) == pytest.approx(ahead.total_seconds(), abs=10)
    row = RequestBudget.objects.get()
    assert row.next_slot_at is not None
    assert row.next_slot_at < timezone.now() + timedelta(seconds=5)


def test_budget__pause_is_no_fault_of_a_clock(caplog: pytest.LogCaptureFixture) -> None:
    """The longest pause that a vendor can ask for is kept, whoever reserves after it."""
    DatabaseSlots(KEY).postpone(LONGEST_BACKOFF_SECONDS)
    first = DatabaseSlots(KEY).reserve(1, 0.1)
    assert first == pytest.approx(time.monotonic() + LONGEST_BACKOFF_SECONDS, abs=0.5)
    assert resets(caplog) == []
    assert not has_room(default_account())


def test_budget__no_slot_is_reserved_further_ahead(caplog: pytest.LogCaptureFixture) -> None:
    """Many that wait reserve no further ahead than can be told from a fault; those after them ask again."""
    for _ in range(200):
        try:
            DatabaseSlots(KEY).reserve(10, 0.1)
        except NoSlotYetError:
            break
    else:
        pytest.fail("slots were reserved without an end")
    taken = RequestBudget.objects.get()
    assert taken.next_slot_at is not None
    assert FARTHEST < taken.next_slot_at - timezone.now() < FARTHEST + timedelta(seconds=1.1)
    with pytest.raises(NoSlotYetError):
        DatabaseSlots(KEY).reserve(1, 0.1)
    assert RequestBudget.objects.get().next_slot_at == taken.next_slot_at
    assert resets(caplog) == []


def test_throttle__asks_again_where_no_slot_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that has no slot yet is asked again, and the request begins then."""
    asked: list[int] = []

    class Full:
        def reserve(self, count: int, interval_seconds: float) -> float:
            asked.append(count)
            if len(asked) < 3:
                raise NoSlotYetError
            return time.monotonic()

        def postpone(self, seconds: float) -> None: ...
        def give_back(self, count: int, interval_seconds: float) -> None: ...

    monkeypatch.setattr("complycube_sessions.api.throttle.ASK_AGAIN_SECONDS", 0.02)
    Throttle(10, Full()).acquire()
    assert len(asked) == 3


@ahead_by
def test_lease__of_a_clock_that_was_set_back(
    api: FakeAPI, caplog: pytest.LogCaptureFixture, ahead: timedelta
) -> None:
    """The lease of a killed run is taken over at once, and the run is marked as interrupted."""
    api.add_session(1)
    killed = RefreshRun.objects.create(account="default", mode="full", state="running")
    expires_at = timezone.now() + ahead + timedelta(seconds=15)
    RefreshLease.objects.create(account="default", run=killed, expires_at=expires_at)

    assert refresh().code == 0

    killed.refresh_from_db()
    assert killed.state == RefreshRun.State.INTERRUPTED
    (said,) = resets(caplog)
    assert f"the lease of run {killed.pk}" in said


def test_lease__that_can_be_one_is_respected() -> None:
    """A lease of up to fifteen seconds is another run's, whose clock is right."""
    other = RefreshRun.objects.create(account="default", mode="full", state="running")
    expires_at = timezone.now() + timedelta(seconds=14)
    RefreshLease.objects.create(account="default", run=other, expires_at=expires_at)
    with pytest.raises(ComplyCubeRefreshRunningError):
        refresh_sessions()


def received(session_id: str, number: int = 0, **fields: Any) -> WebhookEvent:
    return WebhookEvent.objects.create(
        account="default",
        event_id=f"evt{number}",
        type="workflow.session.completed",
        resource_id=session_id,
        **fields,
    )


@ahead_by
@pytest.mark.parametrize("way", ["all", "one", "run"])
def test_event__taken_by_a_clock_that_was_set_back(
    api: FakeAPI, caplog: pytest.LogCaptureFixture, ahead: timedelta, way: str
) -> None:
    """Events that a worker held under such a clock are processed, and that is said once."""
    then = timezone.now() + ahead
    taken = [
        received(
            api.add_session(number),
            number,
            received_at=then,
            next_try_at=then + visibility_timeout(1),
        )
        for number in range(3)
    ]
    ways: dict[str, Callable[[], object]] = {
        "all": processing.process_webhook_events,
        "one": lambda: [processing.process_webhook_event(event.pk) for event in taken],
        "run": refresh_sessions,
    }
    ways[way]()
    assert not WebhookEvent.objects.filter(processed_at=None).exists()
    (said,) = resets(caplog)
    assert "3 waiting events" in said
    assert_equals_source(api)


def test_event__that_fails_again_waits(api: FakeAPI, caplog: pytest.LogCaptureFixture) -> None:
    """An event of such a clock that fails is not reset over and over: its delay is kept."""
    session_id = api.add_session(1)
    api.fail(f"/workflowSessions/{session_id}", 500)
    then = timezone.now() + timedelta(days=30)
    received(session_id, received_at=then, next_try_at=then)
    for _ in range(3):
        processing.process_webhook_events()
    assert len(resets(caplog)) == 1
    assert WebhookEvent.objects.get().attempts == 1


@pytest.mark.parametrize("failures", [0, 1, 4, 9, 30])
def test_waiting__within_its_delay_is_no_fault(
    api: FakeAPI, caplog: pytest.LogCaptureFixture, failures: int
) -> None:
    """The delay that so many failures earn is kept, and whatever lies beyond it is not."""
    now = timezone.now()
    own = max(clocks.LONGEST_HOLD, clocks.retry_delay(failures))
    received("a", next_try_at=now + own, attempts=failures)
    pending = PendingRefresh.objects.create(
        account="default", session_id="b", next_try_at=now + own, attempts=failures
    )
    account = default_account()
    assert inbox.claim_events(account, most=10) == []
    assert claim_pending(account, most=10) == []
    assert resets(caplog) == []

    later = now + own + timedelta(minutes=2)
    WebhookEvent.objects.update(next_try_at=later)
    PendingRefresh.objects.filter(pk=pending.pk).update(next_try_at=later)
    assert len(inbox.claim_events(account, most=10)) == 1
    assert claim_pending(account, most=10) == ["b"]
    assert len(resets(caplog)) == 2


@ahead_by
def test_pending__asked_for_by_a_clock_that_was_set_back(
    api: FakeAPI, caplog: pytest.LogCaptureFixture, ahead: timedelta
) -> None:
    """A session that was made due under such a clock is fetched once, and no longer due."""
    session_id = api.add_session(1)
    then = timezone.now() + ahead
    PendingRefresh.objects.create(
        account="default",
        session_id=session_id,
        reason="webhook",
        requested_at=then,
        next_try_at=timezone.now(),
    )
    refresh_sessions()
    refresh_sessions()
    assert not PendingRefresh.objects.exists()
    assert len(resets(caplog)) <= 1
    assert_equals_source(api)


@ahead_by
def test_dry_run__counts_what_waits_for_such_a_time(api: FakeAPI, ahead: timedelta) -> None:
    """A plan does not leave a session out because a clock was wrong."""
    PendingRefresh.objects.create(
        account="default",
        session_id=api.add_session(1),
        attempts=1,
        next_try_at=timezone.now() + ahead,
    )
    run = refresh_sessions(dry_run=True)
    assert run.created == 1


def test_hold__is_bounded_whatever_is_held() -> None:
    """No worker holds what it has taken for longer than others can tell from a fault of a clock."""
    assert visibility_timeout(1) == timedelta(seconds=62)
    assert visibility_timeout(10_000) == clocks.LONGEST_HOLD


# Somebody waits for a page


def test_patience__ends_a_wait_for_others(api: FakeAPI) -> None:
    """A budget that others have reserved for longer is said to be in use, at once, and nothing is stored."""
    session_id = api.add_session(1)
    set_budget(timedelta(seconds=60))
    before = RequestBudget.objects.get().next_slot_at
    began = time.monotonic()
    with pytest.raises(ComplyCubeBusyError):
        refresh_session(session_id, patience=Patience())
    with pytest.raises(ComplyCubeBusyError):
        open_session_report(session_id)
    assert time.monotonic() - began < 25  # of the half minute and more that it would have to wait
    assert api.requests == []
    assert RequestBudget.objects.get().next_slot_at == before  # what was not used is given back


class Clock:
    """A clock that only sleep moves, in place of the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_patience__is_for_all_requests_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own requests one after the other cost no patience; waits for others add up."""
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)

    class Source(throttle.LocalSlots):
        others_seconds = 0.0

        def reserve(self, count: int, interval_seconds: float) -> float:
            self.postpone(self.others_seconds)
            return super().reserve(count, interval_seconds)

    source, patience = Source(), Patience(5)
    own = Throttle(10, source, patience=patience)
    for _ in range(200):
        own.acquire()
    assert patience.seconds_left == pytest.approx(5)
    source.others_seconds = 2.0
    own.acquire()
    own.acquire()
    assert patience.seconds_left == pytest.approx(5 - 2 * 2.0, abs=0.25)
    with pytest.raises(ComplyCubeBusyError):
        own.acquire()
    assert clock.now == pytest.approx(1000 + 200 / 9.63 + 2 * 2.0, abs=0.3)


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (429, {"Retry-After": "30"}, ComplyCubeRateLimitError),
        (503, {"Retry-After": "30"}, ComplyCubeServerError),
    ],
)
def test_patience__ends_the_tries(
    settings: Settings,
    api: FakeAPI,
    status: int,
    headers: dict[str, str],
    error: type[Exception],
) -> None:
    """What the vendor asks to wait for is told to the others and not waited for here."""
    configure(settings, MAX_RETRIES=5)
    session_id = api.add_session(1)
    api.fail(f"/workflowSessions/{session_id}", status, **headers)
    began = time.monotonic()
    with pytest.raises(error):
        refresh_session(session_id, patience=Patience())
    assert time.monotonic() - began < 25  # of the half minute and more that it would have to wait
    assert len(api.requests) == 1
    ahead = RequestBudget.objects.get().next_slot_at
    assert ahead is not None
    assert (ahead > datetime.now(UTC) + timedelta(seconds=20)) == (status == 429)


# What was stored at a time that is still to come proves nothing


@ahead_by
@pytest.mark.parametrize("way", parameters(["id", "full", "page"], quick={"full"}))
def test_missing__of_a_copy_from_a_clock_that_was_set_back(
    api: FakeAPI, ahead: timedelta, way: str
) -> None:
    """A session that the API does not know is marked, whatever its copy says, and told only then."""
    ids = [api.add_session(number) for number in range(30)]
    assert refresh().code == 0
    with by_hand():
        WorkflowSession.objects.filter(pk=ids[3]).update(fetched_at=timezone.now() + ahead)
    del api.sessions[ids[3]]

    if way == "page":
        with pytest.raises(ComplyCubeNotFoundError):
            refresh_session(ids[3])
    else:
        ended = refresh(ids[3] if way == "id" else "--full")
        assert (ended.code, ended.run and ended.run.missing) == (0, 1)
        assert f"{ids[3]}: no longer known to the API; marked as missing." in ended.out

    assert WorkflowSession.objects.get(missing_since__isnull=False).pk == ids[3]


def test_missing__not_told_where_a_later_answer_is_stored(api: FakeAPI) -> None:
    """Another process fetched it after this one was told 404: it is neither marked nor said to be."""
    session_id = api.add_session(1)
    assert refresh().code == 0
    del api.sessions[session_id]

    # By a machine whose clock differs by as much as clocks may.
    with by_hand():
        WorkflowSession.objects.update(fetched_at=timezone.now() + timedelta(seconds=50))

    ended = refresh(session_id)

    assert ended.code == 0
    assert "marked as missing" not in ended.out
    assert summary(ended) == {
        "created": 0, "updated": 0, "unchanged": 1, "missing": 0, "failed": 0
    }  # fmt: skip
    assert WorkflowSession.objects.get().missing_since is None


@ahead_by
@pytest.mark.parametrize("updated_at", [None, "the same"])
def test_copy__newer_than_one_of_a_clock_that_was_set_back(
    api: FakeAPI, ahead: timedelta, updated_at: str | None
) -> None:
    """An answer with other content is stored where the vendor's times tell nothing."""
    session_id = api.add_session(1)
    if updated_at is None:
        del api.sessions[session_id]["updatedAt"]
    assert refresh(session_id).code == 0
    with by_hand():
        WorkflowSession.objects.update(fetched_at=timezone.now() + ahead)
        RelatedCheck.objects.update(fetched_at=timezone.now() + ahead)
    api.sessions[session_id]["entityName"] = "Somebody Else"
    api.checks[api.sessions[session_id]["allRelatedChecks"][0]["checkId"]]["status"] = "failed"

    assert refresh(session_id).code == 0

    row = WorkflowSession.objects.get()
    assert (row.raw, row.entity_name) == (api.sessions[session_id], "Somebody Else")
    assert row.fetched_at < timezone.now()
    assert "failed" in row.checks.values_list("status", flat=True)


@ahead_by
def test_check__listed_after_one_of_a_clock_that_was_set_back(
    api: FakeAPI, ahead: timedelta
) -> None:
    """The list of checks moves a check of a session that did not move."""
    session_id = api.add_session(1)
    assert refresh().code == 0
    with by_hand():
        RelatedCheck.objects.update(fetched_at=timezone.now() + ahead)
    api.checks[api.sessions[session_id]["allRelatedChecks"][0]["checkId"]]["status"] = "failed"

    assert refresh("--full").code == 0

    assert_equals_source(api)


@ahead_by
def test_missing__ends_when_it_returns(api: FakeAPI, ahead: timedelta) -> None:
    """A session that was marked by such a clock is there again with its next answer."""
    session_id = api.add_session(1)
    assert refresh().code == 0
    with by_hand():
        WorkflowSession.objects.update(missing_since=timezone.now() + ahead)

    assert refresh(session_id).code == 0

    assert WorkflowSession.objects.get().missing_since is None


@ahead_by
def test_stale__time_that_is_still_to_come(api: FakeAPI, ahead: timedelta) -> None:
    """Neither a copy nor a run of such a clock proves that a session is fresh."""
    api.add_session(1)
    day = timedelta(days=1)
    assert refresh().code == 0
    for find in (WorkflowSession.objects.stale, WorkflowSession.objects.stale_now):
        assert not find(older_than=day).exists()
    wrong = timezone.now() + ahead
    with by_hand():
        WorkflowSession.objects.update(fetched_at=wrong)
    RefreshRun.objects.update(started_at=wrong, finished_at=wrong)
    for find in (WorkflowSession.objects.stale, WorkflowSession.objects.stale_now):
        assert find(older_than=day).count() == 1
    assert freshness().late_accounts == ["default"]


def test_silence__event_of_a_time_that_is_still_to_come(settings: Settings) -> None:
    """An event that says to have come later than now does not hide that none came since."""
    configure(settings, WEBHOOK_SECRETS=["s"])
    session = session_row()
    then = timezone.now() - timedelta(hours=5)
    for _ in range(3):
        with by_hand():
            SessionChange.objects.create(
                session=session, field="status", changed_at=then, observed_at=then, source="refresh"
            )
    event = received("x", received_at=timezone.now())
    assert silent_accounts() == []
    WebhookEvent.objects.filter(pk=event.pk).update(received_at=timezone.now() + timedelta(days=30))
    assert silent_accounts() == ["default"]
