"""
The vendor's API: one request with its key, timeout, retries and budget, and what its answers say.

It may import ``conf`` and ``exceptions``, and knows no model: what processes share is handed to it.
"""

from __future__ import annotations
