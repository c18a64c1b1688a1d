"""Settings of the demo site, read from the environment or from ``.env`` (see ``.env.example``)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import environ

from project.demo_port import read_port
from project.sandbox import API_KEY as SANDBOX_API_KEY
from project.secret_key import read_or_create

BASE_DIR = Path(__file__).resolve().parent.parent
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]

env = environ.Env()
if (BASE_DIR / ".env").is_file():
    environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY_FILE = Path(env.str("SECRET_KEY_FILE", default="") or BASE_DIR / ".secret_key")
SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_create(SECRET_KEY_FILE)

# Without a key of the real API, the site serves the sandbox and talks to that.
COMPLYCUBE_API_KEY = env.str("COMPLYCUBE_API_KEY", default="")
SANDBOX = not COMPLYCUBE_API_KEY
# Where a demo is served unless told, and where commands beside one look for its sandbox.
DEMO_DEFAULT_PORT = env.int("DEMO_PORT", default=8000)
DEMO_PORT_FILE = SECRET_KEY_FILE.with_name(".demo_port")
DEMO_PORT = (
    DEMO_DEFAULT_PORT if "DEMO_PORT" in env else read_port(DEMO_PORT_FILE) or DEMO_DEFAULT_PORT
)
# Seconds since 1970 until which the lists of the demo show by themselves what is new.
DEMO_LIVE_UNTIL = env.float("DEMO_LIVE_UNTIL", default=0)

COMPLYCUBE_ACCOUNTS: dict[str, dict[str, Any]] = {
    "default": {
        "API_KEY": COMPLYCUBE_API_KEY or SANDBOX_API_KEY,
        "WEBHOOK_SECRETS": env.list("COMPLYCUBE_WEBHOOK_SECRET", default=[]),
    }
}
if SANDBOX:
    COMPLYCUBE_ACCOUNTS["default"]["REQUESTS_PER_SECOND"] = 100
    # Known to nobody else: whoever knew it could fill the inbox.
    COMPLYCUBE_ACCOUNTS["default"]["WEBHOOK_SECRETS"] = COMPLYCUBE_ACCOUNTS["default"][
        "WEBHOOK_SECRETS"
    ] or [hashlib.sha256(f"project.sandbox.webhook:{SECRET_KEY}".encode()).hexdigest()]
    COMPLYCUBE_ACCOUNTS["default"]["BASE_URL"] = f"http://127.0.0.1:{DEMO_PORT}/sandbox/v1"
# In the demo the lead confirms what the reviewer approves.
COMPLYCUBE_FOUR_EYES = ("approved",)
if base_url := env.str("COMPLYCUBE_BASE_URL", default=""):
    COMPLYCUBE_ACCOUNTS["default"]["BASE_URL"] = base_url

# In the sandbox a reviewer can finish a case; what a real key can change is left alone unless told.
COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = env.bool("COMPLYCUBE_ALLOW_UPSTREAM_CHANGES", default=SANDBOX)
COMPLYCUBE_AUDIT_LOGS = env.bool("COMPLYCUBE_AUDIT_LOGS", default=SANDBOX)

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=LOOPBACK)
if SANDBOX:
    # The refresh calls the sandbox on the loopback address, whatever name the site has.
    ALLOWED_HOSTS = list(dict.fromkeys([*ALLOWED_HOSTS, "127.0.0.1"]))

HTTPS = env.bool("HTTPS", default=False)
if HTTPS:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^sandbox/"] if SANDBOX else []
    # Django itself never ends TLS, so there is a proxy; it must overwrite this header.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "complycube_sessions",
    "project",
]
if SANDBOX:
    INSTALLED_APPS.append("project.sandbox")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # German for a browser that asks for it.
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "project.live.live_until",
            ]
        },
    }
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
}
if env.str("DATABASE_URL", default=""):
    DATABASES["default"] = env.db("DATABASE_URL")
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Readers never wait for a writer, and a writer waits for its turn before it reads anything.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
# Straight from the apps, with DEBUG off too, so that nobody has to run collectstatic.
WHITENOISE_USE_FINDERS = True

LOG_LEVEL = env.str("LOG_LEVEL", default="WARNING")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "level": LOG_LEVEL}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # One line a request would bury the demo: a refresh sends hundreds to the sandbox.
        "django.server": {"handlers": ["console"], "level": "ERROR", "propagate": False},
    },
}
