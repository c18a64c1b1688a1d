"""Real workers on real brokers: several processes, one inbox, one key."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fake_api import FakeAPI, served

pytestmark = pytest.mark.engines

ROOT = Path(__file__).parent.parent.parent
POSTGRES = os.environ.get("POSTGRES_URL", "postgres://postgres:postgres@127.0.0.1:5432/postgres")
BROKERS = {
    "rabbitmq": os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "redis": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9"),
}
WORKERS = 4
SECONDS = 90


def need(condition: bool, reason: str) -> None:
    """Skip a test for a reason, or fail where the services are required."""
    if condition:
        return
    if os.environ.get("COMPLYCUBE_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def need_service(url: str) -> None:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
    except OSError:
        need(False, f"{parts.scheme} does not answer on {parts.hostname}:{parts.port}")


def need_package(name: str) -> None:
    need(importlib.util.find_spec(name) is not None, f"{name} is not installed")


@pytest.fixture
def database() -> Iterator[str]:
    """Make a PostgreSQL database of the test's own, and drop it."""
    need_service(POSTGRES)
    need_package("psycopg")
    import psycopg

    name = f"ccs_engines_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Site:
    """A site with a database and workers of its own, all of them processes."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.task_queues.settings",
            "PYTHONPATH": str(ROOT),
            **environment,
        }

    def run(self, code: str) -> str:
        """Run code in the site and return what it printed."""
        prelude = "import django; django.setup()\n"
        done = subprocess.run(
            [sys.executable, "-c", prelude + code],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_for(self, query: str) -> None:
        """Wait until a query of the models returns nothing."""
        code = (
            "import time\nfrom complycube_sessions.models import *\n"
            f"end = time.monotonic() + {SECONDS - 10}\n"
            f"while (left := {query}) and time.monotonic() < end: time.sleep(0.1)\n"
            "print(left)"
        )
        assert self.run(code) == "0"


@contextmanager
def workers(start: Callable[[int], subprocess.Popen[bytes]]) -> Iterator[list[Any]]:
    running = [start(number) for number in range(WORKERS)]
    try:
        yield running
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


STORE = """
from complycube_sessions.webhooks.receive import EventPayload, store_event
def store(number, session_id):
    return store_event("default", EventPayload(
        f"evt{number}", "workflow.session.completed", session_id, "", "", "", None))
