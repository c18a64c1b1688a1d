"""A host whose own tables have small keys by default."""

from __future__ import annotations

from tests.guests.host import *  # noqa: F403 - a variant of it

DEFAULT_AUTO_FIELD = "django.db.models.SmallAutoField"
