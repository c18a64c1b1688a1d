"""
Accepting events: 2,000 at 200 a second, a tenth repeated, all shuffled, by the demo site under gunicorn.

Two web processes on PostgreSQL, each event enqueued with django-tasks-db. Beside it, in the same run, a bare
view that verifies a signature and inserts one row. Then task workers work it off, and the copy is compared
with its source. In a second round the source has changed, and web and task workers are killed with SIGKILL
while events come in.

Run: python -m benchmarks.webhooks   (needs gunicorn, psycopg and django-tasks-db; POSTGRES_URL as in the tests)
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg

ENDPOINT = "b6e1a1f0-6f53-4d2f-8f7c-8a1b5c1d2e3f"  # as in webhook_djstripe.py
ROOT = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("POSTGRES_URL", "postgres://postgres:postgres@127.0.0.1:5432/postgres")
SECRET = "a-secret-of-the-benchmark"  # noqa: S105 - opens nothing
EVENTS, RATE, WARM_UP, CLIENTS, KILLS, WORKERS = 2000, 200, 200, 16, 2, 2
SESSIONS = EVENTS * 9 // 10
PATIENCE_SECONDS = 300
PATH, BARE_PATH = "/complycube/webhook/default/", "/bare/"
STRIPE_PATH = f"/stripe/webhook/{ENDPOINT}/"
TABLE = "complycube_sessions_webhookevent"
DIFFERENT = """
SELECT count(*) FROM sandbox_sandboxsession s LEFT JOIN complycube_sessions_workflowsession c ON c.id = s.id
WHERE c.id IS NULL OR c.raw <> s.body::jsonb
"""
UNCHECKED = """
SELECT count(*) FROM sandbox_sandboxcheck s LEFT JOIN complycube_sessions_relatedcheck c ON c.check_id = s.id
WHERE c.id IS NULL OR (c.status, c.outcome) <> (s.status, s.outcome)
"""
# What happens upstream between the rounds: every session is worked on.
CHANGE = """
import json
from datetime import UTC, datetime
from project.sandbox.data import iso
from project.sandbox.models import SandboxSession
now = iso(datetime.now(UTC))
rows = []
for row in SandboxSession.objects.all():
    body = {**json.loads(row.body), "updatedAt": now, "workflowDescription": "Changed upstream"}
    rows.append(SandboxSession.from_body(body))
fields = [field.name for field in SandboxSession._meta.concrete_fields if field.name != "id"]
SandboxSession.objects.bulk_update(rows, fields, batch_size=500)
"""

Item = tuple[str, bytes]


def bodies(prefix: str, sessions: list[str], repeated: int) -> list[Item]:
    """Return a signed body for each session, by the id of the event; some come twice, in random order."""
    ids = {f"{prefix}{number}": session for number, session in enumerate(sessions)}
    order = [*ids, *random.sample(sorted(ids), repeated)]
    random.shuffle(order)
    return [(i, json.dumps(event(i, ids[i])).encode()) for i in order]


def event(event_id: str, session_id: str) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": "workflow.session.completed",
        "resourceType": "workflowSession",
        "payload": {"id": session_id},
        "createdAt": "2026-01-05T10:00:09.300Z",
        "livemode": False,  # dj-stripe wants it
    }


def send(port: int, path: str, item: tuple[str, bytes], at: float) -> tuple[str, int, float]:
    """Send one event at its time on a connection of its own; return id, status and seconds."""
    time.sleep(max(0.0, at - time.perf_counter()))
    event_id, body = item
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        headers = {"Content-Type": "application/json", **signature(path, body)}
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        status = 0
    finally:
        connection.close()
    return event_id, status, time.perf_counter() - began


def signature(path: str, body: bytes) -> dict[str, str]:
    """Return the header that the receiver of this path verifies."""
    if path == STRIPE_PATH:
        now = str(int(time.time()))
        digest = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={now},v1={digest}"}
    return {"ComplyCube-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


def round_of(port: int, path: str, items: list[tuple[str, bytes]]) -> list[tuple[str, int, float]]:
    """Send events at the rate and return what came of each."""
    start = time.perf_counter() + 0.2
    with ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [pool.submit(send, port, path, it, start + n / RATE) for n, it in enumerate(items)]
        return [job.result() for job in jobs]


def figures(name: str, answers: list[tuple[str, int, float]]) -> None:
    cuts = statistics.quantiles([seconds * 1000 for _, _, seconds in answers], n=100)
    bad = sum(status // 100 != 2 for _, status, _ in answers)
    print(
        f"{name}: {len(answers)} events, p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, {bad} not 2xx"
    )


def manage(env: dict[str, str], *arguments: str) -> None:
    """Run a management command of the site to its end."""
    command = [sys.executable, "-m", "django", *arguments]
    subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


def environment(database: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "benchmarks.webhook_settings",
        "COMPLYCUBE_WEBHOOK_SECRET": SECRET,
        "SECRET_KEY": "benchmark",
        "DEMO_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-only", action="store_true", help="nothing after the first round")
    parser.add_argument(
        "--dj-stripe", metavar="PYTHON", help="of a venv with dj-stripe and gunicorn"
    )
    arguments = parser.parse_args()
    if arguments.dj_stripe:
        with new_database() as database:
            measure_djstripe(database, free_port(), arguments.dj_stripe)
    with new_database() as database:
        measure(database, free_port(), latency_only=arguments.latency_only)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def new_database() -> Iterator[str]:
    """Make a database and drop it at the end."""
    name = f"ccs_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measure(database: str, port: int, *, latency_only: bool) -> None:
    env = environment(database, port)
    manage(env, "migrate", "-v0")
    manage(env, "load_sandbox", "--count", str(SESSIONS - 1), "-v0")
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE bare (id serial PRIMARY KEY, body text)")
        rows = connection.execute("SELECT id FROM sandbox_sandboxsession").fetchall()
    sessions = [row[0] for row in rows]
    server = serve(sys.executable, env, port)
    try:
        for path, label in ((BARE_PATH, "bare view"), (PATH, "receiver")):
            latency(port, path, label, sessions)
        stored = count(database, "receiver%")
        print(f"receiver: {stored} rows of {SESSIONS} distinct ids")
        if latency_only:
            return
        with Workers(env) as workers:
            work_off(database, env, "the copy")
            manage(env, "shell", "--verbosity", "0", "--command", CHANGE)
            kill_in_the_middle(database, port, server, workers, sessions)
            work_off(database, env, "the copy after the kills")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def measure_djstripe(database: str, port: int, python: str) -> None:
    env = {
        **environment(database, port),
        "DJANGO_SETTINGS_MODULE": "benchmarks.webhook_djstripe",
    }
    for code in ("call_command('migrate', verbosity=0)", "add_endpoint()"):
        prelude = "import django; django.setup()\nfrom django.core.management import call_command\n"
        prelude += "from benchmarks.webhook_djstripe import add_endpoint\n"
        subprocess.run([python, "-c", prelude + code], env=env, cwd=ROOT, check=True)  # noqa: S603 - our own code
    server = serve(python, env, port)
    try:
        latency(port, STRIPE_PATH, "dj-stripe", [f"s{n}" for n in range(SESSIONS)])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    stored = number(database, "SELECT count(*) FROM djstripe_webhookeventtrigger")
    print(f"dj-stripe: {stored} rows, those of the warm-up among them")


def serve(python: str, env: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    """Start the site of the settings module under gunicorn, with two workers."""
    command = [python, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}"]
    command += ["--log-level", "critical", f"{env['DJANGO_SETTINGS_MODULE']}:application"]
    server = subprocess.Popen(command, env=env, cwd=ROOT)  # noqa: S603 - our own command
    wait_until_up(port)
    return server


def latency(port: int, path: str, label: str, sessions: list[str]) -> None:
    """Warm up, send the events at the rate, and print how long the answers took."""
    round_of(port, path, bodies(f"warm {label}", sessions[:WARM_UP], 0))
    figures(label, round_of(port, path, bodies(label, sessions, EVENTS - SESSIONS)))


class Workers:
    """Task workers that are started again when they die, as a supervisor does."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._running = [self._start() for _ in range(WORKERS)]
        return self

    def __exit__(self, *error: object) -> None:
        self._kill(self._running)

    def kill_all(self) -> None:
        """Kill them with SIGKILL, and start others."""
        self._kill(self._running)
        self._running = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "django", "db_worker", "--interval", "0.1"]
        return subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--no-startup-delay"], env=self._env, cwd=ROOT, stderr=subprocess.DEVNULL
        )

    def _kill(self, workers: list[subprocess.Popen[bytes]]) -> None:
        for worker in workers:
            worker.kill()
            worker.wait()


