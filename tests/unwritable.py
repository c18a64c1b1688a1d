"""A database that takes no write for a while, as from another writer, on a replica or in a failover."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection

TAKES_NO_WRITE = {
    "sqlite": ("BEGIN IMMEDIATE", "ROLLBACK"),
    "postgresql": (
        "SET default_transaction_read_only = on",
        "SET default_transaction_read_only = off",
    ),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE"),
}


@contextmanager
def unwritable() -> Iterator[None]:
    """Let another connection hold SQLite's only place of a writer; make a session of a server read-only."""
    on, off = TAKES_NO_WRITE[connection.vendor]

    def run(statement: str) -> None:
        connection.cursor().execute(statement)

    with ThreadPoolExecutor(max_workers=1) as another:
        is_another = connection.vendor == "sqlite"
        say = (lambda text: another.submit(run, text).result()) if is_another else run
        say(on)
        try:
            yield
        finally:
            say(off)
            if is_another:  # Django leaves a database in memory open, which Python 3.13 warns of
                another.submit(lambda: connection.connection.close()).result()
