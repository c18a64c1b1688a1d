"""
Integrations with other packages; the app only imports them if a project uses them.

It may import ``operations``, ``tasks`` and ``conf``.
"""

from __future__ import annotations
