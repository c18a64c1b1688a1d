"""The key goes to the configured host alone, over a connection that was verified."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.conf import Account, get_account
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
)
from tests.builders import SESSION_ID
from tests.security.servers import CERTIFICATE, Hostile, serving

KEY = "live_K3y-that-nobody-may-see"
SESSION = f'{{"id": "{SESSION_ID}"}}'


def client_of(url: str, **values: Any) -> ComplyCubeClient:
    account = Account(
        name="a", api_key=KEY, base_url=url, requests_per_second=1000, max_retries=0, **values
    )
    return ComplyCubeClient(account)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect__is_not_followed(status: int) -> None:
    """A redirect, to another host or back to this one, is an error; nobody else is asked."""
    with serving(Hostile(200, {}, SESSION)) as elsewhere, serving(Hostile(status)) as api:
        other = elsewhere.url.replace("127.0.0.1", "localhost")
        for location in (f"{other}/workflowSessions/{SESSION_ID}", f"/v1/x/{SESSION_ID}"):
            api.headers = {"Location": location}
            with pytest.raises(ComplyCubeAPIError, match="not followed") as caught:
                client_of(api.url).get_session(SESSION_ID)
            assert caught.value.status_code == status
    assert elsewhere.keys_seen == []
    assert api.keys_seen == [KEY, KEY]


def test_tls__trusted_by_the_account() -> None:
    """With the certificate in CA_BUNDLE the same server is asked: it is the trust that lacks below."""
    with serving(Hostile(200, {}, SESSION), tls=True) as api:
        client = client_of(api.url, ca_bundle=str(CERTIFICATE))
        assert client.get_session(SESSION_ID).value.id == SESSION_ID
    assert api.keys_seen == [KEY]


@pytest.mark.parametrize(
    "variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONHTTPSVERIFY", "SSL_CERT_FILE"]
)
def test_tls__not_switched_off_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """What the environment trusts, the session with the key does not; it sends nothing."""
    value = "0" if variable == "PYTHONHTTPSVERIFY" else str(CERTIFICATE)
    monkeypatch.setenv(variable, value)
    with (
        serving(Hostile(200, {}, SESSION), tls=True) as api,
        pytest.raises(ComplyCubeConnectionError, match="SSLError"),
    ):
        client_of(api.url).get_session(SESSION_ID)
    assert api.keys_seen == []


@pytest.mark.parametrize("value", [False, "", 0, True])
def test_tls__not_switched_off_by_the_settings(settings: Settings, value: object) -> None:
    """CA_BUNDLE is a path or nothing; every other value is refused when it is used."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "CA_BUNDLE": value}}
    with pytest.raises(ComplyCubeConfigurationError, match="cannot be switched off"):
        get_account()
