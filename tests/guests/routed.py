"""A host that keeps the copy in a database of its own."""

from __future__ import annotations

from tests.guests import host
from tests.guests.host import *  # noqa: F403 - a variant of it

DATABASES = {
    "default": host.DATABASES["default"],
    "kyc": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
DATABASE_ROUTERS = ["tests.guests.routers.KycRouter"]
