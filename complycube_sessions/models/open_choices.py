"""The vendor's open sets of words: finding the words in a column, including those without a label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, models
from django.db.models import Q

if TYPE_CHECKING:
    pass

NO_WORD: Final = "(none)"
OTHER_WORDS: Final = "(other)"
_MOST_WORDS: Final = 200


def words_of(rows: models.QuerySet[Any], field: str) -> list[str] | None:
    """
    Return the distinct words of a column in order, in one query.

    The query jumps from one word to the next in the column's index, and reads one row per word instead of the
    whole table.

    Args:
        rows: Any queryset of the model; only its model and database are used.
        field: A column that is the first one of an index.

    Returns:
        The words, or None if there are too many.
    """
    connection = connections[rows.db]
    table = connection.ops.quote_name(rows.model._meta.db_table)
    column = connection.ops.quote_name(field)
    jump = (
        f"WITH RECURSIVE words (word) AS (SELECT MIN({column}) FROM {table} UNION ALL "  # noqa: S608 - our own names
        f"SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > word) FROM words "
        f"WHERE word IS NOT NULL) SELECT word FROM words WHERE word IS NOT NULL LIMIT {_MOST_WORDS}"
    )
    # MariaDB would read the rest of the index for each jump, but optimises DISTINCT in the same way.
    plain = f"SELECT DISTINCT {column} FROM {table} LIMIT {_MOST_WORDS}"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        cursor.execute(plain if connection.vendor == "mysql" else jump)
        words = [word for (word,) in cursor.fetchall()]
    return None if len(words) == _MOST_WORDS else sorted(words)


def unknown_words(rows: models.QuerySet[Any], field: str, known: Iterable[str]) -> list[str] | None:
    """Return the words of ``words_of`` that are neither known nor empty."""
    words = words_of(rows, field)
    return None if words is None else sorted({*words} - {"", *known})


def word_is(field: str, word: str, known: Iterable[str]) -> Q:
    """
    Return the condition that a field contains a word.

    Args:
        field: The field, or a path to it.
        word: The vendor's word, which may be unknown; ``(none)`` for an empty field, ``(other)`` for all words
            that are neither empty nor known.
        known: The words that have a label.
    """
    if word == OTHER_WORDS:
        return ~Q(**{f"{field}__in": ["", *known]})
    return Q(**{field: "" if word == NO_WORD else word})


def with_word(
    rows: models.QuerySet[Any], field: str, word: str, known: Iterable[str]
) -> models.QuerySet[Any]:
    """Filter rows by ``word_is``, in a form that uses the index of the field."""
    if word == OTHER_WORDS and (unknown := unknown_words(rows, field, known)) is not None:
        return rows.filter(**{f"{field}__in": unknown})
    return rows.filter(word_is(field, word, known))
