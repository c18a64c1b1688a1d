"""
One account on several machines: filled, kept fresh and erased under one budget, with kills and wrong clocks.

A machine is a process with a folder and a clock of its own, so that only the
database is shared. Counts what the vendor's stand-in sees, and what the database reads for a plain run at several
sizes. ``--growth`` makes those copies by rows in the database, without any request.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

import harness
from upstream import KEY, Served, serving

CLOCKS: Final = (0, 20, -20, 45)  # seconds ahead
LIMIT: Final = 40.0
CHECKS: Final = 3
ERASED: Final = 40
CHANGED: Final = 200
GROWTH_CHANGED: Final = 100
Database = dict[str, Any]
Worker = Popen[str]


class Machines:
    """Starts processes, each in the folder and by the clock of one machine."""

    def __init__(self, database: Database, served: Served, folders: Sequence[Path]) -> None:
        self.served, self._database, self._folders = served, database, folders

    def start(self, machine: int, role: str, *arguments: object) -> Worker:
        return harness.start_worker(
            Path(__file__),
            role,
            *arguments,
            database=self._database,
            base_url=self.served.base_url,
            requests_per_second=LIMIT,
            folder=self._folders[machine],
            clock_ahead_seconds=CLOCKS[machine],
        )

    def run(self, machine: int, role: str, *arguments: object) -> Any:
        return harness.end_worker(self.start(machine, role, *arguments))

    def start_all(self, role: str) -> list[Worker]:
        return [self.start(machine, role) for machine in range(len(CLOCKS))]

    def wait_for_requests(self, number: int, worker: Worker) -> None:
        """Return when so many requests have come; the worker has to be at it."""
        while self.served.stats()["requests"] < number:
            _demand(worker.poll() is None, "The worker has ended before it could be killed.")
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description="Several machines, one account.")
    parser.add_argument("--sessions", type=int, default=1500)
    parser.add_argument("--growth", type=int, nargs="*", default=[10_000, 100_000])
    arguments = parser.parse_args()
    print(harness.machine())
    if arguments.sessions:
        print(
            f"\n{len(CLOCKS)} machines, their clocks {', '.join(map(str, CLOCKS))} s ahead; {arguments.sessions} sessions; "
            f"{LIMIT:g} requests a second\n"
        )
        head = [
            "",
            "requests",
            "budget used",
            "answers of 429",
            "fetched twice",
            "what became of it",
        ]
        harness.table(head, life(arguments.sessions))
    if arguments.growth:
        print(f"\nA plain run after {GROWTH_CHANGED} sessions have changed\n")
        head = ["sessions stored", "requests", "queries", "rows read", "times the first"]
        harness.table(head, growth(arguments.growth))


def life(sessions: int) -> list[list[object]]:
    """Return a row for each part of the life of an account."""
    with (
        serving(sessions, checks=CHECKS, latency_seconds=0.1, limit=LIMIT) as served,
        harness.temporary_database("postgresql") as database,
        _folders() as folders,
    ):
        machines = Machines(database, served, folders)
        return [_fill(machines, sessions), *_keep_fresh(machines), _erase(machines, sessions)]


def _fill(machines: Machines, sessions: int) -> list[object]:
    """Let all machines fetch, and kill one of them on the way."""
    machines.served.reset()
    machines.run(0, "list")
    workers = machines.start_all("chunks")
    machines.wait_for_requests(sessions // 2, workers[1])
    workers[1].kill()
    workers[1].wait()
    for worker in workers[:1] + workers[2:]:
        harness.end_worker(worker)
    held = machines.run(0, "release")["held"]
    machines.run(0, "chunks")
    stored = machines.run(0, "count")
    _demand(stored["sessions"] == sessions, f"{stored} of {sessions} are stored.")
    told = f"all stored; the killed one had {held} left to fetch"
    return _row(machines, "filled, one killed", told)


def _keep_fresh(machines: Machines) -> Iterator[list[object]]:
    """Let all machines run at once, then kill the one that runs and let all others follow."""
    for is_killed in (False, True):
        machines.served.change(CHANGED, CHANGED // 10)
        machines.served.reset()
        first = machines.start(1, "refresh")
        machines.wait_for_requests(CHANGED // 4, first)
        others = [machines.start(machine, "refresh") for machine in (0, 2, 3)]
        if not is_killed:
            ended = [harness.end_worker(worker) for worker in (*others, first)]
            _demand(sum(one["fetched"] for one in ended) == CHANGED, f"{ended}: not each once.")
            refused = [one["state"] for one in ended].count("refused")
            yield _row(machines, "kept fresh by all", f"{refused} of {len(ended)} were refused")
            continue
        first.kill()
        first.wait()
        [harness.end_worker(worker) for worker in others]
        while (ended_run := machines.run(2, "refresh"))["state"] == "refused":
            time.sleep(1)
        _demand(ended_run["state"] == "succeeded", str(ended_run))
        yield _row(machines, "kept fresh, one killed", f"another fetched {ended_run['fetched']}")


def _erase(machines: Machines, sessions: int) -> list[object]:
    """Let three machines erase clients while the fourth reads all of the account again."""
    machines.served.reset()
    refresh = machines.start(3, "full")
    erasing = [machines.start(m, "erase", m * ERASED, (m + 1) * ERASED) for m in range(3)]
    erased = sum(harness.end_worker(worker)["erased"] for worker in erasing)
    harness.end_worker(refresh)
    machines.run(3, "full")
    left = machines.run(0, "count")
    _demand(left["sessions"] == sessions - erased, f"{erased} erased, {left} left.")
    told = f"{erased} clients erased beside a full run, {left['sessions']} sessions left, none came back"
    return _row(machines, "erased by three", told)


def _row(machines: Machines, name: str, told: str) -> list[object]:
    stats = machines.served.stats()
    _demand(stats["most_in_a_second"] <= LIMIT, f"{stats['most_in_a_second']:.0f} in a second.")
    used = stats["requests"] / max(1.0, LIMIT * stats["seconds"])
    again, refused = stats["fetched_again"], stats["refused"]
    return [name, f"{stats['requests']:.0f}", f"{used:.0%}", f"{refused:.0f}", f"{again:.0f}", told]


def growth(sizes: Sequence[int]) -> list[list[object]]:
    """Return what a plain run costs at each size."""
    rows: list[list[object]] = []
    first = 0.0
    for size in sizes:
        with (
            serving(size, checks=1) as served,
            harness.temporary_database("postgresql") as database,
        ):
            begin = _newest(served)
            harness.run_worker(Path(__file__), "rows", size, begin, database=database)
            # Opens the reviews of what was written as rows.
            harness.run_worker(
                Path(__file__), "refresh", database=database, base_url=served.base_url
            )
            harness.run_worker(Path(__file__), "reset", database=database)
            served.change(GROWTH_CHANGED, GROWTH_CHANGED // 10)
            served.reset()
            queries = harness.run_worker(
                Path(__file__), "plain", database=database, base_url=served.base_url
            )["queries"]
            requests = served.stats()["requests"]
            read = harness.run_worker(Path(__file__), "cost", database=database)["rows"]
        first = first or read
        times = f"{read / first:.2f}"
        rows.append([f"{size:,}", f"{requests:.0f}", queries, f"{read:,}", times])
    return rows


def _newest(served: Served) -> str:
    """Return when the newest session of the stand-in was created."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{served.base_url}/workflowSessions?pageSize=1", headers={"Authorization": KEY}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as answer:
        return str(json.loads(answer.read())["items"][0]["createdAt"])


