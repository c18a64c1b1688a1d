from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import pytest

from complycube_sessions.exceptions import ComplyCubeOwnershipError
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)
from complycube_sessions.services import refresh_session
from tests.examples import parameters
from tests.fake_api import FakeAPI, iso
from tests.reliability.support import (
    MIRRORED,
    assert_equals_source,
    assert_session_equals,
    configure,
    refresh,
    summary,
)

pytestmark = pytest.mark.django_db
Drift = Callable[[FakeAPI, random.Random, list[str]], object]
SEEDS = range(10)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_numbers = count(100_000)


@pytest.fixture(autouse=True)
def impatient(settings: Any) -> None:
    configure(settings)


def delete(api: FakeAPI, rng: random.Random, shown: list[str]) -> str:
    """Delete a session, most often one that was on a page already, and its checks."""
    session_id = rng.choice(shown or sorted(api.sessions))
    for related in api.sessions.pop(session_id)["allRelatedChecks"]:
        del api.checks[related["checkId"]]
    return session_id


def create(api: FakeAPI, rng: random.Random, shown: list[str]) -> str:
    """Create a session now; it stands before all others."""
    api.now += timedelta(seconds=rng.choice([0, 2]))
    now: dict[str, Any] = {"createdAt": iso(api.now), "updatedAt": iso(api.now)}
    session_id = api.add_session(next(_numbers), **now, completedAt=iso(api.now))
    for related in api.sessions[session_id]["allRelatedChecks"]:
        api.checks[related["checkId"]] |= now
    return session_id


def update(api: FakeAPI, rng: random.Random, shown: list[str]) -> str:
    """Change a session that was on a page already."""
    session_id = rng.choice([i for i in shown if i in api.sessions] or sorted(api.sessions))
    api.touch(session_id, outcome=rng.choice(["attention", "rejected"]))
    return session_id


def update_check(api: FakeAPI, rng: random.Random, shown: list[str]) -> str:
    """Let a human judge a check; its session stays as it is."""
    check_id = rng.choice(sorted(api.checks))
    api.touch_check(check_id, rng.choice(["attention", "rejected"]))
    return check_id


def drift_once(api: FakeAPI, rng: random.Random, path: str, *drifts: Drift) -> None:
    """Let the data change once, before some page after the first of a list."""
    size = 4
    api.page_size_limit = size
    moment = rng.randint(2, 4)
    done: list[int] = []

    def before_page(asked: str, page: int) -> None:
        if asked == path and page == moment and not done:
            done.append(page)
            newest_first = sorted(
                api.sessions.values(), key=lambda s: (s["createdAt"], s["id"]), reverse=True
            )
            shown = [s["id"] for s in newest_first[: (page - 1) * size]]
            for drift in drifts:
                drift(api, rng, shown)

    api.before_page = before_page


@pytest.mark.parametrize("seed", parameters(SEEDS, quick={0}))
@pytest.mark.parametrize(
    "drift", parameters([delete, create, update, update_check], quick={delete, update_check})
)
@pytest.mark.parametrize("mode", parameters(["first", "later"], quick={"later"}))
def test_drift__while_pages_are_read(api: FakeAPI, mode: str, drift: Drift, seed: int) -> None:
    """Whatever moves while the pages are read, nothing is missed once the next run has ended."""
    rng = random.Random(seed)
    before = {api.add_session(number, checks=1) for number in range(20)}
    if mode == "later":
        assert refresh().code == 0
        api.now += timedelta(hours=1)
        for session_id in rng.sample(sorted(before), 16):
            api.touch(session_id, outcome="attention")
    full = mode == "later" and seed % 3 == 0
    drift_once(api, rng, "/checks" if seed % 3 == 1 else "/workflowSessions", drift)
    due = {pk: source["updatedAt"] for pk, source in api.sessions.items()}

    ended = refresh(*(["--full"] if full else []))

    left = before & api.sessions.keys()
    stored = {row.pk: row.raw["updatedAt"] for row in WorkflowSession.objects.all()}
    assert all(stored[pk] >= due[pk] for pk in left), "missed by the run itself"
    assert ended.code == 0 or drift is delete
    api.before_page = lambda path, page: None
    refresh()
    gone = before - api.sessions.keys()
    assert_equals_source(api, without=gone)
    assert not WorkflowSession.objects.exclude(pk__in=gone).exclude(missing_since=None).exists()


