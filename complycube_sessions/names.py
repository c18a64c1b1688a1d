"""How names are folded for the search, both when they are stored and when they are typed."""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 16
WORD_LENGTH = 64

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
    """Return the distinct folded words of a name in their order, at most 16 of at most 64 characters."""
    words = re.findall(r"\w+", fold(name))
    return list(dict.fromkeys(word[:WORD_LENGTH] for word in words))[:MAX_WORDS]
