"""
Evidence: exporting a session as files that can be verified later, and fetching the vendor's own report.

It may import ``privacy.tombstones``, ``sync``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``.
"""

from __future__ import annotations
