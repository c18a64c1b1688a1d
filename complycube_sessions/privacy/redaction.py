"""Removing ids from texts and from errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

ERASED_ID: Final = "[erased]"
# All that an id may hold; a colon or a full stop at the end is the sentence's.
_WORD: Final = re.compile(r"[A-Za-z0-9_.~:=+@-]+")


def without_ids(errors: Mapping[str, str], ids: frozenset[str]) -> dict[str, str]:
    """Return errors by id without those of the given ids, which are masked in the other reasons too."""
    return {
        name: redact(text, ids)
        for name, text in errors.items()
        if not any(word in ids for word in words_of(name))
    }


def redact(text: str, ids: frozenset[str]) -> str:
    """Return a text in which each of the ids is replaced by a mark."""
    if not any(word in ids for word in words_of(text)):
        return text

    def replaced(match: re.Match[str]) -> str:
        word = match[0]
        bare = word.rstrip(".:")
        if word in ids:
            return ERASED_ID
        return ERASED_ID + word[len(bare) :] if bare in ids else word

    return _WORD.sub(replaced, text)


def words_of(text: str) -> Iterator[str]:
    """Yield every word of a text that may be an id."""
    for word in _WORD.findall(text):
        yield word
        if word[-1] in ".:":
            yield word.rstrip(".:")
