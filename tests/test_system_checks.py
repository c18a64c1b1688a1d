from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks.registry import registry
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django import Settings

from complycube_sessions.conf import conf
from complycube_sessions.database_checks import check_environments_apart
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.system_checks import check_deployment, check_settings
from tests.builders import session_row

YEAR = timedelta(days=365)
KEY = "test_a-key-that-is-secret"


def found(settings: Settings, accounts: Any) -> list[str]:
    settings.COMPLYCUBE_ACCOUNTS = accounts
    return [str(message.id) for message in check_settings()]


def test_check_settings__defaults(settings: Settings) -> None:
    """A key alone is enough."""
    assert found(settings, {"default": {"API_KEY": KEY}}) == []


@pytest.mark.parametrize(
    ("accounts", "number"),
    [
        ([], "E001"),
        ({1: {"API_KEY": KEY}}, "E001"),
        ({}, "W001"),
        ({"default": {}}, "W001"),
        ({"default": {"API_KEY": ""}}, "W001"),
        ({"default": KEY}, "E002"),
        ({"default": {"API_KEY": KEY, "BASEURL": ""}}, "E003"),
        ({"default": {"API_KEY": "test_a b"}}, "E004"),
        ({"default": {"API_KEY": "test_ä"}}, "E004"),
        ({"default": {"API_KEY": "test_x\n"}}, "E004"),
        ({"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": "one"}}, "E005"),
        *(
            ({"default": {"API_KEY": KEY, "BASE_URL": url}}, "E008")
            for url in (
                "http://[",
                "https://user:secret@api.example/v1",
                "https://api.example/v1#x",
                "https://api.example:port/v1",
                "https://api.example /v1",
                "https://api.exa\nmple/v1",
            )
        ),
        ({"default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10**400}}, "E006"),
        ({"default": {"API_KEY": KEY, "TIMEOUT": 10**12}}, "E007"),
        ({"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": [""]}}, "E005"),
        ({"default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 0}}, "E006"),
        ({"default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": "8"}}, "E006"),
        ({"default": {"API_KEY": KEY, "TIMEOUT": None}}, "E007"),
        ({"default": {"API_KEY": KEY, "TIMEOUT": float("nan")}}, "E007"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "ftp://x/"}}, "E008"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "https://"}}, "E008"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "https://["}}, "E008"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "https://x:port/v1"}}, "E008"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "https://x:0/v1"}}, "E008"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "https://user:word@x/v1"}}, "E008"),
        ({"default": {"API_KEY": KEY, "BASE_URL": "https://x/v1#part"}}, "E008"),
        ({"default": {"API_KEY": KEY, "MAX_RETRIES": -1}}, "E009"),
        ({"default": {"API_KEY": KEY, "PROXIES": ["http://x"]}}, "E010"),
        ({"default": {"API_KEY": KEY, "PROXIES": {"HTTPS": "http://x"}}}, "E010"),
        ({"default": {"API_KEY": KEY, "PROXIES": {"https": ""}}}, "E010"),
        ({"default": {"API_KEY": KEY, "CA_BUNDLE": False}}, "E012"),
        ({"n" * 65: {"API_KEY": KEY}}, "E013"),
        ({"one": {"API_KEY": KEY}, "two": {"API_KEY": KEY}}, "E061"),
        ({"default": {"API_KEY": KEY, "CA_BUNDLE": "/nowhere/at-all.pem"}}, "E062"),
        ({"a/b": {"API_KEY": KEY}}, "E063"),
    ],
)
def test_check_settings__each_fault_its_id(settings: Settings, accounts: Any, number: str) -> None:
    """Each wrong setting is found under an id of its own, with a hint and without the key."""
    assert found(settings, accounts) == [f"complycube_sessions.{number}"]
    (message,) = check_settings()
    assert message.hint
    assert KEY not in f"{message}{message.hint}"


def test_check_settings__check_results(settings: Settings) -> None:
    """An unknown word in COMPLYCUBE_CHECK_RESULTS is an error."""
    settings.COMPLYCUBE_CHECK_RESULTS = "some"
    assert [message.id for message in check_settings()] == ["complycube_sessions.E011"]


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("COMPLYCUBE_RETENTION", [], "E040"),
        ("COMPLYCUBE_RETENTION", {"Erasure": timedelta(days=1)}, "E040"),
        ("COMPLYCUBE_RETENTION", {"WorkflowSession": 30}, "E040"),
        ("COMPLYCUBE_RETENTION", {"WorkflowSession": timedelta(0)}, "E040"),
        ("COMPLYCUBE_MINIMUM_RETENTION", 365, "E041"),
        ("COMPLYCUBE_MINIMUM_RETENTION", timedelta(days=-1), "E041"),
        ("COMPLYCUBE_LEGAL_HOLD", "nowhere.to_be_found", "E042"),
        ("COMPLYCUBE_LEGAL_HOLD", "tests.test_system_checks.KEY", "E042"),
        ("COMPLYCUBE_LEGAL_HOLD", len, "E042"),
        ("COMPLYCUBE_SCRUBBER", "tests", "E043"),
        ("COMPLYCUBE_SCRUBBER", ["x"], "E043"),
        ("COMPLYCUBE_ALLOW_UPSTREAM_CHANGES", "yes", "E070"),
        ("COMPLYCUBE_ALLOW_UPSTREAM_CHANGES", 1, "E070"),
        ("COMPLYCUBE_AUDIT_LOGS", None, "E071"),
    ],
)
def test_check_settings__privacy(settings: Settings, name: str, value: object, number: str) -> None:
    """Each wrong setting of what is kept is found under an id of its own, with a hint."""
    setattr(settings, name, value)
    (message,) = check_settings()
    assert message.id == f"complycube_sessions.{number}"
    assert name in message.msg
    assert message.hint
    with pytest.raises(ComplyCubeConfigurationError, match=name):
        getattr(conf, name)


