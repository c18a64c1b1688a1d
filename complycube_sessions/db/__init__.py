"""
What the app needs of a database beyond Django's ORM: connections, retries, bulk SQL, key-set pages, indexes.

It may import ``conf`` and ``exceptions``, and no model: those that it needs it finds by their name.
"""

from __future__ import annotations