@pytest.mark.parametrize("seed", parameters(SEEDS, quick={0}))
def test_drift__all_at_once(api: FakeAPI, seed: int) -> None:
    """A run with everything moving under it loses nothing that the next full run does not find."""
    rng = random.Random(seed)
    before = {api.add_session(number) for number in range(60)}
    assert refresh().code == 0
    api.page_size_limit = 8
    touched = rng.sample(sorted(before), 30)
    for session_id in touched:
        api.touch(session_id, outcome="attention")
    calls = count()

    def before_page(path: str, page: int) -> None:
        if next(calls) < 12:
            rng.choice([create, update, update_check])(api, rng, touched)

    api.before_page = before_page
    refresh()
    api.before_page = lambda path, page: None

    assert refresh().code == 0
    assert_equals_source(api)
    touched_once = SessionChange.objects.filter(field="outcome", check_id="", old="clear")
    assert touched_once.count() == touched_once.values("session").distinct().count()


def test_drift__list_that_never_stands_still(api: FakeAPI) -> None:
    """A list that shrinks at each reading is read three times, said to be so, and earns nothing."""
    for number in range(40):
        api.add_session(number)
    api.page_size_limit = 5
    rng = random.Random(1)

    def before_page(path: str, page: int) -> None:
        if path == "/workflowSessions" and page == 3:
            delete(api, rng, [])

    api.before_page = before_page

    ended = refresh()

    assert ended.code == 1
    assert ended.errors.keys() <= {"list of sessions", "list of checks", *_unknown(ended.errors)}
    assert "three times" in ended.errors["list of sessions"]
    assert ended.run is not None
    assert (ended.run.state, ended.run.watermark) == (RefreshRun.State.PARTIAL, None)
    assert set(api.sessions) <= set(WorkflowSession.objects.values_list("pk", flat=True))


def _unknown(errors: dict[str, str]) -> set[str]:
    return {name for name, reason in errors.items() if "404" in reason}


# Filters that the vendor does not understand


def _mark() -> datetime | None:
    marks = RefreshRun.objects.exclude(watermark=None).order_by("-watermark")
    return marks.values_list("watermark", flat=True).first()


def test_filters__updated_after_without_answer(api: FakeAPI) -> None:
    """An ``updatedAfter`` that answers 200 with nothing fails the run by name; the watermark stays."""
    ids = [api.add_session(number) for number in range(5)]
    refresh()
    mark = _mark()
    api.touch(ids[2], outcome="attention")
    api.filters_without_answer = {"updatedAfter"}

    ended = refresh()

    assert ended.code == 1
    assert "filter" in ended.errors["default"]
    assert ended.run is not None
    assert (ended.run.state, ended.run.watermark) == (RefreshRun.State.FAILED, None)
    assert _mark() == mark is not None
    api.filters_without_answer = set()
    assert summary(refresh())["updated"] == 1
    assert_equals_source(api)


@pytest.mark.parametrize(
    ("path", "what"), [("/workflowSessions", "sessions"), ("/checks", "checks")]
)
def test_filters__one_list_without_answer(api: FakeAPI, path: str, what: str) -> None:
    """Each of the two lists is proved for itself, and the error says which one is meant."""
    ids = [api.add_session(number) for number in range(5)]
    refresh()
    mark = _mark()
    api.touch(ids[2], outcome="attention")
    api.touch_check(api.sessions[ids[1]]["allRelatedChecks"][0]["checkId"], "attention")
    empty = {"page": 1, "pageSize": 1000, "totalItems": 0, "pages": 0, "items": []}
    api.fail(path, 200, empty)

    ended = refresh()

    assert ended.code == 1
    assert f"list of {what}" in ended.errors["default"]
    assert "filter" in ended.errors["default"]
    assert _mark() == mark is not None
    api.faults.clear()
    assert refresh().code == 0
    assert_equals_source(api)


