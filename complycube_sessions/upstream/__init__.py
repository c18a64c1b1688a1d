"""
Changing something at the vendor: validating a check, completing and cancelling a session.

It may import ``sync``, ``mirror``, ``privacy.tombstones``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``. Only
``services`` and what stands above may import it. Nothing mirrored is written here: what came of a change is
fetched, and stored as by any refresh.
"""

from __future__ import annotations
