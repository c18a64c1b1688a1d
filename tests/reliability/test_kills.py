from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from complycube_sessions.models import (
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)
from tests.fake_api import FakeAPI, served
from tests.reliability.conftest import OpenDatabase
from tests.reliability.processes import OwnDatabase
from tests.reliability.support import assert_equals_source, assert_session_equals

pytestmark = pytest.mark.databases
RATE = 400  # of the vendor's 10: the kills have no time to wait for it
KILLS = 20
SESSIONS = 2000
KINDS = ["sqlite", "postgresql"]


@pytest.fixture
def api() -> FakeAPI:
    """Return an API that only a real server shows, to the processes of the test."""
    return FakeAPI()


@contextmanager
def signalled(
    api: FakeAPI, process: subprocess.Popen[str], number: int, later_seconds: float = 0.0
) -> Iterator[list[int]]:
    """Send SIGKILL, or what else is set, when the request of that number, from now on, arrives."""
    last = len(api.requests) + number
    sent: list[int] = []

    def on_request(count: int, path: str) -> None:
        if count == last:
            sent.append(count)
            threading.Timer(later_seconds, process.send_signal, [signal.SIGKILL]).start()

    api.on_request = on_request
    try:
        yield sent
    finally:
        api.on_request = lambda count, path: None


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@dataclass
class Costs:
    """What a series of killed runs asked for, and what of it one run would have."""

    repeated: list[int] = field(default_factory=list)
    lists: list[int] = field(default_factory=list)

    def note(self, api: FakeAPI, start: int, before: Counter[tuple[str, str]]) -> None:
        """Count the list pages of a run, and the sessions that were asked for though unchanged."""
        asked = [r for r in api.requests[start:] if r.startswith("/workflowSessions/")]
        versions = Counter(
            (path, api.sessions[path.rpartition("/")[2]]["updatedAt"]) for path in asked
        )
        self.repeated.append(sum((versions & before).values()))
        self.lists.append(len(api.requests) - start - len(asked))
        before |= versions


@pytest.mark.parametrize("kind", KINDS)
def test_kills__twenty_times(
    open_database: OpenDatabase, api: FakeAPI, kind: str, record_property: Callable[..., None]
) -> None:
    """
    Twenty kills at random moments of runs over 2,000 sessions cost little and lose nothing.

    After any, what is stored is whole; after one more run the copy equals the source, each change
    stands once in the history, and each kill repeated at most a few percent of a run's requests.
    """
    rng = random.Random(f"kills on {kind}")
    ids = [api.add_session(number) for number in range(SESSIONS)]
    database = open_database(kind)
    changed: set[str] = set()
    costs, seen = Costs(), Counter[tuple[str, str]]()
    with served(api) as url:
        for killed in range(KILLS):
            start = len(api.requests)
            # Two in three die in the middle of the work, the others at any time.
            number = rng.choice([rng.randint(1, 12), rng.randint(9, 160), rng.randint(60, 200)])
            process = database.refresh(url, rate=RATE)
            with signalled(api, process, number, rng.uniform(0, 0.05)):
                code, _, err = end(process)
            assert code == -signal.SIGKILL, err
            costs.note(api, start, seen)
            if killed % 4 == 0:
                assert_stored_is_whole(api, database)
            database.expire_lease()
            changed |= change_some(api, database, rng, without=changed)
        start = len(api.requests)
        code, out, err = end(database.refresh(url))
        costs.note(api, start, seen)

    assert (code, err) == (0, ""), out
    assert_equals_source(api, using=database.alias)
    history = SessionChange.objects.using(database.alias).values_list("session", "old", "new")
    assert sorted(history) == sorted((pk, "clear", "attention") for pk in changed)
    assert RefreshRun.objects.using(database.alias).filter(state="interrupted").count() == KILLS
    clean = SESSIONS + SESSIONS // 1000 + 3 * SESSIONS // 1000
    wasted = sum(costs.repeated) + sum(costs.lists[:-1])
    figures = {
        "requests of a run without a kill": clean,
        "requests of all runs": len(api.requests),
        "sessions fetched twice": sum(costs.repeated),
        "list pages read by killed runs": sum(costs.lists[:-1]),
        "spent twice for each kill, percent of a run": round(100 * wasted / KILLS / clean, 2),
        "most sessions fetched twice after one kill, percent": round(
            100 * max(costs.repeated) / clean, 2
        ),
    }
    record_property(f"kills on {kind}", figures)
    print(kind, figures)  # noqa: T201 - shown by pytest -rP
    assert len(ids) == len(api.sessions)
    assert wasted / KILLS <= 0.05 * clean
    assert max(costs.repeated) <= 0.05 * clean


