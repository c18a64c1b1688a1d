"""
The vendor's events: receive and verify them, keep them in an inbox, fetch what they are about, notice when they stop.

It may import ``sync``, ``mirror``, ``privacy``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
