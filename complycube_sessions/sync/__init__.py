"""
Keeping the mirror in step with the API: plan what needs a request, read lists, fetch, record the run.

``account_run`` puts the parts of a run together and reads top-down; each part is a module that knows the parts
below it alone. The room may import ``mirror``, ``webhooks.inbox``, ``privacy``, ``statistics``, ``models``, ``db``,
``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
