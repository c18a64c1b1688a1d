"""A faithful, queryable mirror of ComplyCube workflow sessions and checks."""

from __future__ import annotations

__version__ = "0.1.0"
