"""How numbers and errors are worded: for commands and errors, which speak English; pages use ``ngettext``."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 session" or "3 sessions"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def beside(subject: str, reason: str) -> str:
    """Return a reason as it is shown beside the subject that it begins with."""
    return reason.removeprefix(f"{subject}: ")


def line(subject: str, reason: str) -> str:
    """Return a reason on a line of its own, with its subject once."""
    return reason if reason.lstrip("'").startswith(subject) else f"{subject}: {reason}"
