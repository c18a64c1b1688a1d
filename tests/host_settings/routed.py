"""A host that keeps the copy in a database of its own."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

DATABASES = {
    "default": host.DATABASES["default"],
    "kyc": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
DATABASE_ROUTERS = ["tests.host_settings.routers.KycRouter"]
