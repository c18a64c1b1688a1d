"""What the services need of a database beyond the ORM: its clock, its faults, one wide upsert."""

from __future__ import annotations

import gc
import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Final, TypeAlias, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, InterfaceError, connections, models, router, transaction
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.functions import Now
from django.utils import timezone

from complycube_sessions.models import WorkflowSession

TRIES: Final = 8
FIRST_WAIT_SECONDS: Final = 0.02
# PostgreSQL: deadlock, serialization failure, lock not available. MySQL: lock wait timeout, deadlock.
_TRANSIENT_STATES: Final = frozenset({"40P01", "40001", "55P03"})
_TRANSIENT_NUMBERS: Final = frozenset({1205, 1213, 1020})

# MySQL and MariaDB: read_only is on; the transaction is read-only; innodb_read_only.
_READ_ONLY_NUMBERS: Final = frozenset({1290, 1792, 1836, 1874})

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_DONE: Final = (models.JSONField, models.DateTimeField)
_decode: Final = json.JSONDecoder().raw_decode
_EMPTY_JSON: Final[dict[Any, str]] = {list: "[]", dict: "{}"}

_give_up_at: ContextVar[float] = ContextVar("give_up_at", default=float("inf"))

AnyField: TypeAlias = "models.Field[Any, Any]"
Row = TypeVar("Row", bound=models.Model)
Result = TypeVar("Result")
View = TypeVar("View", bound=Callable[..., Any])


class DatabaseNow(Now):
    """The database's own clock in UTC; ``Now`` is local time on MySQL and MariaDB."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


def write_alias() -> str:
    """Return the database that holds the mirrored rows, by the project's routers."""
    return router.db_for_write(WorkflowSession)


def outside_transactions(view: View) -> View:
    """Keep a view out of ``ATOMIC_REQUESTS`` on every database: it waits for the API, or stores for good."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


class OpenTransactionError(RuntimeError):
    """A transaction is open around something that waits for the API, or has to be stored for good."""


def is_durable(alias: str) -> bool:
    """Return whether what is stored now is stored for good, by Django's own rule for ``durable``."""
    blocks = _open_blocks(alias)
    return not blocks or _is_of_a_test_case(blocks[-1])


def beside_transactions(work: Callable[[], Result], *, alias: str) -> Result:
    """
    Return what ``work`` returns, which a transaction that is open here neither holds up nor undoes.

    A middleware of the host may have opened one around the request. Then the work is done in a thread, whose
    connections are its own. Two cases are left inside of it: SQLite, where the open transaction would keep
    such a connection from writing, and a transaction inside of a test's, where all is undone in the end.
    """
    is_tested = any(map(_is_of_a_test_case, _open_blocks(alias)))
    if is_durable(alias) or is_tested or connections[alias].vendor == "sqlite":
        return work()

    def work_and_close() -> Result:
        try:
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
    """Return the time of the database's clock, the only one that several machines share."""
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
    """Let nothing within be begun again once so much time has passed: somebody waits for the answer."""
    token = _give_up_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _give_up_at.reset(token)


def retry_transient(work: Callable[[], Result], *, alias: str) -> Result:
    """
    Return what ``work`` returns; begin again after a deadlock or SQLite's "locked".

    Args:
        work: One whole transaction, with no effect when it fails.
        alias: The database, whose lost connection is closed, so that the next use opens another.
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
    """Return whether the same transaction may well succeed when it is begun again."""
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _TRANSIENT_STATES:
        return True
    if error.args and error.args[0] in _TRANSIENT_NUMBERS:
        return True
    return "database is locked" in str(error) or "database table is locked" in str(error)


def is_read_only(error: BaseException) -> bool:
    """Return whether the database takes no writes: a replica, or the old primary after a failover."""
    if getattr(error.__cause__, "sqlstate", None) == "25006":
        return True
    if error.args and error.args[0] in _READ_ONLY_NUMBERS:
        return True
    return "readonly database" in str(error)


def fault_of(error: BaseException) -> str:
    """Return what an operator is to know of a database's error, whose own words may quote a row."""
    name = type(error.__cause__ or error).__name__
    if is_read_only(error):
        return (
            f"The database takes no writes ({name}): it is a replica, or a failover is under way. Nothing "
            "was changed; run this where the primary is."
        )
    return f"The database failed ({name}). What was done is whole; run this again for the rest."


def is_connected(alias: str) -> bool:
    """Return whether the database can be reached, with a fresh connection where the old one is lost."""
    connection = connections[alias]
    if connection.connection is not None and not connection.is_usable():
        connection.close()
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        return False
    return True