"""
MIGRATE = "from django.core.management import call_command\ncall_command('migrate', verbosity=0)"
WAITING = "WebhookEvent.objects.filter(processed_at=None).count()"


@pytest.fixture(params=["tasks", "rabbitmq", "redis"])
def engine(request: pytest.FixtureRequest, database: str) -> Iterator[Any]:
    """Yield a site, the fake API, the code that enqueues, and what starts a worker."""
    name: str = request.param
    api = FakeAPI()
    with served(api) as url:
        environment = {"DATABASE_URL": database, "ENGINE_API": url, "ENGINE": name}
        own = tasks_engine() if name == "tasks" else celery_engine(environment, name)
        site = Site(environment)
        site.run(MIGRATE)

        yield site, api, own.enqueue, own.starter(site)
        if name != "tasks":
            delete_queue(site)


@dataclass(frozen=True)
class Engine:
    """How to give an engine a task, and the command of its worker."""

    enqueue: str
    command: tuple[str, ...]
    is_named: bool = False

    def starter(self, site: Site) -> Callable[[int], subprocess.Popen[bytes]]:
        def start(number: int) -> subprocess.Popen[bytes]:
            # A worker that a killed run has left behind would keep a name that is used again.
            name = f"w{number}-{site.environment.get('ENGINE_QUEUE')}@%h"
            return site.start(*self.command, *(("-n", name) if self.is_named else ()))

        return start


def tasks_engine() -> Engine:
    need_package("django_tasks_db")
    return Engine(
        "from complycube_sessions.tasks import *\ndef send(t, *a): t.enqueue(*a)\n",
        ("django", "db_worker", "--interval", "0.1", "--no-startup-delay"),
    )


def celery_engine(environment: dict[str, str], broker: str) -> Engine:
    need_package("celery")
    need_service(BROKERS[broker])
    environment["ENGINE_BROKER"] = BROKERS[broker]
    environment["ENGINE_QUEUE"] = f"ccs-{uuid.uuid4().hex[:12]}"
    options = ("-P", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat")
    return Engine(
        "import tests.task_queues.celery_app\n"
        "from complycube_sessions.contrib.celery import *\ndef send(t, *a): t.delay(*a)\n",
        ("celery", "-A", "tests.task_queues.celery_app", "worker", *options),
        is_named=True,
    )


def delete_queue(site: Site) -> None:
    queue = site.environment["ENGINE_QUEUE"]
    site.run(
        "from tests.task_queues.celery_app import app\n"
        f"with app.connection_for_write() as c: c.default_channel.queue_delete('{queue}')"
    )


def test_engine__events_of_a_burst(engine: Any) -> None:
    """Four workers process each session once or a little more, and the copy equals the source."""
    site, api, enqueue, start = engine
    ids = [api.add_session(number) for number in range(20)]
    code = f"for n in range(60): send(process_webhook_event, store(n, {ids!r}[n % 20]))"
    site.run(enqueue + STORE + code)
    with workers(start):
        site.wait_for(WAITING)
    stored = site.run(
        "from complycube_sessions.models import *\nprint(sorted(WorkflowSession.objects.values_list('pk', flat=True)))"
    )
    assert stored == repr(sorted(ids))
    assert api.count("/workflowSessions/") <= 40


def test_engine__killed_workers_lose_nothing(engine: Any) -> None:
    """What workers held when they were killed is processed by others when its time is over."""
    site, api, enqueue, start = engine
    api.latency_seconds = 0.1
    ids = [api.add_session(number) for number in range(30)]
    code = f"for n in range(30): send(process_webhook_event, store(n, {ids!r}[n]))"
    site.run(enqueue + STORE + code)
    with workers(start) as running:
        deadline = time.monotonic() + SECONDS
        while api.count("/workflowSessions/") < 8 and time.monotonic() < deadline:
            time.sleep(0.01)  # until they are in the middle of it
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
    # The time of a lease passes.
    site.run(
        "from complycube_sessions.models import *\n"
        "WebhookEvent.objects.update(next_try_at=None)\n"
        "from django.core.management import call_command\ncall_command('process_webhook_events')"
    )
    left = site.run(f"from complycube_sessions.models import *\nprint({WAITING})")
    count = site.run(
        "from complycube_sessions.models import *\nprint(WorkflowSession.objects.count())"
    )
    assert (left, count) == ("0", "30")


HAND_OUT = "from complycube_sessions import services\nservices.refresh_sessions(hand_out=True)\n"
CHUNK_RATE, CHUNK_SESSIONS = 20, 400
# They measure how much of a budget is used, so that no two of them may compete for the processors.
ALONE = pytest.mark.xdist_group("budget")


def prepare_chunks(site: Site, api: FakeAPI) -> list[float]:
    """Let the API count at the vendor's limit, and return when its requests come."""
    site.environment["ENGINE_RATE"] = str(CHUNK_RATE)
    api.limit_per_second = CHUNK_RATE * 10 // 8  # as the default of a live key is to the vendor's
    api.latency_seconds = 0.05
    for number in range(CHUNK_SESSIONS):
        api.add_session(number, checks=0)
    stamps: list[float] = []
    answer = api.answer

    def stamped(target: str, headers: Any) -> Any:
        stamps.append(time.monotonic())
        return answer(target, headers)

    api.answer = stamped  # type: ignore[method-assign]
    return stamps


def check_budget(api: FakeAPI, stamps: list[float]) -> None:
    """Assert that there was no 429, and nine tenths of the budget were used while all had work."""
    assert api.refused_for_rate == 0
    stamps.sort()
    # From when all workers are up to when the first one runs out of work.
    middle = stamps[len(stamps) // 5 : -len(stamps) // 5]
    used = (len(middle) - 1) / (middle[-1] - middle[0]) / CHUNK_RATE
    print(f"{used:.1%} of {CHUNK_RATE} requests a second, {len(stamps)} requests, no 429")  # noqa: T201
    assert used >= 0.9


@ALONE
def test_engine__chunks_share_one_key(engine: Any) -> None:
    """Four workers with one key draw no 429 from a server that counts, and use nine tenths of the budget."""
    site, api, enqueue, start = engine
    stamps = prepare_chunks(site, api)
    site.run(enqueue + HAND_OUT + "for _ in range(4): send(refresh_chunk, 'default')")
    stamps.clear()
    with workers(start):
        site.wait_for("PendingRefresh.objects.count()")
    check_budget(api, stamps)


@ALONE
@pytest.mark.parametrize("broker", ["rabbitmq", "redis"])
def test_two_engines__share_one_key(database: str, broker: str) -> None:
    """Two workers of django-tasks-db and two of Celery at the same time share the key as well."""
    api = FakeAPI()
    with served(api) as url:
        environment = {"DATABASE_URL": database, "ENGINE_API": url, "ENGINE": "tasks"}
        engines = [tasks_engine(), celery_engine(environment, broker)]
        site = Site(environment)
        site.run(MIGRATE)
        stamps = prepare_chunks(site, api)
        site.run(HAND_OUT)
        for one in engines:
            site.run(one.enqueue + "for _ in range(2): send(refresh_chunk, 'default')")
        stamps.clear()
        starters = [one.starter(site) for one in engines]
        with workers(lambda number: starters[number % 2](number)):
            site.wait_for("PendingRefresh.objects.count()")
        delete_queue(site)
    check_budget(api, stamps)
