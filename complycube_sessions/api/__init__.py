"""
The vendor's API: requests with key, timeout, retries and budget, and parsers for the responses.

It may import ``conf`` and ``exceptions``, and uses no models: callers pass in state that processes share.
"""

from __future__ import annotations
