"""
Removing data: erasing a person on request, and pruning rows that are older than their retention.

It may import ``mirror.accounts``, ``statistics``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
