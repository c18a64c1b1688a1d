"""Which database to write to, its open transactions, its clock and its errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connections, router, transaction

from complycube_sessions.db.schemas import current_schemas

TRIES: Final = 8
FIRST_WAIT_SECONDS: Final = 0.02
# PostgreSQL: deadlock, serialization failure, lock not available. MySQL: lock wait timeout, deadlock.
_TRANSIENT_STATES: Final = frozenset({"40P01", "40001", "55P03"})
_TRANSIENT_NUMBERS: Final = frozenset({1205, 1213, 1020})

# MySQL and MariaDB: read_only is on; the transaction is read-only; innodb_read_only.
_READ_ONLY_NUMBERS: Final = frozenset({1290, 1792, 1836, 1874})
_give_up_at: ContextVar[float] = ContextVar("give_up_at", default=float("inf"))
Result = TypeVar("Result")
View = TypeVar("View", bound=Callable[..., Any])


def write_alias() -> str:
    """Return the database that holds the mirrored rows, by the project's routers."""
    return router.db_for_write(apps.get_model("complycube_sessions", "WorkflowSession"))


def budget_alias() -> str:
    """Return the database that holds the budgets of the keys, by the project's routers."""
    return router.db_for_write(apps.get_model("complycube_sessions", "RequestBudget"))


def outside_transactions(view: View) -> View:
    """Exempt a view from ``ATOMIC_REQUESTS`` on every database, as it waits for the API or has to commit."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


class OpenTransactionError(RuntimeError):
    """A transaction is open around code that waits for the API or has to commit."""


def is_durable(alias: str) -> bool:
    """Return whether a transaction begun now would commit at its end, by Django's rule for ``durable``."""
    blocks = _open_blocks(alias)
    return not blocks or _is_of_a_test_case(blocks[-1])


def ensure_no_open_transaction() -> None:
    """Raise a RuntimeError, before any request, if a transaction is open: it would last as long as the request."""
    if not is_durable(write_alias()):
        raise OpenTransactionError(
            "Call it outside of a transaction: it waits for the API and stores in durable transactions."
        )


def beside_transactions(work: Callable[[], Result], *, alias: str) -> Result:
    """
    Run ``work`` outside of a transaction that is open here, and return its result.

    A middleware of the host project may have opened one around the request. Then ``work`` runs in a thread with
    connections of its own, set to the schemas of this thread. It stays inside of the transaction in two cases: on
    SQLite, where the open transaction would block writes of another connection, and inside of a test case, which
    rolls back anyway.
    """
    is_tested = any(map(_is_of_a_test_case, _open_blocks(alias)))
    if is_durable(alias) or is_tested or connections[alias].vendor == "sqlite":
        return work()

    schemas = current_schemas()

    def work_and_close() -> Result:
        try:
            with schemas.in_use():
                return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="complycube") as thread:
        return thread.submit(copy_context().run, work_and_close).result()


def _open_blocks(alias: str) -> list[Any]:
    return list(connections[alias].atomic_blocks)


def _is_of_a_test_case(block: Any) -> bool:
    return bool(block._from_testcase)


def database_now(alias: str) -> datetime:
    """Return the time by the database's clock, which all machines share."""
    connection = connections[alias]
    if connection.vendor == "sqlite":  # it runs in this process, by this machine's clock
        return datetime.now(UTC)
    statement = {
        "postgresql": "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
        "mysql": "SELECT CAST(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000000 AS SIGNED)",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(statement)
        microseconds = int(cursor.fetchone()[0])
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(
        microsecond=microseconds % 1_000_000
    )


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Stop retrying within the block after this time, because someone waits for the response."""
    token = _give_up_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _give_up_at.reset(token)


def retry_transient(work: Callable[[], Result], *, alias: str) -> Result:
    """
    Call ``work`` and return its result; retry it after a deadlock or SQLite's "locked".

    Args:
        work: One whole transaction, which has no effect if it fails.
        alias: The database.
    """
    for attempt in range(TRIES):
        try:
            return work()
        except (DatabaseError, InterfaceError) as error:
            is_over = attempt == TRIES - 1 or time.monotonic() >= _give_up_at.get()
            if is_over or not is_transient(error):
                raise
        wait = FIRST_WAIT_SECONDS * 2**attempt
        time.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter guards nothing
    raise AssertionError("unreachable")


def is_transient(error: BaseException) -> bool:
    """Return whether the same transaction may succeed if it is retried."""
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _TRANSIENT_STATES:
        return True
    if error.args and error.args[0] in _TRANSIENT_NUMBERS:
        return True
    return "database is locked" in str(error) or "database table is locked" in str(error)


def is_read_only(error: BaseException) -> bool:
    """Return whether the database rejects writes: a replica, or the old primary after a failover."""
    if getattr(error.__cause__, "sqlstate", None) == "25006":
        return True
    if error.args and error.args[0] in _READ_ONLY_NUMBERS:
        return True
    return "readonly database" in str(error)


def fault_of(error: BaseException) -> str:
    """Return a message for operators about a database error, without its own message, which may quote a row."""
    name = type(error.__cause__ or error).__name__
    if is_read_only(error):
        return (
            f"The database takes no writes ({name}): it is a replica, or a failover is under way. Nothing "
            "was changed; run this where the primary is."
        )
    return f"The database failed ({name}). What was done is whole; run this again for the rest."


def is_connected(alias: str) -> bool:
    """Return whether the database can be reached, reconnecting if the connection is lost."""
    connection = connections[alias]
    if connection.connection is not None and not connection.is_usable():
        connection.close()
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        return False
    return True
