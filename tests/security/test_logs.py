"""What the app logs: fields to search by, and nobody's name."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from complycube_sessions import views
from complycube_sessions.services import refresh_sessions
from complycube_sessions.webhooks.processing import process_webhook_events
from complycube_sessions.webhooks.rate_limited_log import RateLimitedLog
from tests.fake_api import KEY, FakeAPI, served
from tests.webhook_requests import SECRET, event, post

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


@pytest.mark.django_db
def test_logs__structured_and_impersonal(
    client: Client,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every record has the account or the kind of error in a field of its own, and no person."""
    monkeypatch.setattr(views, "log_refused", RateLimitedLog(logging.WARNING))
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    api = FakeAPI()
    good, bad, broken = (api.add_session(number) for number in (1, 2, 3))
    api.fail(f"/workflowSessions/{bad}", 500, {"type": "server_error", "message": "x"})
    api.fail(f"/workflowSessions/{broken}", 200, b'{"entityName": "Person 3", ')
    with served(api) as url, caplog.at_level(logging.DEBUG, "complycube_sessions"):
        settings.COMPLYCUBE_ACCOUNTS = {
            "default": {
                "API_KEY": KEY,
                "BASE_URL": url,
                "WEBHOOK_SECRETS": [SECRET],
                "REQUESTS_PER_SECOND": 10_000,
                "MAX_RETRIES": 0,
            }
        }
        refresh_sessions()
        post(client, event("1", id=bad, entityName="Person 2"))
        post(client, event("2", id=good, entityName="Person 1"), secret="wrong")
        process_webhook_events()
    ours = [record for record in caplog.records if record.name.startswith("complycube_sessions.")]
    assert {"complycube_sessions.refresh", "complycube_sessions.webhook"} <= {r.name for r in ours}
    failed = [extras(record) for record in ours if record.name == "complycube_sessions.refresh"]
    assert {"account": "default", "session_id": bad} in failed
    for record in ours:
        fields = extras(record)
        assert fields.get("account") == "default" or fields.get("error"), record.getMessage()
        said = record.getMessage() + json.dumps(fields)
        assert "Person" not in said
        assert KEY not in said
