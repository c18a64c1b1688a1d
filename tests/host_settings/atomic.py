"""A host that opens a transaction for each request and lets nobody in who has not signed in."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

DATABASES = {"default": {**host.DATABASES["default"], "ATOMIC_REQUESTS": True}}
MIDDLEWARE = [*host.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
