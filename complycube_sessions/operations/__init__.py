"""
How fresh and healthy the mirror is, for monitoring: the command, the health check and the metrics.

It may import ``sync``, ``statistics``, ``mirror``, ``webhooks.health``, ``models``, ``db``, ``conf`` and
``exceptions``.
"""

from __future__ import annotations
