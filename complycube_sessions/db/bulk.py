"""
Statements over many rows at once: inserting or updating, inserting what is missing, updating.

The app builds this SQL itself because it is faster. Compared with one ``update_or_create`` per row, Django's
``bulk_create`` (with history and guard) was 5.9 times (first run) and 3.7 times (update) as fast on SQLite, and
13.6 and 7.5 times on PostgreSQL. These statements reach 14.5 and 13.2, and 18.3 and 16.3 times
(``benchmarks/storing.py``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from django.db import connections, models

from complycube_sessions.db.batches import chunks
from complycube_sessions.db.rows import AnyField, Row, StoredJSON, build_row, decode

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_DONE: Final = (models.JSONField, models.DateTimeField)
_decode: Final = json.JSONDecoder().raw_decode
_EMPTY_JSON: Final[dict[Any, str]] = {list: "[]", dict: "{}"}


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

    ``bulk_create`` would split the batch at 999 parameters on SQLite in Django 5.2, cannot lock an existing row
    without changing it on MySQL, and costs several times as much for each row.

    Args:
        rows: Instances of one model.
        alias: The database.
        unique: The fields of the unique constraint that identifies an existing row; empty to insert only.
        update: The fields to update in existing rows; empty to leave them unchanged (MySQL locks them anyway).
        shares: On PostgreSQL, an advisory lock that the same statement takes in shared mode.
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
            # A single parameter, typed by the table: thousands of parameters would cost the driver and the
            # planner several times as much as the rows themselves.
            source = f"SELECT {names} FROM json_populate_recordset(NULL::{table}, %s::json)"  # noqa: S608 - our own names
            parameters: tuple[Any, ...] = (_as_json(_records(rows, fields)),)
            if shares is not None:
                source += ", pg_advisory_xact_lock_shared(%s)"
                parameters = (*parameters, shares)
            cursor.execute(insert + source + conflict, parameters)
            return
        for part in _parts(rows, len(fields), connection):
            values = tuple(chain.from_iterable(_prepared(part, fields, connection)))
            cursor.execute(insert + _values_list(part, fields) + conflict, values)


def insert_missing(row: models.Model, keys: Sequence[str], *, alias: str, shares: int) -> None:
    """
    Insert a copy of a row under each primary key that does not exist yet, in one statement.

    Args:
        row: The row to copy; its values are sent once if the database supports that.
        keys: The primary keys, which are text.
        alias: The database. On MySQL and MariaDB existing rows are locked.
        shares: On PostgreSQL, an advisory lock that the same statement takes in shared mode.
    """
    if not keys:
        return
    connection = connections[alias]
    meta = row._meta
    if connection.vendor not in {"sqlite", "postgresql"}:
        common, name = vars(row), meta.pk.attname
        copies = [build_row(type(row), {**common, name: key}, alias) for key in keys]
        upsert(copies, unique=[meta.pk.name], alias=alias)
        return
    quote = connection.ops.quote_name
    table, key_column = quote(meta.db_table), quote(str(meta.pk.column))
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    columns = [quote(str(field.column)) for field in fields]
    if connection.vendor == "sqlite":
        values = ", ".join(["%s"] * len(fields))
        source = f"SELECT value, {values} FROM json_each(%s) WHERE true"  # noqa: S608 - our own names
        parameters: tuple[Any, ...] = (
            *next(_prepared([row], fields, connection)),
            json.dumps(keys),
        )
    else:
        values = ", ".join(f"common.{column}" for column in columns)
        source = (
            f"SELECT key, {values} FROM json_array_elements_text(%s::json) key,"  # noqa: S608 - our own names
            f" json_populate_record(NULL::{table}, %s::json) common, pg_advisory_xact_lock_shared(%s)"
        )
        parameters = (json.dumps(keys), _as_json(_records([row], fields)[0]), shares)
    insert = f"INSERT INTO {table} ({key_column}, {', '.join(columns)}) {source}"
    with connection.cursor() as cursor:
        cursor.execute(insert + _on_conflict(connection.vendor, [key_column], []), parameters)


def update_rows(
    rows: Sequence[models.Model], *, alias: str, unique: Sequence[str], update: Sequence[str]
) -> None:
    """
    Update the named fields of rows that are known to exist, in one statement.

    Other columns are not sent, and their indexes are not touched.

    Args:
        rows: Instances of one model.
        alias: The database.
        unique: The fields that identify a row.
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
    values = ", ".join(f"{column} = given.{column}" for column in columns[: len(update)])
    match = " AND ".join(f"{table}.{column} = given.{column}" for column in columns[len(update) :])
    statement = f"UPDATE {table} SET {values} FROM %s WHERE {match}"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            source = f"json_populate_recordset(NULL::{table}, %s::json) given"
            cursor.execute(statement % source, (_as_json(_records(rows, fields)),))
            return
        given = f"WITH given({', '.join(columns)}) AS "
        for part in _parts(rows, len(fields), connection):
            parameters = tuple(chain.from_iterable(_prepared(part, fields, connection)))
            cursor.execute(
                f"{given}({_values_list(part, fields)}) {statement % 'given'}", parameters
            )


