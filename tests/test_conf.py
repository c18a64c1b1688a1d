from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from complycube_sessions.conf import conf, environment_of, get_account

KEY = "test_a-key-that-is-secret"


def test_get_account__defaults(settings: Settings) -> None:
    """Everything but the key has a default."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY}}
    account = get_account()
    assert account.base_url == "https://api.complycube.com/v1"
    assert account.requests_per_second == 4
    assert account.timeout_seconds == 30
    assert account.max_retries == 5
    assert account.webhook_secrets == ()
    assert account.proxies is None
    assert account.ca_bundle is None
    assert account.environment == "test"


@pytest.mark.parametrize(
    ("key", "environment", "rate"),
    [("live_x", "live", 8), ("test_x", "test", 4), ("other", "", 4)],
)
def test_get_account__environment_and_rate(
    settings: Settings, key: str, environment: str, rate: int
) -> None:
    """The prefix of the key tells the environment and the share of the vendor's limit."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": key}}
    account = get_account()
    assert (account.environment, account.requests_per_second) == (environment, rate)
    assert environment_of(key) == environment


def test_get_account__read_at_call_time(settings: Settings) -> None:
    """A changed setting counts at once."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "BASE_URL": "http://a.example/v1/"}}
    assert get_account().base_url == "http://a.example/v1"
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "BASE_URL": "http://b.example/v1"}}
    assert get_account().base_url == "http://b.example/v1"


@pytest.mark.parametrize("accounts", [{}, [], None, {"other": {"API_KEY": KEY}}, {"default": {}}])
def test_get_account__unusable(settings: Settings, accounts: Any) -> None:
    """A missing account or key raises when it is used, and tells what to type."""
    settings.COMPLYCUBE_ACCOUNTS = accounts
    with pytest.raises(ImproperlyConfigured, match="API_KEY"):
        get_account()


def test_account__repr_hides_secrets(settings: Settings) -> None:
    """Neither the key nor a secret nor a proxy's password shows in ``repr``."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {
            "API_KEY": KEY,
            "WEBHOOK_SECRETS": ["hidden-secret"],
            "PROXIES": {"https": "http://user:hidden-password@proxy.example"},
        }
    }
    shown = repr(get_account())
    assert KEY not in shown
    assert "hidden" not in shown
    assert "default" in shown


def test_check_results__unknown_value(settings: Settings) -> None:
    """A wrong value raises when it is used."""
    settings.COMPLYCUBE_CHECK_RESULTS = "some"
    with pytest.raises(ImproperlyConfigured, match="review"):
        _ = conf.COMPLYCUBE_CHECK_RESULTS