def test_filters__created_before_without_answer(api: FakeAPI) -> None:
    """A ``createdBefore`` that empties the second page earns no watermark, and says so."""
    for number in range(12):
        api.add_session(number)
    api.page_size_limit = 5
    api.filters_without_answer = {"createdBefore"}

    ended = refresh()

    assert ended.code == 1
    assert ended.run is not None
    assert ended.run.watermark is None
    api.filters_without_answer = set()
    assert refresh().code == 0
    assert_equals_source(api)


def test_filters__ignored(api: FakeAPI) -> None:
    """Filters that the API overlooks cost pages, no request for a session that stands still."""
    ids = [api.add_session(number) for number in range(12)]
    refresh()
    api.ignored_filters = {"updatedAfter", "createdBefore"}
    api.page_size_limit = 5
    api.touch(ids[2], outcome="attention")
    api.requests.clear()

    ended = refresh()

    assert (ended.code, summary(ended)["updated"]) == (0, 1)
    assert api.count("/workflowSessions/") == 1
    assert_equals_source(api)


# Another account's answers

OTHER_KEY = "live_dummy-key-of-the-other-account"


@pytest.fixture
def other(settings: Any, api: FakeAPI) -> FakeAPI:
    """Give the API one stored session, and let it answer the other account with changed data."""
    session_id = api.add_session(1)
    assert refresh().code == 0
    accounts = settings.COMPLYCUBE_ACCOUNTS
    settings.COMPLYCUBE_ACCOUNTS = {
        **accounts,
        "other": {**accounts["default"], "API_KEY": OTHER_KEY},
    }
    api.key = OTHER_KEY
    api.touch(session_id, outcome="rejected", entityName="Someone Else")
    for related in api.sessions[session_id]["allRelatedChecks"]:
        api.touch_check(related["checkId"], "rejected")
    return api


def mirrored_rows() -> list[list[dict[str, Any]]]:
    return [list(model._default_manager.order_by("pk").values()) for model in MIRRORED]


@pytest.mark.parametrize("arguments", [[], ["--full"], ["--full", "--confirm-missing"], ["ID"]])
def test_accounts__other_account(other: FakeAPI, arguments: list[str]) -> None:
    """An answer for another account's row is a named failure, and the row stays as it is."""
    (session_id,) = other.sessions
    before = mirrored_rows()

    ended = refresh(*[session_id if a == "ID" else a for a in arguments], "--account", "other")

    assert ended.code == 1
    assert "ComplyCubeOwnershipError" in ended.errors[session_id]
    assert mirrored_rows() == before
    assert not PendingRefresh.objects.exists()


@pytest.mark.parametrize("arguments", [["--full", "--confirm-missing"], ["ID"]])
def test_accounts__other_account_says_404(other: FakeAPI, arguments: list[str]) -> None:
    """A 404 to another account's key marks nothing."""
    (session_id,) = other.sessions
    before = mirrored_rows()
    other.sessions.clear()

    refresh(*[session_id if a == "ID" else a for a in arguments], "--account", "other")

    assert mirrored_rows() == before


def test_accounts__other_environment(settings: Any, other: FakeAPI) -> None:
    """The same account with a live key leaves the rows of its test key alone."""
    (session_id,) = other.sessions
    before = mirrored_rows()
    configure(settings, API_KEY=OTHER_KEY)

    assert refresh().code == 2
    assert refresh(session_id).code == 1
    assert mirrored_rows() == before