def _joins_values(connection: Any) -> bool:
    """Return whether an UPDATE can join a list of values; MySQL and SQLite before 3.33 cannot."""
    if connection.vendor == "sqlite":
        return bool(connection.Database.sqlite_version_info >= (3, 33))
    return bool(connection.vendor == "postgresql")


def _parts(rows: Sequence[Row], columns: int, connection: Any) -> Iterator[list[Row]]:
    """
    Split the rows into one part per statement: a single part, unless SQLite's parameter limit needs more.

    ``executemany`` is avoided: cursor wrappers, such as those of debug toolbars, may take its list of rows
    for the parameters of one statement.
    """
    size = len(rows)
    if connection.vendor == "sqlite":
        limit = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        size = max(1, limit // columns)
    return chunks(rows, size)


def _values_list(rows: Sequence[models.Model], fields: Sequence[AnyField]) -> str:
    marks = f"({', '.join(['%s'] * len(fields))})"
    return "VALUES " + ", ".join([marks] * len(rows))


def _as_json(value: Any) -> str:
    return json.dumps(value, default=_as_plain_json)


def _records(rows: Sequence[models.Model], fields: Sequence[AnyField]) -> list[dict[str, Any]]:
    """Return the values of each row by column, as ``json_populate_recordset`` reads them."""
    names = [(str(field.column), field.attname) for field in fields]
    return [{column: vars(row)[attname] for column, attname in names} for row in rows]


def _as_plain_json(value: Any) -> Any:
    return decode(value.text) if isinstance(value, StoredJSON) else value.isoformat()


def _prepared(
    rows: Sequence[models.Model], fields: Sequence[AnyField], connection: Any
) -> Iterator[list[Any]]:
    """Yield the values of each row for the driver; most need no conversion, and equal times are converted once."""
    names = [field.attname for field in fields]
    documents = [(i, f) for i, f in enumerate(fields) if isinstance(f, models.JSONField)]
    moments = [i for i, field in enumerate(fields) if isinstance(field, models.DateTimeField)]
    times: dict[datetime | None, Any] = {None: None}
    for row in rows:
        values = list(map(vars(row).__getitem__, names))
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
    """Return a time for the driver, with a shortcut for UTC, which the API uses and databases default to."""
    if value.tzinfo is UTC is connection.timezone:
        return str(value.replace(tzinfo=None))
    return connection.ops.adapt_datetimefield_value(value)


def _prepared_json(value: Any, field: models.JSONField[Any, Any], connection: Any) -> Any:
    """Return JSON for the driver, with a shortcut for empty values, which are frequent."""
    if value is None:
        return None
    if isinstance(value, StoredJSON):
        return value.text
    if value or type(value) not in _EMPTY_JSON:
        return connection.ops.adapt_json_value(value, field.encoder)
    return _EMPTY_JSON[type(value)]


def _on_conflict(vendor: str, unique: Sequence[str], update: Sequence[str]) -> str:
    if not unique:
        return ""
    if vendor == "mysql":
        # MySQL has no conflict target; assigning a column to itself only locks the row.
        assigned = [f"{c} = VALUES({c})" for c in update] or [f"{unique[0]} = {unique[0]}"]
        return f" ON DUPLICATE KEY UPDATE {', '.join(assigned)}"
    action = ", ".join(f"{column} = excluded.{column}" for column in update)
    action = f"UPDATE SET {action}" if action else "NOTHING"
    return f" ON CONFLICT ({', '.join(unique)}) DO {action}"
