"""The two settings of the admin: how long is too long, and where the vendor's portal is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from complycube_sessions.conf import conf
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.system_checks import check_settings
from tests.admin.builders import make_session

PORTAL = "https://portal.example/sessions/{id}"


def test_defaults(settings: Any) -> None:
    """Without either setting a day is too long, and there is no portal."""
    del settings.COMPLYCUBE_ACCOUNTS
    assert timedelta(hours=24) == conf.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL
    assert conf.COMPLYCUBE_PORTAL_SESSION_URL == ""


@pytest.mark.parametrize("value", [24, None, timedelta(0), timedelta(hours=-1)])
def test_interval__wrong(settings: Any, value: object) -> None:
    """An interval that is no positive time is found by the check, and raises when it is used."""
    settings.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL = value
    assert [message.id for message in check_settings()] == ["complycube_sessions.E020"]
    with pytest.raises(ComplyCubeConfigurationError, match="timedelta"):
        assert conf.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL


@pytest.mark.parametrize(
    "value",
    [
        None,
        "https://portal.example/sessions/",
        "http://portal.example/{id}",
        "javascript:alert({id})",
        "https://{id}.example/",
        "https://portal.example{id}/",
        "https:///{id}",
        "https://portal.example/{id}/{id}",
    ],
)
def test_portal__wrong(settings: Any, value: object) -> None:
    """An address that is not https, or whose host an id could change, is refused."""
    settings.COMPLYCUBE_PORTAL_SESSION_URL = value
    assert [message.id for message in check_settings()] == ["complycube_sessions.E021"]
    with pytest.raises(ComplyCubeConfigurationError, match="https"):
        assert conf.COMPLYCUBE_PORTAL_SESSION_URL


def test_portal__link(viewer: Client, settings: Any) -> None:
    """The page of a session links into the portal where its address is set, and nowhere else."""
    session = make_session(id="../a?b")
    address = reverse("admin:complycube_sessions_workflowsession_change", args=[quote(session.pk)])
    assert "portal" not in viewer.get(address).content.decode()
    settings.COMPLYCUBE_PORTAL_SESSION_URL = PORTAL
    html = viewer.get(address).content.decode()
    assert 'href="https://portal.example/sessions/..%2Fa%3Fb"' in html
    assert 'rel="noopener noreferrer"' in html
