"""A host of which a middleware opens a transaction on every database around each request."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

MIDDLEWARE = [*host.MIDDLEWARE, "tests.middleware.open_transactions"]
HOLDS_TRANSACTIONS = True
