"""
Keyset pagination: pages of a sorted list that begin after a row instead of at an offset.

The database finds that row through the index, however deep it is in the list; with an offset it would read
all rows before it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import reduce
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections
from django.db.models import F, Model, OrderBy, Q, QuerySet

MAX_CURSOR: Final = 2_000
_MAX_INTEGER: Final = 2**63 - 1


class CursorError(ValueError):
    """A text that is not a position in this list."""


@dataclass(frozen=True)
class Key:
    """One column of an order; the last key of an order is the primary key."""

    path: str
    descending: bool
    field: Any

    @property
    def order(self) -> str:
        return f"-{self.path}" if self.descending else self.path

    def reversed(self) -> Key:
        return replace(self, descending=not self.descending)


def keys_of(model: type[Model], ordering: Sequence[Any]) -> list[Key]:
    """
    Convert an ordering to keys.

    Returns:
        The keys up to the primary key; empty if the ordering does not include it, or orders by expressions.
    """
    keys: list[Key] = []
    for part in ordering:
        if isinstance(part, OrderBy) and isinstance(part.expression, F):
            column: Any = part.expression
            name, descending = column.name, part.descending
        elif isinstance(part, str):
            name, descending = part.removeprefix("-"), part.startswith("-")
        else:
            return []
        field = _field(model, name)
        if field is None:
            return []
        keys.append(
            Key("pk" if field.primary_key and "__" not in name else name, descending, field)
        )
        if keys[-1].path == "pk":
            return keys
    return []


def position(row: Model, keys: Sequence[Key]) -> list[Any]:
    """Return the position of a row: its value for each key."""
    return [reduce(getattr, key.path.split("__"), row) for key in keys]


def page(
    rows: QuerySet[Any],
    keys: Sequence[Key],
    *,
    size: int,
    after: Sequence[Any] | None = None,
    backwards: bool = False,
    is_short: bool = False,
) -> list[Any]:
    """
    Return up to ``size`` rows of a list.

    Args:
        rows: The list in any order; ``values_list`` of one column is fine.
        keys: Its order.
        size: How many rows at most.
        after: The position after which the page begins, or None for the beginning.
        backwards: Read from there towards the beginning, or from the end if there is no position.
        is_short: Whether the list is so short that all rows after the position may be read. With a LIMIT, a
            database may scan the whole index of the order to find the rows.

    Returns:
        The rows in the order of the list, whatever the direction.
    """
    ordering = [key.reversed() for key in keys] if backwards else list(keys)
    ordered = rows.order_by(*(key.order for key in ordering))
    page_rows: list[Any] = []
    ranges = [Q()] if after is None else _after(ordering, after, nulls_largest=_nulls_largest(rows))
    for condition in ranges:
        room = size - len(page_rows)
        in_range = ordered.filter(condition)
        page_rows += list(in_range)[:room] if is_short else in_range[:room]
        if len(page_rows) >= size:
            break
    return page_rows[::-1] if backwards else page_rows


def walk(
    rows: QuerySet[Any], keys: Sequence[Key], *, size: int, after: Sequence[Any] | None = None
) -> Iterator[list[Any]]:
    """Yield all rows of a list after a position, in lists of up to ``size``, each from a short query."""
    chunk = page(rows, keys, size=size, after=after)
    while chunk:
        yield chunk
        if len(chunk) < size:
            return
        chunk = page(rows, keys, size=size, after=position(chunk[-1], keys))


def encode(values: Sequence[Any]) -> str:
    """Return a position as text for a URL."""
    plain = [value.isoformat() if isinstance(value, date) else value for value in values]
    text = json.dumps(plain, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str, keys: Sequence[Key]) -> list[Any]:
    """
    Return the position that a text encodes.

    Raises:
        CursorError: The text is not a position in a list of this order.
    """
    try:
        padded = text[:MAX_CURSOR] + "=" * (-len(text) % 4)
        plain = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise CursorError("The position cannot be read.") from error
    if not isinstance(plain, list) or len(plain) != len(keys):
        raise CursorError("The position is one of another order.")
    return [_value(key, value) for key, value in zip(keys, plain, strict=True)]


def _value(key: Key, plain: Any) -> Any:
    """Return the value of a key, of the type that its column has."""
    if plain is None and key.field.null:
        return None
    if not isinstance(plain, (str, int)) or "\0" in str(plain):
        raise CursorError("The position holds no value.")
    try:
        value = key.field.to_python(plain)
    except (ValidationError, ValueError, OverflowError) as error:
        raise CursorError("The position holds a wrong value.") from error
    is_naive = isinstance(value, datetime) and value.tzinfo is None
    if value is None or is_naive or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
        raise CursorError("The position holds a wrong value.")
    return value


def _field(model: type[Model], path: str) -> Any:
    names = path.split("__")
    field: Any = None
    for number, name in enumerate(names):
        try:
            field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        except FieldDoesNotExist:
            return None
        if number < len(names) - 1:
            model = field.related_model
    return field


def _nulls_largest(rows: QuerySet[Any]) -> bool:
    return bool(connections[rows.db].features.nulls_order_largest)


def _after(keys: Sequence[Key], values: Sequence[Any], *, nulls_largest: bool) -> list[Q]:
    """
    Return the rows after a position as conditions, in their order.

    Each condition is one range of the index. With a single combined condition, the database would read the
    index from its beginning.
    """
    (key, *other_keys), (value, *other_values) = keys, values
    further = f"{key.path}__{'lt' if key.descending else 'gt'}"
    if not other_keys:
        return [Q(**{further: value})]
    nulls_first = key.descending == nulls_largest
    if value is None:
        same, beyond = Q(**{f"{key.path}__isnull": True}), []
        if nulls_first:
            beyond = [Q(**{f"{key.path}__isnull": False})]
    else:
        same, beyond = Q(**{key.path: value}), [Q(**{further: value})]
        if key.field.null and not nulls_first:
            beyond.append(Q(**{f"{key.path}__isnull": True}))
    within = _after(other_keys, other_values, nulls_largest=nulls_largest)
    if value is not None and len(other_keys) == 1:
        # One query for both ranges; the outer condition limits the range of the index.
        stretch = Q(**{f"{further}e": value})
        return [stretch & ((same & within[0]) | beyond[0]), *beyond[1:]]
    return [*(same & condition for condition in within), *beyond]
