"""
The mirrored rows: their one writer, what older and newer answers make of a row, and what is stored.

It may import ``models``, ``db``, ``api``, ``statistics``, ``privacy``, ``signals``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
