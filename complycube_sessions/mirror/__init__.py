"""
The mirrored rows: their one writer, what older and newer copies of a row make of it, and what is stored.

It may import ``models``, ``db``, ``api``, ``statistics``, ``privacy``, ``signals``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
