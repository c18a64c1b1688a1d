"""Wording of numbers and errors in commands and error texts, which are in English; pages use ``ngettext``."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 session" or "3 sessions"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def beside(subject: str, reason: str) -> str:
    """Return a reason without the subject that it begins with, to be shown beside the subject."""
    return reason.removeprefix(f"{subject}: ")


def line(subject: str, reason: str) -> str:
    """Return a reason as a line that contains its subject once."""
    return reason if reason.lstrip("'").startswith(subject) else f"{subject}: {reason}"