def test_check_settings__privacy_right(settings: Settings) -> None:
    """Right values are found right; a retention shorter than the minimum is a warning."""
    settings.COMPLYCUBE_SCRUBBER = settings.COMPLYCUBE_LEGAL_HOLD = "builtins.len"
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=9), "RefreshRun": YEAR}
    settings.COMPLYCUBE_MINIMUM_RETENTION = timedelta(days=9)
    assert check_settings() == []
    settings.COMPLYCUBE_MINIMUM_RETENTION = YEAR
    assert [message.id for message in check_settings()] == ["complycube_sessions.W040"]


def test_check_settings__naive_times(settings: Settings) -> None:
    """The copy needs aware times."""
    settings.USE_TZ = False
    assert [message.id for message in check_settings()] == ["complycube_sessions.E060"]


def test_check_settings__ca_bundle_that_exists(settings: Settings, tmp_path: Path) -> None:
    """A file and a folder of certificates are both fine."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    for path in (bundle, tmp_path):
        assert found(settings, {"default": {"API_KEY": KEY, "CA_BUNDLE": str(path)}}) == []


LIVE = "live_a-key-that-is-secret"
SAFE = {"API_KEY": LIVE, "WEBHOOK_SECRETS": ["a-secret"]}


def risks(settings: Settings, **entry: Any) -> list[str]:
    settings.COMPLYCUBE_ACCOUNTS = {"default": {**SAFE, **entry}}
    messages = check_deployment()
    for message in messages:
        assert message.hint
        assert LIVE not in f"{message}{message.hint}"
    return [str(message.id).removeprefix("complycube_sessions.") for message in messages]


def test_check_deployment__clean(settings: Settings) -> None:
    """A live key with a secret, without DEBUG, is how it should be."""
    settings.DEBUG = False
    assert risks(settings) == []


def test_check_deployment__live_key_with_debug(settings: Settings) -> None:
    """DEBUG beside real people is a warning, beside a test key it is not."""
    settings.DEBUG = True
    assert risks(settings) == ["W060"]
    assert risks(settings, API_KEY=KEY) == []


def test_check_deployment__key_of_no_environment(settings: Settings) -> None:
    """A key without its prefix may be cut off or another vendor's."""
    assert risks(settings, API_KEY="a-key-that-is-secret") == ["W064"]


def test_check_settings__proxies_as_requests_knows_them(settings: Settings) -> None:
    """A scheme, or a scheme with a host, is a key of PROXIES."""
    proxies = {
        "https": "http://x:3128",
        "all": "socks5://x",
        "https://api.complycube.com": "http://y",
    }
    assert found(settings, {"default": {"API_KEY": KEY, "PROXIES": proxies}}) == []


@pytest.mark.parametrize("secrets", [None, [], ()])
def test_check_deployment__no_webhook_secret(settings: Settings, secrets: Any) -> None:
    """Without a secret every event is refused, which may be meant, but should be known."""
    assert risks(settings, WEBHOOK_SECRETS=secrets) == ["W061"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example/v1", ["W063"]),
        ("HTTP://10.0.0.1/v1", ["W063"]),
        ("http://localhost.example/v1", ["W063"]),
        ("http://localhost:8000/v1", []),
        ("http://127.0.0.1:8000/v1", []),
        ("http://127.8.0.1/v1", []),
        ("http://[::1]:8000/v1", []),
        ("https://proxy.example/v1", []),
    ],
)
def test_check_deployment__without_tls(settings: Settings, url: str, expected: list[str]) -> None:
    """The key may go over plain HTTP within this machine only."""
    assert risks(settings, BASE_URL=url) == expected


def test_check_deployment__leaves_faults_to_the_other_check(settings: Settings) -> None:
    """An account with a fault is named once, by the check of the settings."""
    assert risks(settings, API_KEY="", BASE_URL="http://x/v1") == []


def test_check_command__deployment_is_registered(settings: Settings) -> None:
    """``check --deploy`` runs these checks, and plain ``check`` does not."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": LIVE}}
    ours: set[object] = {check_deployment, check_environments_apart}
    assert not ours & set(registry.get_checks())
    assert ours <= set(registry.get_checks(include_deployment_checks=True))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "row_of", "environment", "expected"),
    [
        (KEY, "default", "live", ["complycube_sessions.W062"]),
        (KEY, "default", "test", []),
        (KEY, "other", "live", []),
        (LIVE, "default", "live", []),
        ("", "default", "live", []),
    ],
)
def test_check_environments_apart(
    settings: Settings, key: str, row_of: str, environment: str, expected: list[str]
) -> None:
    """A test key in the account of live rows is a warning, where the database is to be checked."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": key}}
    session_row("abc", account=row_of, environment=environment)
    assert [message.id for message in check_environments_apart(databases=["default"])] == expected
    assert check_environments_apart() == []


@pytest.mark.django_db  # Django 6.1 checks the database too
def test_check_command__registered(settings: Settings) -> None:
    """``manage.py check`` runs the checks; a missing key does not stop it."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {}}
    err = StringIO()
    call_command("check", stderr=err, stdout=StringIO())
    assert "complycube_sessions.W001" in err.getvalue()
    settings.COMPLYCUBE_ACCOUNTS = []
    with pytest.raises(SystemCheckError, match="E001"):
        call_command("check")
