"""What the benchmarks share: temporary databases, Django in a process of its own, and printing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
# A role that may create databases; the benchmark's own is dropped at the end.
POSTGRES: Final = {
    "HOST": os.environ.get("PGHOST", "127.0.0.1"),
    "PORT": os.environ.get("PGPORT", "5432"),
    "USER": os.environ.get("PGUSER", "root"),
    "PASSWORD": os.environ.get("PGPASSWORD", ""),
}
MYSQL: Final[dict[str, Any]] = {
    "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
    "PORT": int(os.environ.get("MYSQL_PORT", "3306")),
    "USER": os.environ.get("MYSQL_USER", "root"),
    "PASSWORD": os.environ.get("MYSQL_PWD", ""),
}
# As the README of the project advises for SQLite: writers wait, readers never do.
SQLITE_OPTIONS: Final = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
DATABASES: Final = ("sqlite", "postgresql")
_SETTINGS: Final = "COMPLYCUBE_BENCHMARK"

sys.path.insert(0, str(ROOT))


@contextmanager
def temporary_database(vendor: str) -> Iterator[dict[str, Any]]:
    """Create an empty, migrated database and yield its Django settings; drop it at the end."""
    if vendor == "sqlite":
        with tempfile.TemporaryDirectory(prefix="complycube-benchmark-") as folder:
            path = str(Path(folder) / "copy.sqlite3")
            settings = {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": path,
                "OPTIONS": SQLITE_OPTIONS,
            }
            run_worker(Path(__file__), "migrate", database=settings)
            yield settings
        return
    name = f"complycube_benchmark_{os.getpid()}"
    if vendor == "mysql":
        _mysql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            settings = {"ENGINE": "django.db.backends.mysql", "NAME": name, **MYSQL}
            run_worker(Path(__file__), "migrate", database=settings)
            yield settings
        finally:
            _mysql(f"DROP DATABASE IF EXISTS {name}")
        return
    settings = {"ENGINE": "django.db.backends.postgresql", "NAME": name, **POSTGRES}
    _postgres(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    try:
        run_worker(Path(__file__), "migrate", database=settings)
        yield settings
    finally:
        _postgres(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def start_worker(
    script: Path,
    *arguments: object,
    database: dict[str, Any],
    base_url: str = "http://127.0.0.1:9/v1",
    requests_per_second: float = 5000,
    folder: Path | None = None,
    clock_ahead_seconds: int = 0,
) -> subprocess.Popen[str]:
    """
    Start a script as a worker: a process with Django, this database and this server.

    It works, and keeps its temporary files, in ``folder``; its clock is ``clock_ahead_seconds`` wrong.
    """
    settings = {
        "database": database,
        "account": {
            "API_KEY": "test_benchmark",
            "BASE_URL": base_url,
            "REQUESTS_PER_SECOND": requests_per_second,
        },
        "clock_ahead_seconds": clock_ahead_seconds,
    }
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(script.resolve()), *map(str, arguments)],
        env={
            **os.environ,
            _SETTINGS: json.dumps(settings),
            **({"TMPDIR": str(folder), "HOME": str(folder)} if folder else {}),
        },
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


def end_worker(worker: subprocess.Popen[str]) -> Any:
    """Wait for a worker and return the JSON of its last line, if it printed one."""
    output, _ = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"{worker.args!r} failed with exit code {worker.returncode}.")
    lines = output.splitlines()
    return json.loads(lines[-1]) if lines else None


def run_worker(script: Path, *arguments: object, **settings: Any) -> Any:
    """Run a worker to its end and return what it reports."""
    return end_worker(start_worker(script, *arguments, **settings))


def is_worker() -> bool:
    """Return whether this process was started as a worker."""
    return _SETTINGS in os.environ


def setup_django() -> None:
    """Configure Django as the starter of this worker said; the app can be imported after it."""
    import django
    from django.conf import settings

    given = json.loads(os.environ[_SETTINGS])
    settings.configure(
        SECRET_KEY="only-for-benchmarks",  # noqa: S106 - guards nothing
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "complycube_sessions",
        ],
        DATABASES={"default": given["database"]},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        COMPLYCUBE_ACCOUNTS={"default": given["account"]},
    )
    django.setup()
    _set_clock(given["clock_ahead_seconds"])


def _set_clock(seconds_ahead: int) -> None:
    """
    Let this process's clock be wrong.

    The app asks ``timezone.now()`` for the time. ``faketime`` cannot be used: it breaks ``time.sleep`` of
    Python 3.11, which waits until a moment of the monotonic clock.
    """
    from django.utils import timezone

    right = timezone.now
    timezone.now = lambda: right() + timedelta(seconds=seconds_ahead)


def report(value: Any) -> None:
    """Hand a worker's result to its starter."""
    print(json.dumps(value))


def machine() -> str:
    """Return one line on what the figures were measured with."""
    import django

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, "
        f"Python {platform.python_version()}, Django {django.get_version()}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in aligned columns, the first one left, the others right."""
    cells = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        first = row[0].ljust(widths[0])
        others = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print("  ".join([first, *others]))


def verdict(*, met: bool) -> str:
    return "met" if met else "MISSED"


def _postgres(*statements: str) -> None:
    import psycopg

    host, port, user, password = (POSTGRES[key] for key in ("HOST", "PORT", "USER", "PASSWORD"))
    with psycopg.connect(
        host=host, port=port, user=user, password=password, dbname="postgres", autocommit=True
    ) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]  # our own name


def _mysql(statement: str) -> None:
    import MySQLdb

    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    connection = MySQLdb.connect(**{names[key]: value for key, value in MYSQL.items()})
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)  # our own name


def _migrate() -> None:
    from django.core.management import call_command

    setup_django()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    _migrate()
