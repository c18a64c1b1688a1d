"""The vendor's open sets of words: finding what a column holds, the words without a label too."""

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
    Return the distinct words of a column in their order, in one query.

    It jumps in the column's index from one word to the next, and so reads a row a word, not the table.

    Args:
        rows: Rows of the model, for the database.
        field: A column that an index begins with.

    Returns:
        None where there are more words than anybody could have meant.
    """
    connection = connections[rows.db]
    table = connection.ops.quote_name(rows.model._meta.db_table)
    column = connection.ops.quote_name(field)
    jump = (
        f"WITH RECURSIVE words (word) AS (SELECT MIN({column}) FROM {table} UNION ALL "  # noqa: S608 - our own names
        f"SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > word) FROM words "
        f"WHERE word IS NOT NULL) SELECT word FROM words WHERE word IS NOT NULL LIMIT {_MOST_WORDS}"
    )
    # MariaDB would read the index to its end for each jump, but jumps by itself for this.
    plain = f"SELECT DISTINCT {column} FROM {table} LIMIT {_MOST_WORDS}"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        cursor.execute(plain if connection.vendor == "mysql" else jump)
        words = [word for (word,) in cursor.fetchall()]
    return None if len(words) == _MOST_WORDS else sorted(words)


def unknown_words(rows: models.QuerySet[Any], field: str, known: Iterable[str]) -> list[str] | None:
    """Return those of ``words_of`` that are neither known nor left out."""
    words = words_of(rows, field)
    return None if words is None else sorted({*words} - {"", *known})


def word_is(field: str, word: str, known: Iterable[str]) -> Q:
    """
    Return the condition that a field of an open set holds a word.

    Args:
        field: The field, or a path to it.
        word: The vendor's word, known or not; ``(none)`` for one that was left out, ``(other)`` for
            all that are neither left out nor known.
        known: The words that have a label.
    """
    if word == OTHER_WORDS:
        return ~Q(**{f"{field}__in": ["", *known]})
    return Q(**{field: "" if word == NO_WORD else word})


def with_word(
    rows: models.QuerySet[Any], field: str, word: str, known: Iterable[str]
) -> models.QuerySet[Any]:
    """Return the rows whose field holds a word, as ``word_is`` takes it, by the index of the field."""
    if word == OTHER_WORDS and (unknown := unknown_words(rows, field, known)) is not None:
        return rows.filter(**{f"{field}__in": unknown})
    return rows.filter(word_is(field, word, known))
