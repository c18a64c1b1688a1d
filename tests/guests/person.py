"""A host whose people have a UUID and an email address, and no user name."""

from __future__ import annotations

from tests.guests import host
from tests.guests.host import *  # noqa: F403 - a variant of it

INSTALLED_APPS = [*host.INSTALLED_APPS, "tests.guests.people"]
AUTH_USER_MODEL = "people.Person"
BOSS = {"email": "boss@example.com"}
