"""
The vendor's events: receive and verify, keep in an inbox, fetch what they are about, tell when they stop.

It may import ``sync``, ``mirror``, ``privacy``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