def work_off(database: str, env: dict[str, str], name: str) -> None:
    """Wait for the workers, and tell whether the copy equals its source."""
    began = time.monotonic()
    deadline = began + PATIENCE_SECONDS
    open_events = f"SELECT count(*) FROM {TABLE} WHERE processed_at IS NULL"  # noqa: S608 - our own name
    while (left := number(database, open_events)) and time.monotonic() < deadline:
        time.sleep(1)
        if (
            time.monotonic() - began > 60
        ):  # a killed task is its engine's loss; the inbox has the event
            manage(env, "process_webhook_events")
    took = time.monotonic() - began
    sessions, checks = number(database, DIFFERENT), number(database, UNCHECKED)
    print(f"{name}: {left} events open after {took:.0f} s")
    print(f"{name}: {sessions} of {SESSIONS} sessions and {checks} checks differ from the source")


def kill_in_the_middle(
    database: str,
    port: int,
    server: subprocess.Popen[bytes],
    workers: Workers,
    sessions: list[str],
) -> None:
    items = bodies("killed", sessions, 0)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(round_of, port, PATH, items)
        kills = 0
        while not job.done() and kills < KILLS:
            time.sleep(3)
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            workers.kill_all()
            kills += 1
        answers = job.result()
    acknowledged = {event_id for event_id, status, _ in answers if status == 200}
    with psycopg.connect(database) as connection:
        rows = connection.execute(f"SELECT event_id FROM {TABLE} WHERE event_id LIKE 'killed%'")  # noqa: S608 - our own name
        found = {row[0] for row in rows}
    lost = acknowledged - found
    print(
        f"SIGKILL of {kills} web and {kills * WORKERS} task workers: {len(acknowledged)} of {len(items)} "
        f"acknowledged, {len(lost)} lost"
    )
    # The vendor sends again what was not acknowledged.
    round_of(port, PATH, [item for item in items if item[0] not in acknowledged])


def number(database: str, query: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    return int(row[0])


def count(database: str, pattern: str) -> int:
    with psycopg.connect(database) as connection:
        query = f"SELECT count(*), count(DISTINCT event_id) FROM {TABLE} WHERE event_id LIKE %s"  # noqa: S608 - our own name
        row = connection.execute(query, [pattern]).fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    assert row[0] == row[1]  # noqa: S101 - each once
    return int(row[0])


def wait_until_up(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("gunicorn did not start.")


if __name__ == "__main__":
    main()
