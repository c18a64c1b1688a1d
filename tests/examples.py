"""How many random examples a property is tried with."""

from __future__ import annotations

from hypothesis import settings

THOROUGH = "thorough"


def examples(quick: int, thorough: int) -> int:
    """Return the first number, or the second one with ``--hypothesis-profile thorough``."""
    return thorough if settings.get_current_profile_name() == THOROUGH else quick
