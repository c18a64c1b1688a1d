"""
Keeping the mirror in step with the API: plan what needs a request, read lists, fetch, record the run.

``account_run`` puts the parts of a run together and reads top-down. Each part is a module that imports only
the parts below it. The room may import ``mirror``, ``webhooks.inbox``, ``privacy``, ``statistics``, ``models``, ``db``,
``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
