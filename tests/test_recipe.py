"""The recipe of ``docs/signals.md``: a host project unlocks its own customer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from complycube_sessions.services import refresh_sessions
from complycube_sessions.signals import session_outcome_changed
from complycube_sessions.webhooks.processing import process_webhook_events
from tests.fake_api import KEY, FakeAPI
from tests.webhook_requests import SECRET, event, post

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).parent.parent / "docs" / "signals.md"


class Customer:
    """Stands in for the host's model: a set of customers by client id, each unlocked or not."""

    unlocked: dict[str, bool] = {}

    @classmethod
    def set_unlocked(cls, client_id: str, value: bool) -> None:
        cls.unlocked[client_id] = value


@pytest.fixture(autouse=True)
def recipe(settings: Settings) -> Iterator[None]:
    """Run the code that the document shows, as a host project would."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "WEBHOOK_SECRETS": [SECRET], "REQUESTS_PER_SECOND": 10_000}
    }
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    (code,) = re.findall(
        r"<!-- recipe -->\n```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    Customer.unlocked = {}
    names: dict[str, Any] = {"Customer": Customer}
    receivers = list(session_outcome_changed.receivers)
    exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document
    yield
    session_outcome_changed.receivers = receivers
    session_outcome_changed.sender_receivers_cache.clear()


@pytest.mark.parametrize(
    ("outcome", "unlocked"),
    [("clear", True), ("attention", False), ("splendid", False), ("", False), ("Clear", False)],
)
def test_recipe__only_clear_unlocks(
    client: Client, api: FakeAPI, outcome: str, unlocked: bool
) -> None:
    """An event whose session is clear unlocks; an unknown or missing outcome never does."""
    session_id = api.add_session(1, outcome="", status="processing")
    client_id = api.sessions[session_id]["clientId"]
    refresh_sessions()
    api.touch(session_id, status="complete", outcome=outcome)
    assert post(client, event("1", id=session_id, outcome="clear")).status_code == 200
    process_webhook_events()
    assert Customer.unlocked.get(client_id, False) is unlocked


def test_recipe__locked_again(client: Client, api: FakeAPI) -> None:
    """An outcome that turns bad later locks the customer again, however the change arrived."""
    session_id = api.add_session(1)
    client_id = api.sessions[session_id]["clientId"]
    post(client, event("1", id=session_id))
    process_webhook_events()
    assert Customer.unlocked == {client_id: True}
    api.touch(session_id, outcome="attention")
    refresh_sessions()
    assert Customer.unlocked == {client_id: False}