def test_accounts__other_account_one_session(other: FakeAPI) -> None:
    """Refreshing another account's session by hand is refused before anything is sent."""
    (session_id,) = other.sessions
    before = mirrored_rows()
    other.requests.clear()

    with pytest.raises(ComplyCubeOwnershipError):
        refresh_session(session_id, account="other")

    assert not other.requests
    assert mirrored_rows() == before


def test_accounts__other_account_pending(other: FakeAPI) -> None:
    """What was due for another account's session is not asked for again for ever."""
    (session_id,) = other.sessions
    PendingRefresh.objects.create(account="other", session_id=session_id, reason="webhook")
    other.unlisted = set(other.sessions)

    assert refresh("--account", "other").code == 1
    assert refresh("--account", "other").code == 0
    assert not PendingRefresh.objects.exists()


# Empty is not gone


def test_missing__own_404(api: FakeAPI) -> None:
    """A full run marks the session whose own address answers 404, and keeps all that was stored."""
    ids = [api.add_session(number) for number in range(30)]
    refresh()
    source = api.sessions.pop(ids[4])
    before = WorkflowSession.objects.get(pk=ids[4])

    ended = refresh("--full")

    assert ended.code == 0
    assert summary(ended)["missing"] == 1
    assert ids[4] in ended.out
    row = WorkflowSession.objects.get(pk=ids[4])
    assert row.missing_since is not None
    row.missing_since = None
    assert_session_equals(row, list(row.checks.all()), source, api)
    assert row.first_seen_at == before.first_seen_at
    assert WorkflowSession.objects.exclude(missing_since=None).count() == 1


def test_missing__comes_back(api: FakeAPI) -> None:
    """A session that is there again loses its mark."""
    ids = [api.add_session(number) for number in range(30)]
    refresh()
    source = api.sessions.pop(ids[4])
    refresh("--full")
    api.sessions[ids[4]] = source

    assert refresh("--full").code == 0
    assert_equals_source(api)


@pytest.mark.parametrize("status", parameters([200, 500, 403, 422, 204], quick={200, 403}))
def test_missing__left_out_but_no_404(api: FakeAPI, status: int) -> None:
    """A session that the list leaves out is not missing unless its own address says so."""
    ids = [api.add_session(number) for number in range(30)]
    refresh()
    api.unlisted = {ids[4]}
    if status != 200:
        api.faults[f"/workflowSessions/{ids[4]}"] = lambda n: (status, {}, b"")

    ended = refresh("--full")

    assert ended.code == int(status != 200)
    assert summary(ended)["missing"] == 0
    assert_equals_source(api)


@pytest.mark.parametrize("gone", parameters([2, 10, 30], quick={2}))
def test_missing__more_than_a_twentieth(api: FakeAPI, gone: int) -> None:
    """A full run that would mark more than 5 % stops and says so, unless that is confirmed."""
    ids = [api.add_session(number) for number in range(30)]
    refresh()
    for session_id in ids[:gone]:
        del api.sessions[session_id]

    ended = refresh("--full")

    assert ended.code == 1
    assert "--confirm-missing" in str(ended.errors)
    assert not WorkflowSession.objects.exclude(missing_since=None).exists()
    assert ended.run is not None
    assert ended.run.watermark is None
    confirmed = refresh("--full", "--confirm-missing")
    assert summary(confirmed)["missing"] == gone
    assert WorkflowSession.objects.exclude(missing_since=None).count() == gone


def test_missing__empty_list(api: FakeAPI) -> None:
    """An empty list marks nothing, even when marking was confirmed, as long as the sessions are there."""
    for number in range(30):
        api.add_session(number)
    refresh()
    mark = _mark()
    api.unlisted = set(api.sessions)

    ended = refresh("--full", "--confirm-missing")

    assert ended.code == 1
    assert not WorkflowSession.objects.exclude(missing_since=None).exists()
    assert _mark() == mark


