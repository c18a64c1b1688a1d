"""Removing ids from texts and from errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

ERASED_ID: Final = "[erased]"
# The characters of an id; a colon or a full stop at the end may belong to the sentence.
_WORD: Final = re.compile(r"[A-Za-z0-9_.~:=+@-]+")


def without_ids(errors: Mapping[str, str], ids: frozenset[str]) -> dict[str, str]:
    """Return errors by id without the given ids; they are also masked in the reasons of other ids."""
    return {
        name: redact(text, ids)
        for name, text in errors.items()
        if not any(word in ids for word in words_of(name))
    }


def redact(text: str, ids: frozenset[str]) -> str:
    """Replace each of the ids in a text by ``[erased]``."""
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
