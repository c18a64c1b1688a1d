"""A host with an admin site of its own in place of Django's, and a second one beside it."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

INSTALLED_APPS = [
    "tests.host_settings.desk_site.apps.DeskConfig" if app == "django.contrib.admin" else app
    for app in host.INSTALLED_APPS
]
ROOT_URLCONF = "tests.host_settings.desk_site.urls"
ADMIN_SITES = ["admin", "second"]
