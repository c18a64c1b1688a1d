"""
How fresh and healthy the mirror is, for those who watch it: a command, a health check, metrics.

It may import ``sync``, ``statistics``, ``mirror``, ``webhooks.health``, ``models``, ``db``, ``conf`` and
``exceptions``.
"""

from __future__ import annotations
