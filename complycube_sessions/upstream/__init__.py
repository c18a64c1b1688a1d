"""
Changing something at the vendor: validating a check, completing and cancelling a session.

It may import ``sync``, ``mirror``, ``privacy.tombstones``, ``models``, ``db``, ``api``, ``conf`` and ``exceptions``. Only
``services`` and the rooms above it may import it. It does not write mirrored rows: the result of a change is
fetched and stored by a refresh.
"""

from __future__ import annotations
