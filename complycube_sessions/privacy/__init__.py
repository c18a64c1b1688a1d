"""
Removing what must not be kept: a person who asks for it, and what has outlived its retention.

It may import ``mirror.accounts``, ``statistics``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
