"""
Other packages that a project may use with the app; nothing in the app imports this without being asked.

It may import ``operations``, ``tasks`` and ``conf``.
"""

from __future__ import annotations
