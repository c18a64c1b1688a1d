from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django import Settings

from complycube_sessions.conf import conf
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.system_checks import check_settings

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
        ({"default": {"API_KEY": KEY, "MAX_RETRIES": -1}}, "E009"),
        ({"default": {"API_KEY": KEY, "PROXIES": ["http://x"]}}, "E010"),
        ({"default": {"API_KEY": KEY, "CA_BUNDLE": False}}, "E012"),
        ({"n" * 65: {"API_KEY": KEY}}, "E013"),
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
