"""The settings of a project that installs the app."""

from __future__ import annotations

SECRET_KEY = "only-for-tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "complycube_sessions",
    "tests.typing.host",
]
ROOT_URLCONF = "tests.typing.host.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": "test_dummy-key-of-the-tests"}}
