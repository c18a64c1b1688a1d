"""
What the overview of the admin counts, by day and as of now.

It may import ``models``, ``db``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
