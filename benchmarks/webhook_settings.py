"""The demo site for ``webhooks.py``, with a bare view beside the receiver; events are enqueued."""

from __future__ import annotations

import hashlib
import hmac
import os

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from project.settings import *  # noqa: F403 - a variant of it

DATABASES["default"]["CONN_MAX_AGE"] = 60  # type: ignore[name-defined]  # noqa: F405
INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_db"]  # noqa: F405
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
COMPLYCUBE_WEBHOOK_PROCESSING = "tasks"
# The sandbox is served by the same two processes, so it is the sandbox that is slow.
COMPLYCUBE_ACCOUNTS["default"]["REQUESTS_PER_SECOND"] = 1000  # noqa: F405
ROOT_URLCONF = "benchmarks.webhook_settings"


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """Verify and insert one row, no more."""
    secret = os.environ["COMPLYCUBE_WEBHOOK_SECRET"].encode()
    expected = hmac.new(secret, request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("ComplyCube-Signature", "")):
        return HttpResponse(status=400)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bare (body) VALUES (%s)", [request.body.decode()])
    return HttpResponse()


def __getattr__(name: str) -> object:
    # The URLs and the application need the settings, which this module is.
    if name == "urlpatterns":
        from project.urls import urlpatterns

        return [path("bare/", bare), *urlpatterns]
    if name == "application":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    raise AttributeError(name)
