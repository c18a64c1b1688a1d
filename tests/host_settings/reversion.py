"""A host with django-reversion, whose middleware opens a transaction around each request that may write."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

INSTALLED_APPS = [*host.INSTALLED_APPS, "reversion"]
MIDDLEWARE = [*host.MIDDLEWARE, "reversion.middleware.RevisionMiddleware"]
HOLDS_TRANSACTIONS = True