@contextmanager
def _folders() -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="complycube-machines-") as parent:
        folders = [Path(parent) / f"machine{number}" for number in range(len(CLOCKS))]
        for folder in folders:
            folder.mkdir()
        yield folders


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


def _work(role: str, arguments: Sequence[str]) -> None:
    harness.setup_django()
    harness.report(ROLES[role](*arguments))


def _list() -> dict[str, Any]:
    from complycube_sessions.services import refresh_sessions

    run = refresh_sessions(hand_out=True)
    return {"state": run.state}


def _chunks() -> dict[str, Any]:
    from complycube_sessions.webhooks.processing import process_chunk

    taken = 0
    while _is_due_soon():
        one = process_chunk().taken
        taken += one
        if not one:
            time.sleep(0.5)
    return {"taken": taken}


def _is_due_soon() -> bool:
    """Return whether a session waits that nobody has claimed, whose clock is right or not."""
    from complycube_sessions.db.connections import database_now
    from complycube_sessions.models import PendingRefresh

    soon = database_now("default") + timedelta(seconds=100)
    return PendingRefresh.objects.filter(next_try_at__lt=soon).exists()


def _release() -> dict[str, Any]:
    """Let what the killed machine has claimed be due now, as it is for all after 460 seconds."""
    from complycube_sessions.models import PendingRefresh

    return {"held": PendingRefresh.objects.update(next_try_at=datetime.now(UTC))}


