from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.project.site_process import ROOT, run, run_script

# One worker has them all, since each would start the sites anew.
pytestmark = [pytest.mark.demo, pytest.mark.xdist_group("site")]
REAL_KEY = "test_a-key-of-the-real-api"
LIVE_KEY = "live_a-key-of-the-real-api"


LOOK = """
import json
from io import StringIO
from django.conf import settings
from django.core.management import call_command
from django.test import Client

def said(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()

def answer(path):
    response = client.get(path)
    response.close()
    return [response.status_code, response.headers.get("Location", "")]

found = {"check": said("check", "--fail-level", "WARNING")}
found["makemigrations"] = said("makemigrations", "--check", "--dry-run")
said("migrate")
client = Client(headers={"host": "localhost"})
found["pages"] = {path: answer(path) for path in PATHS}
german = client.get("/admin/login/", headers={"accept-language": "de-AT,de;q=0.9"})
found["german"] = german.headers["Content-Language"]
found["settings"] = {name: getattr(settings, name) for name in NAMES}
print(json.dumps(found))
"""
DEPLOY = """
import json
from django.conf import settings
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("check", "--deploy", "--fail-level", "WARNING", "--database", "default")
print(json.dumps(settings.COMPLYCUBE_ACCOUNTS["default"]["BASE_URL"]))
"""
NAMES = ("COMPLYCUBE_ACCOUNTS", "INSTALLED_APPS", "DEBUG", "ALLOWED_HOSTS", "DATABASES")
SANDBOX = "/sandbox/v1/workflowSessions"
PATHS = ("/", "/admin/login/", "/static/admin/css/base.css", SANDBOX)
CLEAN = "System check identified no issues (0 silenced).\n"


def look(folder: Path, **variables: str) -> Any:
    """Return what one process of the site tells of its checks, migrations, pages and settings."""
    script = f"PATHS, NAMES = {PATHS!r}, {NAMES!r}\n{LOOK}"
    # The request that the sandbox refuses is logged as a warning.
    return json.loads(run_script(folder, script, LOG_LEVEL="CRITICAL", **variables))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what the site tells of itself as it comes, on a port of its own."""
    return look(tmp_path_factory.mktemp("site"), DEMO_PORT="8123")


@pytest.fixture(scope="module")
def real_site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what the site tells of itself with a key and two secrets of the vendor."""
    folder = tmp_path_factory.mktemp("real_site")
    return look(folder, COMPLYCUBE_API_KEY=REAL_KEY, COMPLYCUBE_WEBHOOK_SECRET="new,old")


def test_check__is_clean(site: Any, real_site: Any) -> None:
    """The demo site passes Django's checks with the sandbox and with a real key."""
    assert (site["check"], real_site["check"]) == (CLEAN, CLEAN)


def test_migrations__are_complete(site: Any) -> None:
    """No model of the site has changed without a migration."""
    assert site["makemigrations"] == "No changes detected\n"


@pytest.mark.parametrize(
    "variables",
    [{}, {"COMPLYCUBE_API_KEY": LIVE_KEY, "COMPLYCUBE_WEBHOOK_SECRET": "a-secret-of-the-portal"}],
    ids=["sandbox", "live"],
)
def test_check__deployment_is_clean_behind_https(tmp_path: Path, variables: dict[str, str]) -> None:
    """With HTTPS, the deployment checks find nothing; a base URL that is given wins over the default."""
    address = "https://proxy.example/v1"
    production = {"HTTPS": "on", "ALLOWED_HOSTS": "example.com", "COMPLYCUBE_BASE_URL": address}
    check, url = run_script(tmp_path, DEPLOY, **production, **variables).splitlines(keepends=True)
    assert (check, json.loads(url)) == (CLEAN, address)


def test_check__deployment_with_a_live_key_and_debug(tmp_path: Path) -> None:
    """In one that is not ready, the same command names what is wrong."""
    arguments = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    result = run(tmp_path, *arguments, DEBUG="on", COMPLYCUBE_API_KEY=LIVE_KEY)
    assert result.returncode == 1
    for number in ("W060", "W061"):
        assert f"complycube_sessions.{number}" in result.stderr
    assert LIVE_KEY not in result.stderr


def test_settings__default_is_the_sandbox(site: Any) -> None:
    """Without a key the site talks to its own sandbox, on the port it is served on, and quickly."""
    account = site["settings"]["COMPLYCUBE_ACCOUNTS"]["default"]
    assert account["API_KEY"].startswith("test_sandbox")
    assert account["BASE_URL"] == "http://127.0.0.1:8123/sandbox/v1"
    assert account["REQUESTS_PER_SECOND"] == 100
    (secret,) = account["WEBHOOK_SECRETS"]
    assert len(secret) == 64
    assert "project.sandbox" in site["settings"]["INSTALLED_APPS"]


def test_settings__real_key_means_no_sandbox(real_site: Any) -> None:
    """With a key the site talks to the vendor at the vendor's pace."""
    assert real_site["settings"]["COMPLYCUBE_ACCOUNTS"] == {
        "default": {"API_KEY": REAL_KEY, "WEBHOOK_SECRETS": ["new", "old"]}
    }
    assert "project.sandbox" not in real_site["settings"]["INSTALLED_APPS"]


def test_settings__are_safe_by_default(site: Any) -> None:
    """Nothing but this machine's own names is served, and no debug page shown."""
    settings = site["settings"]
    assert settings["DEBUG"] is False
    assert settings["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert settings["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_pages__german_for_a_german_browser(site: Any) -> None:
    """The site speaks the language of the browser."""
    assert site["german"] == "de"


def test_pages__without_debug(site: Any, real_site: Any) -> None:
    """The start page leads to the admin, style sheets come, and the sandbox is there only without a key."""
    expected = dict(zip(PATHS, ([302, "/admin/"], [200, ""], [200, ""], [401, ""]), strict=True))
    assert site["pages"] == expected
    assert real_site["pages"] == expected | {SANDBOX: [404, ""]}


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
