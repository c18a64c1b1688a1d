"""
The mirrored rows: their only writer, how answers are merged into a row, and queries over what is stored.

It may import ``models``, ``db``, ``api``, ``statistics``, ``privacy``, ``signals``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
