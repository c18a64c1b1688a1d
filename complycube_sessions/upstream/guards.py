"""Who else has a say in whether a change may be asked for, such as a rule of four eyes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from complycube_sessions.upstream.requested import RequestedChange

# Called with the change and the user who asks for it, or None; raises an error of ``exceptions.py`` to refuse.
Guard = Callable[[RequestedChange, Any], None]

_guards: list[Guard] = []


def add_guard(guard: Guard) -> Guard:
    """Have every change asked about; usable as a decorator. The same guard counts once."""
    if guard not in _guards:
        _guards.append(guard)
    return guard


def remove_guard(guard: Guard) -> None:
    """Have changes asked about no more."""
    _guards.remove(guard)


def ensure_allowed(change: RequestedChange, user: Any) -> None:
    """Return unless a guard refuses the change; what it raises goes to the caller."""
    for guard in _guards:
        guard(change, user)
