from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from complycube_sessions.models import RelatedCheck, SessionChange, SessionNameWord, WorkflowSession
from complycube_sessions.models.name_words import name_rotations
from tests.fake_api import FakeAPI, Reply, served
from tests.reliability.conftest import OpenDatabase
from tests.reliability.processes import ROOT, OwnDatabase
from tests.reliability.race_worker import START, outcome
from tests.reliability.support import as_time, refresh

PROCESSES = 8
SERVERS = ["postgresql", "mariadb"]


class StartingTogether(FakeAPI):
    """An API that answers nobody until all processes have asked: each begins with two requests."""

    def __init__(self) -> None:
        super().__init__()
        self._held = threading.Semaphore(2 * PROCESSES)
        self._all_there = threading.Barrier(2 * PROCESSES)

    def answer(self, target: str, headers: Any) -> Reply:
        if self._held.acquire(blocking=False):
            self._all_there.wait(timeout=60)
        return super().answer(target, headers)


def assert_history_is_a_chain(database: OwnDatabase, outcomes: dict[tuple[str, str], str]) -> None:
    """Follow each history from change to change, to the outcome that is stored now."""
    last: dict[tuple[str, str], str] = {}
    changes = SessionChange.objects.using(database.alias).filter(field="outcome").order_by("pk")
    for change in changes:
        key = (change.session_id, change.check_id)
        assert last.setdefault(key, change.old) == change.old
        assert change.new != change.old
        last[key] = change.new
    for key, stored in last.items():
        assert outcomes[key] == stored


@pytest.mark.databases
@pytest.mark.parametrize("kind", SERVERS)
def test_races__eight_commands(open_database: OpenDatabase, kind: str) -> None:
    """
    Eight commands refresh overlapping sessions at once while these change upstream.

    None fails, no row is there twice, and of each session the newest copy that anyone got is stored.
    """
    api = StartingTogether()
    ids = [api.add_session(number, checks=2) for number in range(60)]
    rng = random.Random(kind)
    served_at: dict[str, str] = {}

    def on_request(count: int, path: str) -> None:
        session_id = path.removeprefix("/workflowSessions/")
        if session_id in api.sessions:
            if rng.random() < 0.3:
                api.touch(session_id, outcome=rng.choice(["clear", "attention", "rejected"]))
            served_at[session_id] = api.sessions[session_id]["updatedAt"]

    database = open_database(kind)
    with served(api) as url:
        runs = [database.refresh(url, *rng.sample(ids, 45)) for _ in range(PROCESSES)]
        api.on_request = on_request
        for run in runs:
            out, err = run.communicate(timeout=90)
            assert (run.returncode, err) == (0, ""), out

    rows = {row.pk: row for row in WorkflowSession.objects.using(database.alias)}
    assert rows.keys() == served_at.keys()
    for pk, updated_at in served_at.items():
        assert rows[pk].updated_at == as_time(updated_at), pk
        assert rows[pk].outcome == rows[pk].raw["outcome"]
    pairs = RelatedCheck.objects.using(database.alias).values_list("session", "check_id")
    assert max(Counter(pairs).values()) == 1
    assert len(pairs) == 2 * len(rows)
    assert_history_is_a_chain(database, {(pk, ""): row.outcome for pk, row in rows.items()})


@pytest.mark.databases
@pytest.mark.parametrize("kind", [*SERVERS, "sqlite"])
def test_races__eight_writers(open_database: OpenDatabase, kind: str) -> None:
    """
    Eight processes store old and new copies of the same sessions, in other orders each, at once.

    No deadlock reaches them, the newest version of each session and check is what stays, its history
    is a chain without a gap, and its name is searchable once.
    """
    database = open_database(kind)
    sessions, versions, rounds = 40, 30, 12 if kind != "sqlite" else 4
    arguments = [str(n) for n in (sessions, versions, rounds)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.race_worker", str(seed), *arguments],
            cwd=ROOT,
            env=database.environment("http://127.0.0.1:9/v1", 1),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    newest: dict[str, int] = {}
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert (worker.returncode, err) == (0, "")
        for pk, version in json.loads(out).items():
            newest[pk] = max(version, newest.get(pk, 0))

    rows = {row.pk: row for row in WorkflowSession.objects.using(database.alias)}
    checks = {check.session_id: check for check in RelatedCheck.objects.using(database.alias)}
    assert rows.keys() == checks.keys() == newest.keys()
    assert RelatedCheck.objects.using(database.alias).count() == len(rows)
    outcomes: dict[tuple[str, str], str] = {}
    for pk, version in newest.items():
        at = START + timedelta(minutes=version)
        assert (rows[pk].updated_at, rows[pk].outcome) == (at, outcome(version)), pk
        assert (checks[pk].updated_at, checks[pk].outcome) == (at, outcome(version)), pk
        words = SessionNameWord.objects.using(database.alias).filter(session=pk)
        name = f"Person {int(pk, 16)} {version}"
        assert sorted(words.values_list("words", flat=True)) == sorted(name_rotations(name))
        outcomes[pk, ""] = outcomes[pk, checks[pk].check_id] = outcome(version)
    assert_history_is_a_chain(database, outcomes)


@pytest.mark.django_db
def test_races__late_answer(api: FakeAPI) -> None:
    """An answer that is overtaken by a newer one is not written over it when it arrives at last."""
    session_id = api.add_session(1)
    refresh()
    old = dict(api.sessions[session_id])
    api.touch(session_id, outcome="rejected")
    assert refresh(session_id).code == 0
    newest = WorkflowSession.objects.get()
    api.fail(f"/workflowSessions/{session_id}", 200, old)

    assert refresh(session_id).code == 0

    row = WorkflowSession.objects.get()
    assert (row.outcome, row.updated_at, row.raw) == ("rejected", newest.updated_at, newest.raw)
    assert SessionChange.objects.filter(field="outcome").count() == 1
