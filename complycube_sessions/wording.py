"""Counted nouns for commands and errors, which speak English; pages use ``ngettext``."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 session" or "3 sessions"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
