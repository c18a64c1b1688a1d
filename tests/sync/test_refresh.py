from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import DataError, transaction
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.exceptions import (
    ComplyCubeAuthenticationError,
    ComplyCubeConfigurationError,
    ComplyCubeError,
    ComplyCubeInvalidIdError,
    ComplyCubeNotFoundError,
    ComplyCubeOwnershipError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRefreshRunningError,
)
from complycube_sessions.models import (
    PendingRefresh,
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.signals import session_outcome_changed
from complycube_sessions.sync import checks, missing, run
from tests.builders import (
    CHECK_IDS,
    SESSION_ID,
    UNKNOWN_ID,
    check_payload,
    session_row,
    vendor_example,
)
from tests.fake_api import KEY, FakeAPI, Reply

pytestmark = pytest.mark.django_db


@pytest.fixture
def example(api: FakeAPI) -> FakeAPI:
    api.sessions[SESSION_ID] = vendor_example()
    for index, check_id in enumerate(CHECK_IDS):
        outcome = "attention" if index == 1 else "clear"
        result = {"outcome": outcome, "breakdown": {"summary": outcome}}
        api.checks[check_id] = check_payload(check_id, result=result)
    return api


@pytest.fixture
def quick(settings: Settings) -> None:
    """Give up after the first try, so that no test waits for a retry."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }


def test_refresh_session__stores_session_and_checks(example: FakeAPI) -> None:
    """One session comes with the breakdowns of all of its checks."""
    row = refresh_session(SESSION_ID)
    assert row.raw == vendor_example()
    assert [c.outcome for c in row.checks.all()] == ["clear", "attention", "clear"]
    assert [c.result["breakdown"] for c in row.checks.all()] == [
        {"summary": "clear"},
        {"summary": "attention"},
        {"summary": "clear"},
    ]
    assert example.requests == [
        f"/workflowSessions/{SESSION_ID}",
        *(f"/checks/{check_id}" for check_id in CHECK_IDS),
    ]


@pytest.mark.parametrize("name", ["COMPLYCUBE_CHECK_RESULTS", "COMPLYCUBE_SCRUBBER"])
def test_refresh__wrong_setting(example: FakeAPI, settings: Settings, name: str) -> None:
    """A wrong setting stops a refresh before it begins: no request, no run, and no lease that is left."""
    setattr(settings, name, "nowhere.to_be_found")
    for refresh in (refresh_sessions, lambda: refresh_session(SESSION_ID)):
        with pytest.raises(ComplyCubeConfigurationError, match=name):
            refresh()
    assert example.requests == []
    assert not RefreshRun.objects.exists()


def test_refresh_session__keeps_no_results(example: FakeAPI, settings: Settings) -> None:
    """With ``none`` the outcomes are kept, and no breakdown."""
    settings.COMPLYCUBE_CHECK_RESULTS = "none"
    row = refresh_session(SESSION_ID)
    assert [(c.outcome, c.result) for c in row.checks.all()] == [
        ("clear", {}),
        ("attention", {}),
        ("clear", {}),
    ]


def test_refresh_session__404(example: FakeAPI) -> None:
    """An unknown id is an error; one that was stored is marked and keeps its data."""
    with pytest.raises(
        ComplyCubeNotFoundError, match=f"Invalid workflow session id '{UNKNOWN_ID}'"
    ):
        refresh_session(UNKNOWN_ID)
    assert not WorkflowSession.objects.exists()
    refresh_session(SESSION_ID)
    del example.sessions[SESSION_ID]
    with pytest.raises(ComplyCubeNotFoundError):
        refresh_session(SESSION_ID)
    row = WorkflowSession.objects.get()
    assert row.missing_since is not None
    assert row.raw == vendor_example()


@pytest.mark.parametrize("bad_id", ["", "../checks/1", " ", "a b"])
def test_refresh_session__malformed_id(api: FakeAPI, bad_id: str) -> None:
    """A malformed id sends no request."""
    with pytest.raises(ComplyCubeInvalidIdError):
        refresh_session(bad_id)
    assert api.requests == []


def test_refresh_session__other_owner(example: FakeAPI) -> None:
    """A row of the live environment is not touched with the test key, and costs no request."""
    session_row(SESSION_ID, environment="live", entity_name="Untouched")
    with pytest.raises(ComplyCubeOwnershipError, match="live"):
        refresh_session(SESSION_ID)
    assert example.requests == []
    assert WorkflowSession.objects.get().entity_name == "Untouched"


def test_refresh_session__check_that_does_not_exist(example: FakeAPI) -> None:
    """A check that is named before it exists leaves a row without a status."""
    del example.checks[CHECK_IDS[0]]
    row = refresh_session(SESSION_ID)
    assert [c.status for c in row.checks.all()] == ["", "complete", "complete"]


def test_refresh_session__check_that_fails_leaves_it_due(example: FakeAPI, quick: None) -> None:
    """A session that waits for another try still does where a check could not be fetched this time either."""
    PendingRefresh.objects.create(
        account="default", session_id=SESSION_ID, reason="failed", attempts=3
    )
    example.fail(f"/checks/{CHECK_IDS[0]}", 500)
    with pytest.raises(ComplyCubeError, match="could not be fetched"):
        refresh_session(SESSION_ID)
    assert PendingRefresh.objects.get().attempts == 3
    example.faults.clear()
    refresh_session(SESSION_ID)
    assert not PendingRefresh.objects.exists()


def test_refresh_session__no_key(settings: Settings, api: FakeAPI) -> None:
    settings.COMPLYCUBE_ACCOUNTS = {"default": {}}
    with pytest.raises(ComplyCubeConfigurationError, match="API_KEY"):
        refresh_session(SESSION_ID)


@pytest.mark.django_db(transaction=True)
def test_refresh_session__inside_a_transaction(example: FakeAPI) -> None:
    """HTTP inside a transaction is refused before the first request."""
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        refresh_session(SESSION_ID)
    assert example.requests == []


def test_first_run__takes_all(api: FakeAPI) -> None:
    """The first run stores every session with its outcomes, spending one request each and three for the lists."""
    ids = [api.add_session(n) for n in range(25)]
    run = refresh_sessions()
    assert run.state == RefreshRun.State.SUCCEEDED
    assert (run.listed, run.fetched, run.created, run.failed) == (25, 25, 25, 0)
    assert run.requests == len(api.requests) == 25 + 3
    fetched = [r.removeprefix("/workflowSessions/") for r in api.requests if "?" not in r]
    assert sorted(fetched) == sorted(ids)
    assert RelatedCheck.objects.filter(status="complete", outcome="clear").count() == 75
    assert all(row.raw == api.sessions[row.pk] for row in WorkflowSession.objects.all())


def test_first_run__breakdowns_that_a_reviewer_will_read(api: FakeAPI) -> None:
    """Only complete checks that are not clear cost a request of their own."""
    for n in range(5):
        api.add_session(n)
    api.touch_check(f"c1{3:022x}", "attention")
    refresh_sessions()
    assert api.count("/checks/") == 1
    with_result = RelatedCheck.objects.exclude(result={})
    assert [c.outcome for c in with_result] == ["attention"]


def test_first_run__all_breakdowns(api: FakeAPI, settings: Settings) -> None:
    settings.COMPLYCUBE_CHECK_RESULTS = "all"
    api.add_session(1)
    refresh_sessions()
    assert api.count("/checks/") == 3
    assert not RelatedCheck.objects.filter(result={}).exists()


def test_incremental_run__fetches_what_moved(api: FakeAPI) -> None:
    """The next run asks for what changed, is new, or whose check moved, and for nothing else."""
    ids = [api.add_session(n) for n in range(50)]
    refresh_sessions()
    api.now += timedelta(hours=1)
    api.touch(ids[7], outcome="attention")
    new = api.add_session(
        100, createdAt="2026-01-31T01:00:30.000Z", updatedAt="2026-01-31T01:00:31.000Z"
    )
    for check in api.sessions[new]["allRelatedChecks"]:
        api.touch_check(check["checkId"], "clear")
    api.touch_check(f"c2{9:022x}", "attention")
    api.requests.clear()
    run = refresh_sessions()
    assert (run.state, run.fetched, run.created) == ("succeeded", 2, 1)
    gets = sorted(r for r in api.requests if "?" not in r)
    assert gets == sorted(
        [f"/workflowSessions/{ids[7]}", f"/workflowSessions/{new}", f"/checks/c2{9:022x}"]
    )
    assert len(api.requests) == 5
    reopened = WorkflowSession.objects.get(pk=ids[9])
    assert reopened.needs_review
    assert reopened.changes.get().new == "attention"
    assert WorkflowSession.objects.get(pk=ids[7]).outcome == "attention"


def test_incremental_run__nothing_moved(api: FakeAPI) -> None:
    """A run over an unchanged account changes no row and writes no history."""
    for n in range(10):
        api.add_session(n)
    refresh_sessions()
    before = list(WorkflowSession.objects.values()), list(RelatedCheck.objects.values())
    api.requests.clear()
    run = refresh_sessions()
    assert (run.state, run.fetched, run.created, run.updated) == ("succeeded", 0, 0, 0)
    assert len(api.requests) == 2
    assert (list(WorkflowSession.objects.values()), list(RelatedCheck.objects.values())) == before
    assert not SessionChange.objects.exists()


def test_watermark__vendors_clock_less_five_minutes(api: FakeAPI) -> None:
    """The watermark is read off the Date header, however wrong the clock here is."""
    api.add_session(1)
    run = refresh_sessions()
    assert run.watermark is not None
    assert timedelta(0) <= api.now - timedelta(minutes=5) - run.watermark < timedelta(seconds=2)
    assert timezone.now() - run.watermark > timedelta(days=30)


def test_window__reaches_back_over_the_newest_sessions(api: FakeAPI) -> None:
    """The time filter is early enough for a session that a working filter must return."""
    ids = [api.add_session(n) for n in range(10)]
    refresh_sessions()
    api.requests.clear()
    refresh_sessions()
    third_newest = WorkflowSession.objects.get(pk=ids[-3]).updated_at
    assert third_newest is not None
    just_before = (third_newest - timedelta(milliseconds=1)).strftime("%H%%3A%M%%3A%S.%f")[:-3]
    assert f"updatedAfter=2026-01-01T{just_before}Z" in api.requests[0]


@pytest.mark.parametrize(
    "error",
    [
        (401, ComplyCubeAuthenticationError),
        (402, ComplyCubePaymentError),
        (403, ComplyCubePermissionError),
    ],
)
def test_refused_key__stops_the_run(api: FakeAPI, error: tuple[int, type[Exception]]) -> None:
    """A key that the API refuses ends the run as failed, and reaches the caller."""
    api.add_session(1)
    for path in ("/workflowSessions", "/checks"):
        api.fail(path, error[0], {"type": "unauthorized", "message": "No"})
    with pytest.raises(error[1]):
        refresh_sessions()
    run = RefreshRun.objects.get()
    assert (run.state, run.watermark, run.error_count) == ("failed", None, 1)
    assert run.finished_at is not None
    assert len(api.requests) == 1


def test_one_403__is_one_sessions(api: FakeAPI) -> None:
    """A 403 after other answers is that session's own failure."""
    ids = [api.add_session(n) for n in range(5)]
    api.fail(f"/workflowSessions/{ids[2]}", 403)
    run = refresh_sessions()
    assert (run.state, run.created, run.failed) == ("partial", 4, 1)
    assert list(run.errors) == [ids[2]]


def test_failed_session__is_pending_and_holds_nothing_back(api: FakeAPI, quick: None) -> None:
    """A failed session is named and due again later; the watermark moves without it."""
    ids = [api.add_session(n) for n in range(5)]
    api.fail(f"/workflowSessions/{ids[2]}", 500)
    run = refresh_sessions()
    assert (run.state, run.created, run.failed) == ("partial", 4, 1)
    assert "500" in run.errors[ids[2]]
    assert run.watermark is not None
    pending = PendingRefresh.objects.get()
    assert (pending.session_id, pending.attempts) == (ids[2], 1)
    assert pending.next_try_at > timezone.now()

    api.requests.clear()
    refresh_sessions()
    assert f"/workflowSessions/{ids[2]}" not in api.requests

    for attempts in (2, 3):
        PendingRefresh.objects.update(next_try_at=timezone.now())
        refresh_sessions()
        pending.refresh_from_db()
        assert pending.attempts == attempts
        delay = pending.next_try_at - timezone.now()
        assert timedelta(0) < delay <= timedelta(minutes=2 ** (attempts - 1))

    api.faults.clear()
    PendingRefresh.objects.update(next_try_at=timezone.now())
    run = refresh_sessions()
    assert (run.state, run.created) == ("succeeded", 1)
    assert not PendingRefresh.objects.exists()


def test_rate_limit_that_stays__ends_partial(api: FakeAPI, quick: None, settings: Settings) -> None:
    """A 429 that does not go away is a quota: what was fetched is stored, the watermark stays."""
    settings.COMPLYCUBE_ACCOUNTS["default"]["REQUESTS_PER_SECOND"] = 5  # not all six at once
    ids = [api.add_session(n) for n in range(6)]
    api.fail(f"/workflowSessions/{ids[0]}", 429)  # the last that is asked for
    run = refresh_sessions()
    assert (run.state, run.watermark) == ("partial", None)
    assert "quota" in run.errors["default"]
    assert 0 < WorkflowSession.objects.exclude(pk=ids[0]).count() == run.fetched
    api.faults.clear()
    settings.COMPLYCUBE_ACCOUNTS["default"]["REQUESTS_PER_SECOND"] = 10_000
    assert refresh_sessions().state == "succeeded"
    assert WorkflowSession.objects.count() == 6


def test_api_that_is_down__fails_by_name(api: FakeAPI, quick: None) -> None:
    api.fail("/workflowSessions", 503)
    run = refresh_sessions()
    assert (run.state, run.watermark) == ("failed", None)
    assert "503" in run.errors["default"]


def test_api_that_goes_down__stops_early(api: FakeAPI, quick: None) -> None:
    """After many faults in a row the run ends in place of trying every session."""
    for n in range(300):
        api.fail(f"/workflowSessions/{api.add_session(n)}", 503)
    run = refresh_sessions()
    assert run.state == "failed"
    assert run.watermark is None
    assert "seems to be down" in run.errors["default"]
    assert len(api.requests) < 150


def test_limit__ends_partial(api: FakeAPI) -> None:
    """A limited run stores so many of the newest, earns no watermark, and names no error."""
    ids = [api.add_session(n) for n in range(10)]
    run = refresh_sessions(limit=4)
    assert (run.state, run.fetched, run.watermark, run.errors) == ("partial", 4, None, {})
    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == set(ids[-4:])
    run = refresh_sessions()
    assert (run.state, run.fetched) == ("succeeded", 6)


def test_dry_run__writes_nothing(api: FakeAPI) -> None:
    """A dry run tells what would be fetched, and leaves no row."""
    for n in range(4):
        api.add_session(n)
    run = refresh_sessions(dry_run=True)
    assert (run.listed, run.created, run.fetched) == (4, 4, 0)
    assert run._state.adding
    assert not WorkflowSession.objects.exists()
    assert not RefreshRun.objects.exists()
    assert not RefreshLease.objects.exists()


def test_since__reaches_back(api: FakeAPI) -> None:
    """``since`` widens the window, and does not lose the watermark's place."""
    for n in range(5):
        api.add_session(n)
    refresh_sessions()
    api.requests.clear()
    run = refresh_sessions(since=datetime(2025, 12, 24, tzinfo=UTC))
    assert "updatedAfter=2025-12-23T23%3A59%3A59.999Z" in api.requests[0]
    assert (run.mode, run.listed, run.unchanged) == ("since", 5, 5)


def test_since__later_than_the_watermark_earns_none(api: FakeAPI) -> None:
    """A window that begins after the last run's end leaves a gap, so the watermark stays."""
    api.add_session(1)
    first = refresh_sessions()
    api.now += timedelta(days=2)
    for n in range(2, 6):
        api.touch(api.add_session(n))
    run = refresh_sessions(since=api.now - timedelta(hours=1))
    api.now += timedelta(days=1)
    run = refresh_sessions(since=api.now)
    assert run.watermark is None
    assert first.watermark is not None


def test_ids__known_or_not(example: FakeAPI) -> None:
    """Named sessions are fetched whatever the copy holds; a run by id takes no lock."""
    run = refresh_sessions(ids=[SESSION_ID, SESSION_ID, UNKNOWN_ID, "../x"])
    assert (run.mode, run.created, run.failed, run.state) == ("ids", 1, 2, "partial")
    assert "Invalid workflow session id" in run.errors[UNKNOWN_ID]
    assert "../x" in run.errors
    assert sorted(example.requests) == sorted(
        [
            f"/workflowSessions/{SESSION_ID}",
            "/checks?page=1&pageSize=1000&clientId=5eb1276d96be4a0008713af5",
            f"/checks/{CHECK_IDS[1]}",
            f"/workflowSessions/{UNKNOWN_ID}",
        ]
    )
    assert [c.outcome for c in RelatedCheck.objects.all()] == ["clear", "attention", "clear"]
    assert not RefreshLease.objects.exists()
    assert not PendingRefresh.objects.exists()


def test_ids__gone_but_stored(example: FakeAPI) -> None:
    """A stored session that the API does not know any more is marked, named, and no failure."""
    refresh_sessions(ids=[SESSION_ID])
    del example.sessions[SESSION_ID]
    run: Any = refresh_sessions(ids=[SESSION_ID])
    assert (run.state, run.missing, run.failed) == ("succeeded", 1, 0)
    assert run.marked_missing == [SESSION_ID]
    assert WorkflowSession.objects.get().missing_since is not None


def test_ids__all_malformed(api: FakeAPI) -> None:
    """Where no id can be one, nothing runs."""
    with pytest.raises(ComplyCubeInvalidIdError):
        refresh_sessions(ids=["", "a/b"])
    assert not RefreshRun.objects.exists()


def test_ids__foreign_row(example: FakeAPI) -> None:
    """An id that is stored for another account fails by name, without a request."""
    session_row(SESSION_ID, account="other")
    run = refresh_sessions(ids=[SESSION_ID])
    assert "ComplyCubeOwnershipError" in run.errors[SESSION_ID]
    assert example.requests == []


def test_lease__one_run_at_a_time(api: FakeAPI) -> None:
    """A second run over the account is refused while the lease of the first lives."""
    other = RefreshRun.objects.create(account="default", mode="full")
    RefreshLease.objects.create(
        account="default", run=other, expires_at=timezone.now() + timedelta(seconds=10)
    )
    with pytest.raises(ComplyCubeRefreshRunningError, match=f"Run {other.pk}"):
        refresh_sessions()
    assert RefreshRun.objects.count() == 1
    assert api.requests == []


def test_lease__renewed_between_signals(api: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the receivers of a batch take, no other run takes the account over meanwhile."""
    monkeypatch.setattr(run, "RENEW_SECONDS", 0.0)
    for number in range(20):
        api.add_session(number)
    ends: list[Any] = []

    def receiver(**arguments: Any) -> None:
        ends.append(RefreshLease.objects.get().expires_at)

    session_outcome_changed.connect(receiver)
    try:
        refresh_sessions()
    finally:
        session_outcome_changed.disconnect(receiver)
    assert len(ends) == 20
    assert ends == sorted(set(ends))


def test_lease__taken_over_when_it_ended(api: FakeAPI) -> None:
    """A lease that was not renewed is taken over, and the old run is marked as interrupted."""
    other = RefreshRun.objects.create(account="default", mode="full")
    RefreshLease.objects.create(
        account="default", run=other, expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert refresh_sessions().state == "succeeded"
    other.refresh_from_db()
    assert other.state == "interrupted"
    assert RefreshLease.objects.get().run is None


def test_full_run__marks_what_is_gone(api: FakeAPI) -> None:
    """Only its own 404 marks a session; what the list shows unchanged is not fetched."""
    ids = [api.add_session(n) for n in range(40)]
    refresh_sessions()
    del api.sessions[ids[3]]
    api.requests.clear()
    run = refresh_sessions(full=True)
    assert (run.state, run.missing, run.unchanged) == ("succeeded", 1, 39)
    assert [r for r in api.requests if "?" not in r] == [f"/workflowSessions/{ids[3]}"]
    assert list(WorkflowSession.objects.exclude(missing_since=None)) == [
        WorkflowSession.objects.get(pk=ids[3])
    ]


def test_full_run__too_many_gone(api: FakeAPI) -> None:
    """More than 5 % of the copy is marked only when that is confirmed."""
    ids = [api.add_session(n) for n in range(40)]
    refresh_sessions()
    for session_id in ids[:3]:
        del api.sessions[session_id]
    run = refresh_sessions(full=True)
    assert run.state == "partial"
    assert run.watermark is None
    assert "--confirm-missing" in run.errors["missing sessions"]
    assert not WorkflowSession.objects.exclude(missing_since=None).exists()
    run = refresh_sessions(full=True, confirm_missing=True)
    assert (run.state, run.missing) == ("succeeded", 3)


def test_two_accounts__are_apart(api: FakeAPI, settings: Settings) -> None:
    """Each account sweeps, marks and remembers on its own."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000},
        "second": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000},
    }
    ids = [api.add_session(n) for n in range(3)]
    refresh_sessions()
    run = refresh_sessions("second")
    assert (run.created, run.failed) == (0, 3)
    assert set(run.errors) == set(ids)
    assert set(WorkflowSession.objects.values_list("account", flat=True)) == {"default"}


