from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.project.site_process import ROOT, run, run_script

REAL_KEY = "test_a-key-of-the-real-api"
LIVE_KEY = "live_a-key-of-the-real-api"


def settings_of(folder: Path, *names: str, **variables: str) -> dict[str, Any]:
    script = (
        "import json\n"
        "from django.conf import settings\n"
        f"print(json.dumps({{name: getattr(settings, name) for name in {names!r}}}))"
    )
    values: dict[str, Any] = json.loads(run_script(folder, script, **variables))
    return values


@pytest.mark.parametrize("key", ["", REAL_KEY])
def test_check__is_clean(tmp_path: Path, key: str) -> None:
    """The demo site passes Django's checks with the sandbox and with a real key."""
    result = run(tmp_path, "manage.py", "check", "--fail-level", "WARNING", COMPLYCUBE_API_KEY=key)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    "variables",
    [{}, {"COMPLYCUBE_API_KEY": LIVE_KEY, "COMPLYCUBE_WEBHOOK_SECRET": "a-secret-of-the-portal"}],
    ids=["sandbox", "live"],
)
def test_check__deployment_is_clean_behind_https(tmp_path: Path, variables: dict[str, str]) -> None:
    """With HTTPS asked for, the deployment checks find nothing, in the database neither."""
    production = {"HTTPS": "on", "ALLOWED_HOSTS": "example.com", **variables}
    assert run(tmp_path, "manage.py", "migrate", **production).returncode == 0
    arguments = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    result = run(tmp_path, *arguments, "--database", "default", **production)
    assert (result.returncode, result.stderr) == (0, "")


def test_check__deployment_with_a_live_key_and_debug(tmp_path: Path) -> None:
    """In one that is not ready, the same command names what is wrong."""
    arguments = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    result = run(tmp_path, *arguments, DEBUG="on", COMPLYCUBE_API_KEY=LIVE_KEY)
    assert result.returncode == 1
    for number in ("W060", "W061"):
        assert f"complycube_sessions.{number}" in result.stderr
    assert LIVE_KEY not in result.stderr


def test_migrations__are_complete(tmp_path: Path) -> None:
    """No model of the site has changed without a migration."""
    result = run(tmp_path, "manage.py", "makemigrations", "--check", "--dry-run")
    assert (result.returncode, result.stdout) == (0, "No changes detected\n")


def test_settings__default_is_the_sandbox(tmp_path: Path) -> None:
    """Without a key the site talks to its own sandbox, on the port it is served on, and quickly."""
    values = settings_of(tmp_path, "COMPLYCUBE_ACCOUNTS", "INSTALLED_APPS", DEMO_PORT="8123")
    account = values["COMPLYCUBE_ACCOUNTS"]["default"]
    assert account["API_KEY"].startswith("test_sandbox")
    assert account["BASE_URL"] == "http://127.0.0.1:8123/sandbox/v1"
    assert account["REQUESTS_PER_SECOND"] == 100
    (secret,) = account["WEBHOOK_SECRETS"]
    assert len(secret) == 64
    assert "project.sandbox" in values["INSTALLED_APPS"]


def test_settings__real_key_means_no_sandbox(tmp_path: Path) -> None:
    """With a key the site talks to the vendor at the vendor's pace."""
    values = settings_of(
        tmp_path,
        "COMPLYCUBE_ACCOUNTS",
        "INSTALLED_APPS",
        COMPLYCUBE_API_KEY=REAL_KEY,
        COMPLYCUBE_WEBHOOK_SECRET="new,old",
    )
    assert values["COMPLYCUBE_ACCOUNTS"] == {
        "default": {"API_KEY": REAL_KEY, "WEBHOOK_SECRETS": ["new", "old"]}
    }
    assert "project.sandbox" not in values["INSTALLED_APPS"]


def test_settings__base_url_can_be_given(tmp_path: Path) -> None:
    """COMPLYCUBE_BASE_URL wins over both defaults."""
    values = settings_of(
        tmp_path, "COMPLYCUBE_ACCOUNTS", COMPLYCUBE_BASE_URL="https://proxy.example/v1"
    )
    assert values["COMPLYCUBE_ACCOUNTS"]["default"]["BASE_URL"] == "https://proxy.example/v1"


def test_settings__are_safe_by_default(tmp_path: Path) -> None:
    """Nothing but this machine's own names is served, and no debug page shown."""
    values = settings_of(tmp_path, "DEBUG", "ALLOWED_HOSTS", "DATABASES")
    assert values["DEBUG"] is False
    assert values["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert values["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_env_example__names_every_variable() -> None:
    """Each variable that the settings read stands in .env.example, and no other."""
    source = (ROOT / "project/settings.py").read_text(encoding="utf-8")
    read = {
        part.split('"')[0] for part in source.replace("env.db(", "env.str(").split('env.str("')[1:]
    }
    for kind in ("bool", "int", "list"):
        read |= {part.split('"')[0] for part in source.split(f'env.{kind}("')[1:]}
    example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    named = {
        line[1:].split("=")[0]
        for line in example
        if line.startswith("#") and "=" in line and line[1].isupper()
    }
    assert "COMPLYCUBE_API_KEY" in read
    assert named == read


PAGES = """
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
client = Client(headers={"host": "localhost"})
for path in ("/", "/admin/login/", "/static/admin/css/base.css", "/sandbox/v1/workflowSessions"):
    response = client.get(path)
    print(response.status_code, response.headers.get("Location", ""))
    response.close()
"""


@pytest.mark.parametrize(("key", "sandbox"), [("", "401 "), (REAL_KEY, "404 ")])
def test_pages__without_debug(tmp_path: Path, key: str, sandbox: str) -> None:
    """The start page leads to the admin, style sheets come, and the sandbox is there only without a key."""
    lines = run_script(tmp_path, PAGES, COMPLYCUBE_API_KEY=key, LOG_LEVEL="CRITICAL").splitlines()
    assert lines == ["302 /admin/", "200 ", "200 ", sandbox]
