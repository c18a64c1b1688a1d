"""A host that reads from a replica."""

from __future__ import annotations

import os
import tempfile

from tests.host_settings.host import *  # noqa: F403 - a variant of it

# A file: two connections to one database in memory would lock each other out.
_FILE = os.path.join(tempfile.gettempdir(), f"complycube-replica-{os.getpid()}.sqlite3")
_FILES = {"ENGINE": "django.db.backends.sqlite3", "NAME": _FILE}
DATABASES = {
    "default": {**_FILES, "TEST": {"NAME": _FILE}},
    "replica": {**_FILES, "TEST": {"MIRROR": "default"}},
}
DATABASE_ROUTERS = ["tests.host_settings.routers.ReplicaRouter"]
