"""
The vendor's events: receive, verify and store them, fetch the sessions they are about, notice when they stop.

It may import ``sync``, ``mirror``, ``privacy``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
