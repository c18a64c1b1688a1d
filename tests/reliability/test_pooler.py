"""The admin behind PgBouncer in transaction pooling, where no cursor outlives the transaction that opened it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.models import SessionEvidence, WorkflowSession
from tests.admin.builders import make_check, make_session, make_staff
from tests.reliability.conftest import OpenDatabase
from tests.reliability.processes import SERVERS, connected

pytestmark = pytest.mark.databases
AT_ONCE = 24
EACH = 5
CONFIGURATION = """
[databases]
* = host={host} port={server_port} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


class Router:
    """Sends all rows to the pooled database."""

    alias = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read


@pytest.fixture
def pooler(tmp_path: Path) -> Iterator[int]:
    """Start a PgBouncer on a free port and return the port."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("COMPLYCUBE_REQUIRE_DATABASES") == "1":
            pytest.fail("pgbouncer is not installed")
        pytest.skip("pgbouncer is not installed")
    server = urlsplit(SERVERS["postgresql"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    file = tmp_path / "pgbouncer.ini"
    file.write_text(
        CONFIGURATION.format(
            host=server.hostname,
            server_port=server.port or 5432,
            user=server.username,
            password=f"password={server.password}" if server.password else "",
            port=port,
        )
    )
    # It refuses to be root.
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([program, *user, str(file)], stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(process, port)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _wait_for(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"pgbouncer did not start: {process.communicate()[1]}")


@pytest.fixture
def boss(pooler: int, open_database: OpenDatabase, settings: Any) -> Iterator[Client]:
    """Return the browser of an administrator of a copy that is only reached through the pooler."""
    database = open_database("postgresql")
    call_command("migrate", database=database.alias, verbosity=0)
    url = urlsplit(database.url)
    pooled = url._replace(netloc=f"{url.username}@127.0.0.1:{pooler}").geturl()
    with connected(f"{database.alias}_pooled_server", pooled) as alias:
        Router.alias = alias
        settings.DATABASE_ROUTERS = ["tests.reliability.test_pooler.Router"]
        try:
            browser = Client()
            browser.force_login(make_staff(superuser=True))
            now = timezone.now()
            for number in range(200):
                session = make_session(created_at=now - timedelta(hours=7 * number))
                make_check(session)
            yield browser
        finally:
            Router.alias = "default"


def ask_at_once(boss: Client, ask: Callable[[Client], int]) -> list[int]:
    """Ask from many threads at the same time, each with a connection of its own, and return what came."""

    def work(_number: int) -> list[int]:
        browser = Client(raise_request_exception=False)
        browser.cookies = boss.cookies
        try:
            return [ask(browser) for _ in range(EACH)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
        return [status for statuses in threads.map(work, range(AT_ONCE)) for status in statuses]


def page(name: str, *args: str) -> str:
    return reverse(f"admin:complycube_sessions_workflowsession_{name}", args=args)


def test_pages__behind_a_pooler(boss: Client) -> None:
    """The overview, whose days nobody has counted yet, and an export never need a cursor that stays open."""
    told = ask_at_once(boss, lambda browser: browser.get(page("overview")).status_code)
    assert told == [200] * AT_ONCE * EACH

    def export(browser: Client) -> int:
        response: Any = browser.post(page("export"), {"format": "csv"})
        return len(response.getvalue().splitlines())

    assert ask_at_once(boss, export) == [201] * AT_ONCE * EACH


def test_evidence__behind_a_pooler(boss: Client) -> None:
    """Evidence of one session, asked for by many at once, is sent and recorded each time."""
    session_id = WorkflowSession.objects.values_list("pk", flat=True)[0]
    told = ask_at_once(boss, lambda browser: browser.post(page("evidence", session_id)).status_code)
    assert told == [200] * AT_ONCE * EACH
    assert SessionEvidence.objects.count() == AT_ONCE * EACH