def assert_stored_is_whole(api: FakeAPI, database: OwnDatabase) -> None:
    """Compare all that is stored so far: a killed run leaves no half of a batch behind."""
    checks: dict[str, list[RelatedCheck]] = {}
    for check in RelatedCheck.objects.using(database.alias).order_by("position", "pk"):
        checks.setdefault(check.session_id, []).append(check)
    for row in WorkflowSession.objects.using(database.alias):
        source = api.sessions[row.pk]
        if row.raw["updatedAt"] == source["updatedAt"]:
            assert_session_equals(row, checks.pop(row.pk, []), source, api)
        else:  # it changed upstream after it was stored
            assert row.outcome == "clear"
            assert len(checks.pop(row.pk, [])) == 3
    assert not checks


def change_some(
    api: FakeAPI, database: OwnDatabase, rng: random.Random, without: set[str]
) -> set[str]:
    """Change sessions that are stored, so that the next run has history to write; return them."""
    stored = WorkflowSession.objects.using(database.alias).values_list("pk", flat=True)
    chosen = rng.sample(sorted(set(stored) - without), min(5, len(set(stored) - without)))
    for session_id in chosen:
        api.touch(session_id, outcome="attention")
    return set(chosen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_kills__interrupted(
    open_database: OpenDatabase, api: FakeAPI, kind: str, number: signal.Signals
) -> None:
    """Ctrl-C and a service manager's SIGTERM store what was fetched and end with exit code 130."""
    for session in range(600):
        api.add_session(session, checks=1)
    database = open_database(kind)
    with served(api) as url:
        process = database.refresh(url, rate=RATE)

        def on_request(count: int, path: str) -> None:
            if count == 200:
                process.send_signal(number)

        api.on_request = on_request
        code, _, err = end(process)
        api.on_request = lambda count, path: None
        run = RefreshRun.objects.using(database.alias).get()
        stored = WorkflowSession.objects.using(database.alias).count()
        assert code == 130
        assert "Traceback" not in err
        assert "Interrupted" in err
        assert (run.state, run.watermark) == (RefreshRun.State.INTERRUPTED, None)
        assert run.finished_at is not None
        assert 100 < stored == run.created < 600
        # The lease was given back: the next run begins at once.
        assert end(database.refresh(url))[0] == 0
    assert_equals_source(api, using=database.alias)


@pytest.mark.parametrize("kind", KINDS)
def test_kills__lease(open_database: OpenDatabase, api: FakeAPI, kind: str) -> None:
    """A live lease ends another run with exit code 3; one that ran out is taken over."""
    for session in range(50):
        api.add_session(session, checks=0)
    database = open_database(kind)
    with served(api) as url:
        process = database.refresh(url, rate=RATE)
        with signalled(api, process, 20):
            assert end(process)[0] == -signal.SIGKILL
        killed = RefreshRun.objects.using(database.alias).get()
        lease = RefreshLease.objects.using(database.alias).get()
        asked = len(api.requests)
        code, _, err = end(database.refresh(url))

        assert lease.run_id == killed.pk
        assert lease.expires_at is not None
        assert lease.expires_at - killed.started_at < timedelta(seconds=16)
        assert code == 3
        assert f"Run {killed.pk}" in err
        assert len(api.requests) == asked
        assert RefreshRun.objects.using(database.alias).get().state == RefreshRun.State.RUNNING

        database.expire_lease()
        code, _, err = end(database.refresh(url))
    killed.refresh_from_db(using=database.alias)
    assert (code, err) == (0, "")
    assert killed.state == RefreshRun.State.INTERRUPTED
    assert killed.finished_at is not None
    assert_equals_source(api, using=database.alias)
