"""
The figures of the admin's overview, by day and as of now.

It may import ``models``, ``db``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