def test_checks_outside_of_workflows__are_asked_by_client(api: FakeAPI) -> None:
    """Where the check list has more pages than there are clients, each client's list is read."""
    api.page_size_limit = 1000
    session_id = api.add_session(1)
    for n in range(3500):
        api.checks[f"other{n}"] = check_payload(f"other{n}", clientId="nobody")
    refresh_sessions()
    assert api.count("/checks?") == 2
    assert "clientId" in [r for r in api.requests if r.startswith("/checks?")][1]
    row = WorkflowSession.objects.get(pk=session_id)
    assert [c.outcome for c in row.checks.all()] == ["clear"] * 3
    api.touch_check(f"c0{1:022x}", "attention")
    api.now += timedelta(days=1)
    refresh_sessions()
    assert row.checks.get(check_id=f"c0{1:022x}").outcome == "attention"


def test_ids__sessions_of_one_client(api: FakeAPI) -> None:
    """The checks of a client with several sessions are listed once, whichever thread comes first."""
    ids = [api.add_session(n, clientId="one-client") for n in range(8)]
    for check in api.checks.values():
        check["clientId"] = "one-client"
    refresh_sessions(ids=ids)
    assert [r for r in api.requests if r.startswith("/checks")] == [
        "/checks?page=1&pageSize=1000&clientId=one-client"
    ]
    assert RelatedCheck.objects.filter(outcome="clear").count() == 24