def _count() -> dict[str, Any]:
    from complycube_sessions.models import WorkflowSession

    return {"sessions": WorkflowSession.objects.count()}


def _refresh(*, full: bool = False) -> dict[str, Any]:
    from complycube_sessions.exceptions import ComplyCubeRefreshRunningError
    from complycube_sessions.services import refresh_sessions

    try:
        run = refresh_sessions(full=full)
    except ComplyCubeRefreshRunningError:
        return {"state": "refused", "fetched": 0}
    return {"state": run.state, "fetched": run.fetched}


def _full() -> dict[str, Any]:
    return _refresh(full=True)


def _erase_clients(first: str, last: str) -> dict[str, Any]:
    from complycube_sessions.services import erase_client

    for number in range(int(first), int(last)):
        erase_client(f"c{number:023x}", actor="benchmark", reason="benchmark")
    return {"erased": int(last) - int(first)}


def _rows(size: str, newest: str) -> dict[str, Any]:
    """Write the rows that a first run would have stored, and the run that says so."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS, {"size": int(size), "newest": newest})
        cursor.execute(_CHECKS, {"size": int(size)})
        cursor.execute(_RUN)
    return {}


def _reset() -> dict[str, Any]:
    """Count from here; what a process has counted itself arrives when it ends."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("SELECT pg_stat_reset()")
    return {}


def _plain() -> dict[str, Any]:
    from django.db import connection

    queries = 0

    def count(execute: Any, *call: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*call)

    with connection.execute_wrapper(count):
        ended = _refresh()
    _demand(ended == {"state": "succeeded", "fetched": GROWTH_CHANGED}, str(ended))
    return {"queries": queries}


def _cost() -> dict[str, Any]:
    """Return how many rows of the tables were read since they were filled, by an index or without."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
        )
        return {"rows": cursor.fetchone()[0]}


_SESSIONS: Final = """
INSERT INTO complycube_sessions_workflowsession (
    id, account, environment, client_id, entity_name, status, outcome, workflow_template_id,
    workflow_template_name, workflow_template_description, workflow_id, workflow_version,
    workflow_description, compliance_policies, policy_assurance, tasks, last_completed_task_id,
    created_at, completed_at, updated_at, raw, first_seen_at, fetched_at, needs_review, announced_outcome)
SELECT lpad(to_hex(n), 24, '0'), 'default', 'test', 'c' || lpad(to_hex(n), 23, '0'), 'Person Number' || n,
    'complete', w, '68566be2a37a78622f4f7be3', 'AML + Document', '', '68566be3a37a78622f4f7be7', 1, '',
    '[]', '[]', '[]', '', t, t + interval '1 minute', t + interval '1 minute', '{}', now(), now(),
    w <> 'clear', w
FROM (SELECT n, CASE WHEN n %% 20 = 0 THEN 'attention' ELSE 'clear' END AS w,
    %(newest)s::timestamptz - (%(size)s - 1 - n) * interval '1 minute' AS t
    FROM generate_series(0, %(size)s - 1) AS n) AS numbers
"""
_CHECKS: Final = """
INSERT INTO complycube_sessions_relatedcheck (
    session_id, check_id, type, task_id, position, status, outcome, result, created_at, updated_at, fetched_at,
    document_id, raw, result_fetched_at)
SELECT id, '0000' || right(id, 20), 'document_check', 'task_0', 0, 'complete', outcome,
    jsonb_build_object('outcome', outcome, 'breakdown', jsonb_build_object()), created_at, updated_at, now(), '', '{}', now()
FROM complycube_sessions_workflowsession
"""
_RUN: Final = """
INSERT INTO complycube_sessions_refreshrun (
    account, environment, mode, state, started_at, finished_at, watermark, errors, error_count,
    listed, fetched, created, updated, unchanged, missing, failed, kept_out, remaining, still_due, requests)
VALUES ('default', 'test', 'full', 'succeeded', now() - interval '1 hour', now() - interval '1 hour',
    now() - interval '1 hour', '{}', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""
ROLES: Final = {
    "list": _list,
    "chunks": _chunks,
    "release": _release,
    "count": _count,
    "refresh": _refresh,
    "full": _full,
    "erase": _erase_clients,
    "rows": _rows,
    "reset": _reset,
    "plain": _plain,
    "cost": _cost,
}


def _work_as_told() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("arguments", nargs="*")
    arguments = parser.parse_args()
    _work(arguments.role, arguments.arguments)


if __name__ == "__main__":
    _work_as_told() if harness.is_worker() else main()
