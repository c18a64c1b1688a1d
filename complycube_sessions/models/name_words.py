"""How names are folded for the search, both when they are stored and when they are typed."""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 16
WORD_LENGTH = 64
# What an index of MySQL or PostgreSQL can hold beside a session's id, at four bytes a letter.
WORDS_LENGTH = 512

# Letters that carry their mark inside: Unicode has no decomposition for them.
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
    """Return text without case, accents and width, so that ``Łukasz Ñandú`` equals ``lukasz nandu``."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    base = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFKC", base.translate(_MARKED_LETTERS))


def name_words(name: str) -> list[str]:
    """
    Return the distinct folded words of a name in their order.

    They are at most 16 of at most 64 characters, and have at most 512 together with a space between them.
    """
    found = re.findall(r"\w+", fold(name))
    words = list(dict.fromkeys(word[:WORD_LENGTH] for word in found))[:MAX_WORDS]
    while len(" ".join(words)) > WORDS_LENGTH:
        words.pop()
    return words


def name_rotations(name: str) -> list[str]:
    """
    Return for each word of a name that word and after it all the others: ``ana garcia``, ``garcia ana``.

    So one look at the rows of any word that was typed tells whether the others are there too.
    """
    words = name_words(name)
    return [" ".join(words[place:] + words[:place]) for place in range(len(words))]


def search_words(text: str) -> list[str]:
    """Return the folded words that were typed, without those that only begin another one."""
    words = name_words(text)
    return [w for w in words if not any(o != w and o.startswith(w) for o in words)]
