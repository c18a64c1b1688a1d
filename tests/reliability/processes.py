"""Real processes on databases of their own, for what no thread of a test can show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
import pytest
from django.core.management import call_command
from django.db import connections
from django.db.utils import DatabaseError

from complycube_sessions import models

NO_TIME = timedelta()
ROOT = Path(__file__).resolve().parents[2]
SERVERS = {
    "postgresql": os.environ.get("POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql"),
}


@dataclass(frozen=True)
class OwnDatabase:
    """A migrated database that belongs to one test; ``alias`` reads it from the test's process."""

    alias: str
    url: str

    def environment(
        self, base_url: str, requests_per_second: float, ahead: timedelta = NO_TIME
    ) -> dict[str, str]:
        clock = {"LD_PRELOAD": faketime(), "FAKETIME": f"+{ahead.total_seconds():.0f}s"}
        return {
            **os.environ,
            **(clock if ahead else {}),
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.reliability.process_settings",
            "DATABASE_URL": self.url,
            "BASE_URL": base_url,
            "REQUESTS_PER_SECOND": str(requests_per_second),
        }

    def start(
        self,
        base_url: str,
        *arguments: str,
        rate: float = 10_000,
        module: str = "django",
        ahead: timedelta = NO_TIME,
    ) -> subprocess.Popen[str]:
        """
        Start a Python module on this database, by default Django's own command line.

        Its clock, which for SQLite is the database's too, runs ahead by that much.
        """
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.environment(base_url, rate, ahead),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # It is ignored where the tests themselves are a background job of a shell.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def refresh(
        self, base_url: str, *arguments: str, rate: float = 10_000, ahead: timedelta = NO_TIME
    ) -> subprocess.Popen[str]:
        command = ("refresh_workflow_sessions", "--no-progress", *arguments)
        return self.start(base_url, *command, rate=rate, ahead=ahead)

    def expire_lease(self) -> None:
        """Do what fifteen seconds of waiting would do."""
        leases = models.RefreshLease.objects.using(self.alias).exclude(expires_at=None)
        long_ago = models.RefreshRun.objects.using(self.alias).order_by("pk")[0].started_at
        leases.update(expires_at=long_ago)


def faketime() -> str:
    """Return the path of the library that gives a process a clock of its own, as Debian installs it."""
    for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return str(path)
    _is_lacking("the package faketime is not installed")
    return ""


@contextmanager
def own_database(kind: str, folder: Path) -> Iterator[OwnDatabase]:
    """
    Create and migrate a database and drop it in the end.

    Where no server answers the test is skipped, or fails if ``COMPLYCUBE_REQUIRE_DATABASES`` is set.
    """
    name = f"complycube_{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        url = f"sqlite:///{folder / name}.sqlite3"
        with connected(name, url):
            yield OwnDatabase(name, url)
        return
    server = SERVERS[kind]
    with connected(f"{name}_server", server) as alias:
        try:
            connections[alias].ensure_connection()
        except DatabaseError as error:
            _without_server(kind, error)
        with connections[alias].cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            url = f"{server.rpartition('/')[0]}/{name}"
            with connected(name, url):
                yield OwnDatabase(name, url)
        finally:
            with connections[alias].cursor() as cursor:
                forced = " WITH (FORCE)" if kind == "postgresql" else ""
                cursor.execute(f"DROP DATABASE {name}{forced}")


@contextmanager
def connected(alias: str, url: str) -> Iterator[str]:
    """Know a database under an alias, migrated unless it is a server's own, and forget it again."""
    configured: dict[str, Any] = connections.configure_settings(
        {"default": environ.Env.db_url_config(url)}
    )
    connections.settings[alias] = configured["default"]
    try:
        if not alias.endswith("_server"):
            call_command("migrate", "complycube_sessions", database=alias, verbosity=0)
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


def _without_server(kind: str, error: DatabaseError) -> None:
    _is_lacking(f"no {kind} server answers at {SERVERS[kind]} ({type(error).__name__})")


def _is_lacking(reason: str) -> None:
    if os.environ.get("COMPLYCUBE_REQUIRE_DATABASES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