@contextmanager
def no_collections() -> Iterator[None]:
    """
    Keep Python from looking for garbage while thousands of rows are read, none of which can be garbage.

    It looks each time that so many objects were made, a sixth of the time that a batch takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_plain(rows: QuerySet[Row]) -> Iterator[Row]:
    """
    Yield the rows of a queryset without the signals of a new instance.

    Those, the constructor and Django's converters of each value cost several times what the row costs.
    Annotations are what the driver returns.

    Args:
        rows: Of a model whose columns are text, whole numbers, truths, times and documents.
    """
    fields = rows.model._meta.concrete_fields
    names = [*(field.attname for field in fields), *rows.query.annotations]
    connection = connections[rows.db]
    readers = list(_readers(fields, connection))
    try:
        sql, parameters = rows.values_list(*names).query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found = cursor.fetchall()
    for values in found:
        columns = dict(zip(names, values, strict=True))
        for name, read in readers:
            if columns[name] is not None:
                columns[name] = read(columns[name])
        yield plain(rows.model, columns, rows.db)


def _readers(
    fields: Iterable[AnyField], connection: Any
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yield what makes a value of what the driver returns, for the columns that need it."""
    is_typed = connection.vendor == "postgresql"
    zone = connection.timezone
    aware = _as_utc if zone is UTC else partial(timezone.make_aware, timezone=zone)
    for field in fields:
        if isinstance(field, models.JSONField):
            yield field.attname, _read_json
        elif isinstance(field, models.DateTimeField) and not is_typed and zone is not None:
            yield field.attname, aware
        elif isinstance(field, models.BooleanField) and not is_typed:
            yield field.attname, bool


def _read_json(text: str) -> Any:
    """Return the value of JSON that Django wrote; many a column holds an empty list or object."""
    return [] if text == "[]" else {} if text == "{}" else _decode(text)[0]


def _as_utc(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC)


def plain(
    model: type[Row],
    columns: Mapping[str, Any] | Iterable[tuple[str, Any]],
    alias: str | None = None,
) -> Row:
    """
    Return an instance that was not constructed, which costs several times as much.

    Args:
        model: Its model.
        columns: The values of all of its columns.
        alias: The database that it was read from; None for a row that is yet to be inserted.
    """
    row = model.__new__(model)
    vars(row).update(columns)
    row._state = ModelState()
    row._state.adding, row._state.db = alias is None, alias
    return row


