"""
Reading and building rows without Django's work for each instance.

A new instance sends two signals, and each value passes a converter: together that costs several times as much as
the row itself. The mirror handles thousands of rows at a time and needs neither (``benchmarks/storing.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final, TypeAlias, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.functions import Cast
from django.utils import timezone

_raw_decode: Final = json.JSONDecoder().raw_decode

AnyField: TypeAlias = "models.Field[Any, Any]"
Row = TypeVar("Row", bound=models.Model)


class StoredJSON:
    """Undecoded JSON from the database; most of it is replaced without ever being decoded."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def decode(text: str) -> Any:
    """Return the value of JSON that Django wrote."""
    return _raw_decode(text)[0]


def decode_stored(row: models.Model, name: str) -> None:
    """Decode a column of a row that may hold ``StoredJSON``."""
    columns = vars(row)
    if isinstance(columns[name], StoredJSON):
        columns[name] = decode(columns[name].text)


def read_rows(rows: QuerySet[Row]) -> Iterator[Row]:
    """
    Yield the rows of a queryset without the signals of a new instance.

    The signals, the constructor and Django's converters cost several times as much as the row itself.

    Args:
        rows: Rows of a model whose columns are text, integers, booleans, times and JSON.
    """
    names = attnames(rows.model)
    for values in read_values(rows, names):
        yield build_row(rows.model, dict(zip(names, values, strict=True)), rows.db)


def read_values(
    rows: QuerySet[Any], names: Sequence[str], *, encoded: Collection[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """
    Yield the same as ``values_list``.

    Values are converted column by column, as many of them repeat.

    Args:
        rows: A queryset.
        names: Columns, columns of related models, or annotations: text, integers, booleans, times and JSON.
        encoded: The JSON columns among them to yield as ``StoredJSON``.
    """
    connection = connections[rows.db]
    fields = [_field(rows, name) for name in names]
    selected: list[Any] = list(names)
    if connection.vendor == "sqlite":
        # As text, or the driver would call a converter of Django for each time.
        selected = [
            Cast(name, models.TextField()) if isinstance(field, models.DateTimeField) else name
            for name, field in zip(names, fields, strict=True)
        ]
    try:
        sql, parameters = rows.values_list(*selected).query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        columns: list[Sequence[Any]] = list(zip(*cursor.fetchall(), strict=True))
    if columns:
        for place, convert in _converters(fields, connection):
            stays_encoded = names[place] in encoded
            columns[place] = (
                _as_stored(columns[place]) if stays_encoded else convert(columns[place])
            )
    yield from zip(*columns, strict=True)


def _field(rows: QuerySet[Any], name: str) -> AnyField:
    """Return the field of a column, of one of a related model, or of an annotation."""
    if name in rows.query.annotations:
        annotation: AnyField = rows.query.annotations[name].output_field
        return annotation
    *relations, column = name.split("__")
    model: Any = rows.model
    for relation in relations:
        model = model._meta.get_field(relation).related_model
    field: AnyField = model._meta.pk if column == "pk" else model._meta.get_field(column)
    return field


@cache
def attnames(model: type[models.Model]) -> tuple[str, ...]:
    """Return the attribute names of a model's columns."""
    return tuple(field.attname for field in model._meta.concrete_fields)


def _converters(
    fields: Iterable[AnyField], connection: Any
) -> Iterator[tuple[int, Callable[[Sequence[Any]], Sequence[Any]]]]:
    """Yield the converters for columns whose values the driver returns in another type."""
    is_typed = connection.vendor == "postgresql"
    zone = connection.timezone
    for place, field in enumerate(fields):
        if isinstance(field, models.JSONField):
            yield place, _from_json
        elif isinstance(field, models.DateTimeField) and not is_typed and zone is not None:
            yield place, partial(_aware, zone=zone)
        elif isinstance(field, models.BooleanField) and not is_typed:
            yield place, _booleans


def _booleans(values: Sequence[int | None]) -> list[bool | None]:
    return [None if value is None else bool(value) for value in values]


def _from_json(texts: Sequence[str | None]) -> list[Any]:
    """Return the values of JSON that Django wrote, with a shortcut for empty lists and objects."""
    return [[] if text == "[]" else {} if text == "{}" else text and decode(text) for text in texts]


def _as_stored(texts: Sequence[str | None]) -> list[StoredJSON | None]:
    return [None if text is None else StoredJSON(text) for text in texts]


def _aware(times: Sequence[Any], zone: Any) -> list[datetime | None]:
    """Return times from the driver, or as SQLite stores them, with their time zone."""
    converted: dict[Any, datetime | None] = {None: None}
    for value in {*times} - converted.keys():
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        converted[value] = (
            time.replace(tzinfo=UTC) if zone is UTC else timezone.make_aware(time, zone)
        )
    return [converted[value] for value in times]


def build_row(
    model: type[Row],
    columns: dict[str, Any],
    alias: str | None = None,
) -> Row:
    """
    Return an instance without calling its constructor, which would cost several times as much.

    Args:
        model: Its model.
        columns: The values of all columns; the instance keeps this dictionary.
        alias: The database that the row was read from, or None for a row that is not inserted yet.
    """
    row = model.__new__(model)
    row.__dict__ = columns
    row._state = ModelState()
    row._state.adding, row._state.db = alias is None, alias
    return row


def new_row(model: type[Row], **columns: Any) -> Row:
    """Return a row to insert, without calling its constructor: with these columns, and defaults for the others."""
    constants, calls = _defaults(model)
    values = constants | columns
    for name, default in calls:
        if name not in columns:
            values[name] = default()
    return build_row(model, values)


@cache
def _defaults(
    model: type[models.Model],
) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """Return the constant defaults of a model's columns, and the callable ones."""
    constants: dict[str, Any] = {}
    calls = []
    for field in model._meta.concrete_fields:
        if field.has_default() and callable(field.default):
            calls.append((field.attname, field.default))
        else:
            default = field.get_default()
            constants[field.attname] = getattr(default, "value", default)
    return constants, calls
