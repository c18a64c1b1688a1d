"""Folding names for the search, both stored names and search terms."""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 16
WORD_LENGTH = 64
# The limit of an index on MySQL or PostgreSQL that also holds a session's id, at four bytes per character.
WORDS_LENGTH = 512

# Letters with a built-in mark, for which Unicode has no decomposition.
_MARKED_LETTERS = str.maketrans(
    {
        "\u0131": "i",
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
)


def fold(text: str) -> str:
    """Return text without differences of case, accents and width: ``Łukasz Ñandú`` equals ``lukasz nandu``."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    base = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFKC", base.translate(_MARKED_LETTERS))


def name_words(name: str) -> list[str]:
    """
    Return the distinct folded words of a name in their order.

    At most 16 words of at most 64 characters, and at most 512 characters when joined by spaces.
    """
    folded = re.findall(r"\w+", fold(name))
    words = list(dict.fromkeys(word[:WORD_LENGTH] for word in folded))[:MAX_WORDS]
    while len(" ".join(words)) > WORDS_LENGTH:
        words.pop()
    return words


def name_rotations(name: str) -> list[str]:
    """
    Return the rotations of the words of a name, one beginning with each word: ``ana garcia``, ``garcia ana``.

    So the rows of any search term also show whether the other terms match.
    """
    words = name_words(name)
    return [" ".join(words[place:] + words[:place]) for place in range(len(words))]


def search_words(text: str) -> list[str]:
    """Return the folded words of a search term, without words that are a prefix of another one."""
    words = name_words(text)
    return [w for w in words if not any(o != w and o.startswith(w) for o in words)]
