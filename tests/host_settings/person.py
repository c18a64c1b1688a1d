"""A host whose people have a UUID and an email address, and no user name."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

INSTALLED_APPS = [*host.INSTALLED_APPS, "tests.host_settings.people"]
AUTH_USER_MODEL = "people.Person"
BOSS = {"email": "boss@example.com"}