def upsert(
    rows: Sequence[models.Model],
    *,
    alias: str,
    unique: Sequence[str] = (),
    update: Sequence[str] = (),
    shares: int | None = None,
) -> None:
    """
    Insert rows, or update the named fields of those that exist, in one statement.

    ``bulk_create`` would split the batch at 999 parameters on SQLite in Django 5.2, cannot lock a row
    that exists without changing it on MySQL, and costs several times as much for each row.

    Args:
        rows: Instances of one model.
        alias: The database.
        unique: The fields of the unique constraint that finds a row that exists; none: insert only.
        update: The fields to update there; none: leave it as it is (MySQL locks it all the same).
        shares: An advisory lock of PostgreSQL that the same statement shares; nothing elsewhere.
    """
    if not rows:
        return
    connection = connections[alias]
    meta = type(rows[0])._meta
    fields = [field for field in meta.concrete_fields if not isinstance(field, models.AutoField)]
    quote = connection.ops.quote_name
    table = quote(meta.db_table)
    columns = {field.name: quote(str(field.column)) for field in fields}
    names = ", ".join(columns.values())
    insert = f"INSERT INTO {table} ({names}) "
    conflict = _on_conflict(
        connection.vendor, [columns[name] for name in unique], [columns[name] for name in update]
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One parameter, whose types the table itself tells: to take thousands of parameters apart
            # costs the driver and the planner several times what the rows cost.
            source = f"SELECT {names} FROM json_populate_recordset(NULL::{table}, %s::json)"  # noqa: S608 - our own names
            parameters: tuple[Any, ...] = (_as_json(rows, fields),)
            if shares is not None:
                source += ", pg_advisory_xact_lock_shared(%s)"
                parameters = (*parameters, shares)
            cursor.execute(insert + source + conflict, parameters)
            return
        for part in _parts(rows, len(fields), connection):
            values = tuple(chain.from_iterable(_prepared(part, fields, connection)))
            cursor.execute(insert + _values_list(part, fields) + conflict, values)


def rewrite(
    rows: Sequence[models.Model], *, alias: str, unique: Sequence[str], update: Sequence[str]
) -> None:
    """
    Update the named fields of rows that are known to exist, in one statement.

    It neither prepares nor checks the other columns, and leaves their indexes alone.

    Args:
        rows: Instances of one model.
        alias: The database.
        unique: The fields that find a row.
        update: The fields to update.
    """
    if not rows:
        return
    connection = connections[alias]
    if not _joins_values(connection):
        upsert(rows, alias=alias, unique=unique, update=update)
        return
    meta = type(rows[0])._meta
    by_name = {field.name: field for field in meta.concrete_fields}
    fields = [by_name[name] for name in (*update, *unique)]
    quote = connection.ops.quote_name
    table, columns = quote(meta.db_table), [quote(str(field.column)) for field in fields]
    values = ", ".join(f"{column} = told.{column}" for column in columns[: len(update)])
    match = " AND ".join(f"{table}.{column} = told.{column}" for column in columns[len(update) :])
    statement = f"UPDATE {table} SET {values} FROM %s WHERE {match}"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            source = f"json_populate_recordset(NULL::{table}, %s::json) told"
            cursor.execute(statement % source, (_as_json(rows, fields),))
            return
        told = f"WITH told({', '.join(columns)}) AS "
        for part in _parts(rows, len(fields), connection):
            parameters = tuple(chain.from_iterable(_prepared(part, fields, connection)))
            cursor.execute(f"{told}({_values_list(part, fields)}) {statement % 'told'}", parameters)


def _joins_values(connection: Any) -> bool:
    """Return whether an UPDATE can join a list of rows; MySQL and SQLite before 3.33 cannot."""
    if connection.vendor == "sqlite":
        return bool(connection.Database.sqlite_version_info >= (3, 33))
    return bool(connection.vendor == "postgresql")


def _parts(rows: Sequence[Row], columns: int, connection: Any) -> Iterator[Sequence[Row]]:
    """
    Yield the rows in as many parts as there must be statements: one, but for the limits of SQLite.

    Never ``executemany``: whoever wraps cursors, as debug toolbars do, may take its list of rows for
    the parameters of one.
    """
    size = len(rows)
    if connection.vendor == "sqlite":
        limit = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        size = max(1, limit // columns)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _values_list(rows: Sequence[models.Model], fields: Sequence[AnyField]) -> str:
    marks = f"({', '.join(['%s'] * len(fields))})"
    return "VALUES " + ", ".join([marks] * len(rows))


def _as_json(rows: Sequence[models.Model], fields: Sequence[AnyField]) -> str:
    names = [(str(field.column), field.attname) for field in fields]
    values = (vars(row) for row in rows)
    return json.dumps(
        [{column: row[attname] for column, attname in names} for row in values],
        default=lambda day_or_time: day_or_time.isoformat(),
    )


def _prepared(
    rows: Sequence[models.Model], fields: Sequence[AnyField], connection: Any
) -> Iterator[list[Any]]:
    """Yield the values of each row for the driver; most already are what it takes, and times repeat."""
    names = [field.attname for field in fields]
    documents = [(i, f) for i, f in enumerate(fields) if isinstance(f, models.JSONField)]
    moments = [i for i, field in enumerate(fields) if isinstance(field, models.DateTimeField)]
    times: dict[datetime | None, Any] = {None: None}
    for row in rows:
        columns = vars(row)
        values = [columns[name] for name in names]
        for place, field in documents:
            values[place] = _prepared_json(values[place], field, connection)
        for place in moments:
            if (value := values[place]) not in times:
                times[value] = _prepared_time(value, connection)
            values[place] = times[value]
        if not _PLAIN.issuperset(map(type, values)):
            for place, value in enumerate(values):
                if type(value) not in _PLAIN and not isinstance(fields[place], _DONE):
                    values[place] = fields[place].get_db_prep_save(value, connection)
        yield values


def _prepared_time(value: datetime, connection: Any) -> Any:
    """Return a time for the driver; all that comes from the API is in UTC, as databases are by default."""
    if value.tzinfo is UTC is connection.timezone:
        return str(value.replace(tzinfo=None))
    return connection.ops.adapt_datetimefield_value(value)


def _prepared_json(value: Any, field: models.JSONField[Any, Any], connection: Any) -> Any:
    """Return JSON for the driver; many a field of a row is empty, and that costs as much as any value."""
    if value is None:
        return None
    if value or type(value) not in _EMPTY_JSON:
        return connection.ops.adapt_json_value(value, field.encoder)
    return _EMPTY_JSON[type(value)]


def _on_conflict(vendor: str, unique: Sequence[str], update: Sequence[str]) -> str:
    if not unique:
        return ""
    if vendor == "mysql":
        # Without a conflict target; an assignment of a column to itself locks the row, no more.
        assigned = [f"{c} = VALUES({c})" for c in update] or [f"{unique[0]} = {unique[0]}"]
        return f" ON DUPLICATE KEY UPDATE {', '.join(assigned)}"
    action = ", ".join(f"{column} = excluded.{column}" for column in update)
    action = f"UPDATE SET {action}" if action else "NOTHING"
    return f" ON CONFLICT ({', '.join(unique)}) DO {action}"
