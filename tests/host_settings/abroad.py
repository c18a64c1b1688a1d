"""A host in another language and on the other side of the date line."""

from __future__ import annotations

from tests.host_settings.host import *  # noqa: F403 - a variant of it

LANGUAGE_CODE = "de"
TIME_ZONE = "Pacific/Auckland"
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
