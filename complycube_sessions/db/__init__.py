"""
Database tools beyond Django's ORM: connections, retries, bulk SQL, keyset pagination, indexes.

It may import ``conf`` and ``exceptions``. It imports no models, and looks them up by name if it needs them.
"""

from __future__ import annotations
