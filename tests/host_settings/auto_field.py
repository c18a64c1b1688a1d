"""A host whose own tables have small keys by default."""

from __future__ import annotations

from tests.host_settings.host import *  # noqa: F403 - a variant of it

DEFAULT_AUTO_FIELD = "django.db.models.SmallAutoField"
