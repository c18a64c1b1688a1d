"""A site with dj-stripe's receiver, which ``webhooks.py`` measures beside ours: its processing is a call that does nothing."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

ENDPOINT = "b6e1a1f0-6f53-4d2f-8f7c-8a1b5c1d2e3f"

_url = urlsplit(os.environ["DATABASE_URL"])
SECRET_KEY = "benchmark"  # noqa: S105 - guards nothing
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "djstripe"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "benchmarks.webhook_djstripe"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.strip("/"),
        "HOST": _url.hostname,
        "PORT": _url.port,
        "USER": _url.username,
        "PASSWORD": _url.password,
        "CONN_MAX_AGE": 60,
    }
}
STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = "sk_test_benchmark"  # noqa: S105 - opens nothing
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
DJSTRIPE_WEBHOOK_EVENT_CALLBACK = "benchmarks.webhook_djstripe.leave"


def leave(event: Any, api_key: str | None = None) -> None:
    """Do what a task engine's ``enqueue`` is called for: nothing here."""


def add_endpoint() -> None:
    """Store the endpoint of which the events come."""
    from djstripe.models import WebhookEndpoint

    WebhookEndpoint.objects.create(
        id="we_benchmark",
        djstripe_uuid=ENDPOINT,
        secret=os.environ["COMPLYCUBE_WEBHOOK_SECRET"],
        url="http://127.0.0.1/",
        enabled_events=["*"],
        api_version="2024-06-20",
        status="enabled",
        livemode=False,
        djstripe_validation_method="verify_signature",
    )


def __getattr__(name: str) -> object:
    # The URLs and the application need the settings, which this module is.
    if name == "urlpatterns":
        from django.urls import include, path

        return [path("stripe/", include("djstripe.urls", namespace="djstripe"))]
    if name == "application":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    raise AttributeError(name)
