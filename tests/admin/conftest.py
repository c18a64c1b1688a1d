from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.admin.builders import make_staff

VIEWS = ("view_workflowsession", "view_relatedcheck", "view_sessionchange")
SENSITIVE = "view_sensitive_workflowsession"

SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """Return a browser of somebody with these permissions of the app."""

    def sign_in(*codenames: str, superuser: bool = False) -> Client:
        client = Client()
        client.force_login(make_staff(*codenames, superuser=superuser))
        return client

    return sign_in


@pytest.fixture
def reviewer(sign_in: SignIn) -> Client:
    """Return the browser of one who may see all of a session and change nothing."""
    return sign_in(*VIEWS, SENSITIVE)


@pytest.fixture
def viewer(sign_in: SignIn) -> Client:
    """Return the browser of one who may see sessions, but not what is sensitive."""
    return sign_in(*VIEWS)
