"""
Import every module of the app into a bare Django, without a database and without a network.

A script for ``test_manners.py``: a query or a request ends it; it prints what the app has changed.
"""

from __future__ import annotations

import json
import logging
import pkgutil
import socket
import sys
from typing import Any

import django
import django.contrib.admin
import django.contrib.staticfiles.finders
import django.core.management
import django.views.debug
import requests
import urllib3
from django.apps import apps
from django.conf import settings
from django.db.backends.sqlite3.base import DatabaseWrapper

OTHERS = {"django", "http", "json", "logging", "socket", requests.__name__, urllib3.__name__}
APPS = [
    f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "messages", "sessions")
]


def refuse(*arguments: Any, **options: Any) -> Any:
    raise AssertionError(f"something was asked for: {arguments}")


def functions() -> dict[str, int]:
    """Return the identity of each function, class and method of the libraries, by its name."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in OTHERS:
            continue
        for key, value in list(vars(module).items()):
            if callable(value):
                found[f"{name}.{key}"] = id(value)
            if isinstance(value, type) and value.__module__ == name:
                found |= {
                    f"{name}.{key}.{own}": id(member)
                    for own, member in list(vars(value).items())
                    if callable(member) or isinstance(member, property | classmethod | staticmethod)
                }
    return found


def loggers(*, ours: bool) -> dict[str, list[Any]]:
    """Return level, propagation, and handlers of each logger that somebody asked for."""
    known = {"": logging.getLogger(), **logging.root.manager.loggerDict}
    return {
        name: [logger.level, logger.propagate, logger.disabled, list(map(repr, logger.handlers))]
        for name, logger in known.items()
        if isinstance(logger, logging.Logger)
        if (name.split(".")[0] == "complycube_sessions") is ours
    }


settings.configure(
    SECRET_KEY="x",
    USE_TZ=True,
    INSTALLED_APPS=APPS,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/at-all"}},
    COMPLYCUBE_ACCOUNTS={"default": {"API_KEY": "test_x"}},
)
django.setup()
for place, name in (
    (socket.socket, "connect"),
    (socket, "getaddrinfo"),
    (DatabaseWrapper, "connect"),
    (DatabaseWrapper, "cursor"),
):
    setattr(place, name, refuse)
before, loggers_before = functions(), loggers(ours=False)

apps.set_installed_apps([*APPS, "complycube_sessions"])
package = apps.get_app_config("complycube_sessions").module
assert package is not None
for info in pkgutil.walk_packages(package.__path__, "complycube_sessions."):
    if info.name != "complycube_sessions.contrib.celery":  # Celery is the host's to have
        __import__(info.name)
assert "complycube_sessions.admin.sessions" in sys.modules

after, loggers_after = functions(), loggers(ours=False)
found = {
    "functions": len(before),
    "changed": sorted(name for name in before if before[name] != after.get(name)),
    "ours": loggers(ours=True),
    "logging": [name for name, old in loggers_before.items() if old != loggers_after[name]],
}
sys.stdout.write(json.dumps(found))