def test_ids__refused_by_the_database(example: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that the database refuses is a named failure of the run, not a success."""

    def refuse(rows: Any, **kwargs: Any) -> None:
        if rows:
            raise DataError("too long")

    monkeypatch.setattr("complycube_sessions.mirror.write.upsert", refuse)
    run = refresh_sessions(ids=[SESSION_ID])
    assert (run.state, run.failed) == ("partial", 1)
    assert "DataError" in run.errors[SESSION_ID]


def test_ids__malformed_one_is_named_as_given(api: FakeAPI) -> None:
    """A malformed id stands in the errors as it was given, so that a caller finds it again."""
    good = api.add_session(1)
    run = refresh_sessions(ids=[good, "../checks/1", "", "a\0b"])
    assert list(run.errors) == ["../checks/1", "", r"'a\x00b'"]
    assert run.failed == 3


def test_ids__dry_run(api: FakeAPI) -> None:
    """A dry run with ids tells which would be new, and sends nothing."""
    known, unknown = api.add_session(1), api.add_session(2)
    refresh_sessions(ids=[known])
    api.requests.clear()
    run = refresh_sessions(ids=[known, unknown], dry_run=True)
    assert (run.listed, run.created, run.updated) == (2, 1, 1)
    assert api.requests == []


def test_since__naive(api: FakeAPI) -> None:
    """A time without a zone is refused before anything begins."""
    with pytest.raises(ValueError, match="aware"):
        refresh_sessions(since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault
    assert not RefreshRun.objects.exists()


@pytest.mark.parametrize("field", ["status", "outcome"])
def test_full_run__differs_at_the_same_time(api: FakeAPI, field: str) -> None:
    """A session that the list shows with another word is fetched, whatever its time says."""
    session_id = api.add_session(1)
    refresh_sessions()
    api.sessions[session_id][field] = "other"
    run = refresh_sessions(full=True)
    assert (run.fetched, run.updated) == (1, 1)
    assert getattr(WorkflowSession.objects.get(), field) == "other"


def many_foreign_checks(api: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return sessions of an account whose checks are listed client by client."""
    monkeypatch.setattr(checks, "PAGE_SIZE", 1)
    ids = [api.add_session(number) for number in (1, 2)]
    for number in range(200):
        api.checks[f"other{number}"] = check_payload(f"other{number}", clientId="nobody")
    refresh_sessions()
    return ids


def answer_client(
    api: FakeAPI, client_ids: set[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the lists of these clients' checks end in a status."""
    answer = api.answer

    def answered(target: str, headers: Any) -> Reply:
        found, extra, body = answer(target, headers)
        parts = urlsplit(target)
        asked = parse_qs(parts.query).get("clientId", [""])[0]
        if parts.path.endswith("/checks") and asked in client_ids:
            return status, extra, b"{}"
        return found, extra, body

    monkeypatch.setattr(api, "answer", answered)


@pytest.mark.parametrize(
    ("status", "state"), [(404, "succeeded"), (400, "partial"), (500, "partial")]
)
def test_by_client__one_clients_list_fails(
    api: FakeAPI, quick: None, monkeypatch: pytest.MonkeyPatch, status: int, state: str
) -> None:
    """One client's list costs that client's checks; only a client that is gone lets the run succeed."""
    first, _ = many_foreign_checks(api, monkeypatch)
    answer_client(api, {api.sessions[first]["clientId"]}, status, monkeypatch)
    new = api.add_session(3)
    run = refresh_sessions(full=True)
    assert run.state == state
    assert (run.watermark is not None) == (state == "succeeded")
    assert bool(run.errors) == (state == "partial")
    assert WorkflowSession.objects.filter(pk=new).exists()


def test_by_client__all_lists_fail(
    api: FakeAPI, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that answers nobody's list ends the run before it asks for every client."""
    for number in range(10, 60):
        api.add_session(number)
    many_foreign_checks(api, monkeypatch)
    clients = {session["clientId"] for session in api.sessions.values()}
    answer_client(api, clients, 500, monkeypatch)
    api.requests.clear()
    assert refresh_sessions(full=True).state == "failed"
    assert api.count("/checks?") < len(clients)


def test_full_run__tells_that_it_lives(api: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing moved, the run still shows itself, and renews its lease, at every step through the copy."""
    for number in range(30):
        api.add_session(number)
    refresh_sessions()
    monkeypatch.setattr(checks, "BATCH_SIZE", 5)  # 90 checks
    monkeypatch.setattr(missing, "PAGE_SIZE", 3)  # 30 sessions
    told: list[int] = []
    refresh_sessions(full=True, on_progress=lambda run, expected: told.append(run.listed))
    assert len(told) >= 18 + 10


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -0100",
        "Mon, 01 Jan 0001 00:00:00 +0100",
    ],
)
def test_date_header__impossible(api: FakeAPI, date: str) -> None:
    """A date at the end of the calendar is none, and costs nothing."""
    api.add_session(1)
    api.date_header = lambda: date
    assert refresh_sessions().state == "succeeded"
    assert WorkflowSession.objects.exists()