@pytest.mark.parametrize("how_many", parameters([1, 3, 4, 10], quick={4}))
def test_missing__newest_are_gone(api: FakeAPI, how_many: int) -> None:
    """When the newest sessions are cleaned up upstream, a few runs later the watermark moves again."""
    ids = [api.add_session(number) for number in range(60)]
    refresh()
    for session_id in ids[-how_many:]:
        for related in api.sessions.pop(session_id)["allRelatedChecks"]:
            del api.checks[related["checkId"]]
    api.now += timedelta(hours=1)

    ended = [refresh() for _ in range(6)]

    assert ended[-1].code == 0
    mark = _mark()
    assert mark is not None
    assert mark > api.now - timedelta(minutes=6)


# The watermark


@pytest.mark.parametrize("offset", [timedelta(days=-3000), timedelta(), timedelta(days=3000)])
def test_watermark__by_the_earlier_clock(api: FakeAPI, offset: timedelta) -> None:
    """The watermark is the earlier one of the vendor's ``Date`` and the clock here, minus five minutes."""
    api.now = datetime.now(UTC).replace(microsecond=0) + offset
    times = {"createdAt": iso(api.now), "updatedAt": iso(api.now), "completedAt": iso(api.now)}
    session_id = api.add_session(1, checks=0, **times)
    before = datetime.now(UTC)

    ended = refresh()

    assert ended.run is not None
    assert ended.run.watermark is not None
    began = ended.run.watermark + timedelta(minutes=5)
    assert min(api.now, before) - timedelta(seconds=2) < began <= min(api.now, datetime.now(UTC))
    api.touch(session_id, outcome="attention")
    assert summary(refresh())["updated"] == 1
    assert_equals_source(api)


@pytest.mark.parametrize("header", [None, "yesterday", "Mon, 99 Jan 2026 00:00:00 GMT"])
def test_watermark__without_a_date(api: FakeAPI, header: str | None) -> None:
    """Without a readable ``Date`` it is the time at which the first request began, minus five minutes."""
    ids = [api.add_session(number) for number in range(3)]
    api.date_header = lambda: header
    before = datetime.now(UTC)

    ended = refresh()

    assert ended.run is not None
    assert ended.run.watermark is not None
    assert before <= ended.run.watermark + timedelta(minutes=5) <= datetime.now(UTC)
    api.touch(ids[0], outcome="attention")
    assert summary(refresh())["updated"] == 1
    assert_equals_source(api)


def test_watermark__limit(api: FakeAPI) -> None:
    """Limited runs end as partial with exit code 0 and no watermark; together they reach the end."""
    for number in range(10):
        api.add_session(number)

    for stored in (4, 8):
        ended = refresh("--limit", "4")
        assert ended.code == 0
        assert ended.run is not None
        assert (ended.run.state, ended.run.watermark) == (RefreshRun.State.PARTIAL, None)
        assert WorkflowSession.objects.count() == stored
    last = refresh("--limit", "4")
    assert last.run is not None
    assert last.run.state == RefreshRun.State.SUCCEEDED
    assert last.run.watermark is not None
    assert_equals_source(api)


def test_watermark__since_on_an_unfinished_copy(api: FakeAPI) -> None:
    """A run with ``--since`` over a copy that never was whole earns no watermark for what is older."""
    ids = [api.add_session(number) for number in range(10)]
    api.touch(ids[9])
    refresh(ids[9])

    assert refresh("--since", "2026-01-30T00:00:00Z").code == 0
    assert refresh().code == 0

    assert_equals_source(api)


