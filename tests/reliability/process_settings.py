"""Settings of the processes that the tests start: database, address and rate come from outside."""

from __future__ import annotations

import os

from tests.settings import DATABASES, SECRET_KEY, TIME_ZONE, USE_TZ

__all__ = ["DATABASES", "SECRET_KEY", "TIME_ZONE", "USE_TZ"]
# No more than the command needs: the tests start a hundred of them.
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "complycube_sessions"]
COMPLYCUBE_ACCOUNTS = {
    "default": {
        "API_KEY": "test_dummy-key-of-the-tests",
        "BASE_URL": os.environ["BASE_URL"],
        "REQUESTS_PER_SECOND": float(os.environ["REQUESTS_PER_SECOND"]),
    }
}
