"""
Keeping the mirror in step with the API: plan what needs a request, read lists, fetch, record the run.

It may import ``mirror``, ``webhooks.inbox``, ``privacy.tombstones``, ``privacy.retention``, ``privacy.removal``,
``statistics``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
