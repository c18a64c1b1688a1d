"""
Accepting events: 2,000 at 200 a second, a tenth repeated, all shuffled, by the demo site under gunicorn.

Two workers on PostgreSQL, which are killed with SIGKILL in the middle of a second round. Beside it, in
the same run, a bare view that verifies a signature and inserts one row.

Run: python -m benchmarks.webhooks   (needs gunicorn and psycopg; POSTGRES_URL as in the tests)
"""

from __future__ import annotations

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("POSTGRES_URL", "postgres://postgres:postgres@127.0.0.1:5432/postgres")
SECRET = "a-secret-of-the-benchmark"  # noqa: S105 - opens nothing
EVENTS, RATE, WARM_UP, CLIENTS, KILLS = 2000, 200, 200, 16, 2
PATH, BARE_PATH = "/complycube/webhook/default/", "/bare/"
TABLE = "complycube_sessions_webhookevent"


def bodies(prefix: str, distinct: int, repeated: int) -> list[tuple[str, bytes]]:
    """Return signed bodies by id, of which some come twice, in random order."""
    ids = [f"{prefix}{number}" for number in range(distinct)]
    order = ids + random.sample(ids, repeated)
    random.shuffle(order)
    return [(i, json.dumps(event(i)).encode()) for i in order]


def event(event_id: str) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": "workflow.session.completed",
        "resourceType": "workflowSession",
        "payload": {"id": hashlib.sha256(event_id.encode()).hexdigest()[:24]},
        "createdAt": "2026-01-05T10:00:09.300Z",
    }


def send(port: int, path: str, item: tuple[str, bytes], at: float) -> tuple[str, int, float]:
    """Send one event at its time on a connection of its own; return id, status and seconds."""
    time.sleep(max(0.0, at - time.perf_counter()))
    event_id, body = item
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        headers = {"Content-Type": "application/json", "ComplyCube-Signature": signature}
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        status = 0
    finally:
        connection.close()
    return event_id, status, time.perf_counter() - began


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


def environment(database: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "benchmarks.webhook_settings",
        "COMPLYCUBE_WEBHOOK_SECRET": SECRET,
        "SECRET_KEY": "benchmark",
        "PYTHONPATH": str(ROOT),
    }


def main() -> None:
    name = f"ccs_bench_{uuid.uuid4().hex[:12]}"
    database = urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            measure(database, port)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measure(database: str, port: int) -> None:
    env = environment(database)
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "-v0"], env=env, cwd=ROOT, check=True
    )
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE bare (id serial PRIMARY KEY, body text)")
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}"]
    command += ["--log-level", "critical", "benchmarks.webhook_settings:application"]
    server = subprocess.Popen(command, env=env, cwd=ROOT)  # noqa: S603 - our own command
    try:
        wait_until_up(port)
        for path, label in ((BARE_PATH, "bare view"), (PATH, "receiver")):
            round_of(port, path, bodies(f"warm{label}", WARM_UP, 0))
            items = bodies(label, EVENTS * 9 // 10, EVENTS // 10)
            answers = round_of(port, path, items)
            figures(label, answers)
        stored = count(database, "receiver%")
        print(f"receiver: {stored} rows of {EVENTS * 9 // 10} distinct ids")
        kill_in_the_middle(database, port, server)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def kill_in_the_middle(database: str, port: int, server: subprocess.Popen[bytes]) -> None:
    items = bodies("killed", EVENTS // 2, 0)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(round_of, port, PATH, items)
        kills = 0
        while not job.done() and kills < KILLS:
            time.sleep(2)
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            for child in children[:1]:
                os.kill(int(child), signal.SIGKILL)
                kills += 1
        answers = job.result()
    acknowledged = {event_id for event_id, status, _ in answers if status == 200}
    with psycopg.connect(database) as connection:
        rows = connection.execute(f"SELECT event_id FROM {TABLE} WHERE event_id LIKE 'killed%'")  # noqa: S608 - our own name
        found = {row[0] for row in rows}
    lost = acknowledged - found
    print(
        f"SIGKILL of {kills} workers: {len(acknowledged)} of {len(items)} acknowledged, {len(lost)} lost"
    )


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
