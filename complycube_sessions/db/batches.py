"""Splitting values and rows into bounded parts, so that statements and transactions do not grow with the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from django.db.models import QuerySet

from complycube_sessions.db import keyset

BATCH_SIZE: Final = 500

Value = TypeVar("Value")


def chunks(values: Iterable[Value], size: int = BATCH_SIZE) -> Iterator[list[Value]]:
    """Yield the values in lists of up to ``size``."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def pages(rows: QuerySet[Any], size: int = BATCH_SIZE) -> Iterator[list[Any]]:
    """Yield rows by primary key in lists of up to ``size``; the caller may change or delete them meanwhile."""
    yield from keyset.walk(rows, keyset.keys_of(rows.model, ["pk"]), size=size)
