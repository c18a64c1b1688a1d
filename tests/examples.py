"""How much of a grid or of random examples is tried: some in the quick run, all in the thorough one."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest
from hypothesis import settings

THOROUGH = "thorough"


def examples(quick: int, thorough: int) -> int:
    """Return the first number, or the second one with ``--hypothesis-profile thorough``."""
    return thorough if settings.get_current_profile_name() == THOROUGH else quick


def parameters(values: Iterable[Any], *, quick: Container[Any]) -> list[Any]:
    """Return the parameters of a test; those that are not in ``quick`` are left to the thorough run."""
    return [
        value if value in quick else pytest.param(value, marks=pytest.mark.thorough)
        for value in values
    ]
