"""Settings of the worker processes that the tests of task engines start; all comes by environment."""

from __future__ import annotations

import os

from tests import settings as base
from tests.settings import *  # noqa: F403 - a variant of it

if os.environ.get("ENGINE") == "tasks":
    INSTALLED_APPS = [*base.INSTALLED_APPS, "django_tasks_db"]
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
COMPLYCUBE_ACCOUNTS = {
    "default": {
        "API_KEY": "test_dummy-key-of-the-tests",
        "BASE_URL": os.environ["ENGINE_API"],
        "REQUESTS_PER_SECOND": float(os.environ.get("ENGINE_RATE", "1000")),
    }
}
