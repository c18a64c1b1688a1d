"""Guards that may refuse a change, such as a four-eyes rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from complycube_sessions.upstream.requested import RequestedChange

# Called with the change and the user who requests it, or None; raises an error of ``exceptions.py`` to refuse.
Guard = Callable[[RequestedChange, Any], None]

_guards: list[Guard] = []


def add_guard(guard: Guard) -> Guard:
    """Call the guard before every change; usable as a decorator. Adding a guard twice has no effect."""
    if guard not in _guards:
        _guards.append(guard)
    return guard


def remove_guard(guard: Guard) -> None:
    """Stop calling the guard."""
    _guards.remove(guard)


def ensure_allowed(change: RequestedChange, user: Any) -> None:
    """Call all guards; an error that one raises is passed on."""
    for guard in _guards:
        guard(change, user)
