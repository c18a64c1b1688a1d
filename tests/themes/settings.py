"""A host with the admin theme that the environment names."""

from __future__ import annotations

import os
from typing import Final

from tests.settings import *  # noqa: F403 - a variant of it
from tests.settings import INSTALLED_APPS as APPS
from tests.settings import MIDDLEWARE as ALL_MIDDLEWARE

# What stands before Django's admin, by theme.
THEMES: Final = {
    "django": [],
    "unfold": ["unfold"],
    "unfold-base": ["unfold"],
    "jazzmin": ["jazzmin"],
    "grappelli": ["grappelli"],
    "admin-interface": ["admin_interface", "colorfield"],
    "jet": ["jet"],
}
THEME = os.environ.get("COMPLYCUBE_TEST_THEME", "django")

ROOT_URLCONF = "tests.themes.urls"
INSTALLED_APPS = [*THEMES[THEME], *APPS]
# The themes bring inline scripts and styles of their own.
MIDDLEWARE = [name for name in ALL_MIDDLEWARE if name != "tests.policy.content_policy"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True
X_FRAME_OPTIONS = "SAMEORIGIN"
SILENCED_SYSTEM_CHECKS = ["security.W019"]
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
JAZZMIN_UI_TWEAKS = {"default_theme_mode": "auto"}