@pytest.mark.parametrize("arguments", [[], ["--full"]])
def test_watermark__ahead_of_the_clock_of_a_run(api: FakeAPI, arguments: list[str]) -> None:
    """A run whose clock has not reached the watermark does not believe it, reads all and earns its own."""
    api.add_session(1)
    refresh()
    behind = api.now - timedelta(hours=20)
    api.date_header = lambda: format_datetime(behind, usegmt=True)

    ended = refresh(*arguments)

    assert ended.run is not None
    assert ended.run.watermark is not None
    assert timedelta() <= behind - timedelta(minutes=5) - ended.run.watermark < timedelta(seconds=2)


def test_watermark__dry_run(api: FakeAPI) -> None:
    """A dry run leaves no trace."""
    api.add_session(1)

    assert refresh("--dry-run").code == 0

    assert not RefreshRun.objects.exists()
    assert not WorkflowSession.objects.exists()


def test_pending__delays_grow(api: FakeAPI) -> None:
    """A session that keeps failing is tried later each time, up to a day, and holds nothing back."""
    ids = [api.add_session(number) for number in range(3)]
    api.fail(f"/workflowSessions/{ids[1]}", 500)
    delays = []

    for attempt in range(14):
        PendingRefresh.objects.update(next_try_at=LONG_AGO)
        before = datetime.now(UTC)
        ended = refresh()
        assert ended.run is not None
        assert ended.run.watermark is not None
        assert list(ended.errors) == [ids[1]]
        pending = PendingRefresh.objects.get()
        assert pending.attempts == attempt + 1
        delays.append(round((pending.next_try_at - before).total_seconds()) // 60)

    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440]
    assert "500" in PendingRefresh.objects.get().error


def test_pending__waits(api: FakeAPI) -> None:
    """A session that is not due again is not asked for, and no failure of the next run."""
    ids = [api.add_session(number) for number in range(3)]
    api.fail(f"/workflowSessions/{ids[1]}", 500)
    assert refresh().code == 1
    api.requests.clear()

    assert refresh().code == 0
    assert api.count(f"/workflowSessions/{ids[1]}") == 0
    api.faults.clear()
    PendingRefresh.objects.update(next_try_at=LONG_AGO)
    assert refresh().code == 0
    assert not PendingRefresh.objects.exists()
    assert_equals_source(api)


def test_checks__judged_later(api: FakeAPI) -> None:
    """A check that a human judges after its session is complete is noticed without a session request."""
    ids = [api.add_session(number) for number in range(5)]
    refresh()
    check_id = api.sessions[ids[3]]["allRelatedChecks"][2]["checkId"]
    api.touch_check(check_id, "match_confirmed")
    api.requests.clear()

    assert refresh().code == 0

    assert api.count("/workflowSessions/") == 0
    assert api.count("/checks/") == 1
    change = SessionChange.objects.get()
    assert (change.check_id, change.old, change.new) == (check_id, "clear", "match_confirmed")
    assert RelatedCheck.objects.get(check_id=check_id).result == api.checks[check_id]["result"]
    assert WorkflowSession.objects.get(pk=ids[3]).needs_review
    assert_equals_source(api)


def test_pending__delays_grow_for_a_check(api: FakeAPI) -> None:
    """A session whose check keeps failing is stored and tried later each time, the check once a run."""
    session_id = api.add_session(1)
    check_id = api.sessions[session_id]["allRelatedChecks"][0]["checkId"]
    api.checks[check_id]["result"]["outcome"] = "attention"
    api.fail(f"/checks/{check_id}", 500)
    attempts = []

    for _ in range(4):
        PendingRefresh.objects.update(next_try_at=LONG_AGO)
        api.requests.clear()
        ended = refresh()
        assert list(ended.errors) == [session_id]
        assert api.count(f"/checks/{check_id}") == 1
        attempts.append(PendingRefresh.objects.get().attempts)
        assert RelatedCheck.objects.get(check_id=check_id).outcome == "attention"

    assert attempts == [1, 2, 3, 4]
    api.faults.clear()
    PendingRefresh.objects.update(next_try_at=LONG_AGO)
    assert refresh().code == 0
    assert not PendingRefresh.objects.exists()
