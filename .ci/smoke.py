"""
Use the installed app as a project would that has nothing but it: python smoke.py VERSION.

Run by check_release.py in an environment and a folder that hold no other file of this repository.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="smoke",  # noqa: S106 - guards nothing
    USE_TZ=True,
    ROOT_URLCONF="complycube_sessions.urls",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "complycube_sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    STATIC_URL="/static/",
    COMPLYCUBE_ACCOUNTS={"default": {"API_KEY": "test_smoke"}},
)
django.setup()

# They need the set-up above.
from django.contrib.staticfiles import finders  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.template.loader import get_template  # noqa: E402
from django.utils import translation  # noqa: E402

import complycube_sessions  # noqa: E402
from complycube_sessions.models import WorkflowSession  # noqa: E402
from complycube_sessions.services import refresh_session, refresh_sessions  # noqa: E402


def main(version: str) -> None:
    """Raise where something does not work."""
    here = Path(complycube_sessions.__file__).parent
    expect("site-packages" in here.parts, f"the app comes from {here}")
    known = importlib.metadata.version("django-complycube-sessions")
    expect(known == complycube_sessions.__version__ == version, f"version {known}, not {version}")
    expect((here / "py.typed").is_file(), "no py.typed")
    call_command("check", fail_level="WARNING")
    call_command("migrate", verbosity=0)
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
    expect(WorkflowSession.objects.count() == 0, "a new copy is not empty")
    get_template("complycube_sessions/list.html")
    expect(finders.find("complycube_sessions/admin.css"), "no style sheet")
    with translation.override("de"):
        name = str(WorkflowSession._meta.verbose_name)
    expect(name != "workflow session", "no German texts")
    expect(callable(refresh_session) and callable(refresh_sessions), "no services")


def expect(truth: object, otherwise: str) -> None:
    if not truth:
        sys.exit(otherwise)


if __name__ == "__main__":
    main(sys.argv[1])
