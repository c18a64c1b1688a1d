"""Sessions at the vendor that something can be changed about."""

from __future__ import annotations

from typing import Any

from pytest_django import Settings

from complycube_sessions.services import refresh_session
from tests.fake_api import KEY, FakeAPI

MATCH = {"id": "m1", "name": "<script>alert(1)</script>", "validation": "pending"}


def allow_changes(settings: Settings) -> None:
    """Allow changes at the vendor, and send each request once and at once."""
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "MAX_RETRIES": 0, "REQUESTS_PER_SECOND": 1000}
    }


def store_attention(api: FakeAPI, match: dict[str, Any] = MATCH) -> str:
    """Store a session whose document and screening are in need of attention, and return its id."""
    session_id = api.add_session(1, outcome="attention")
    document, _, screening = checks_of(api, session_id)
    api.touch_check(document, "attention")
    api.touch_check(screening, "attention")
    api.checks[screening]["result"]["breakdown"]["matches"] = [dict(match)]
    refresh_session(session_id)
    return session_id


def store_started(api: FakeAPI) -> str:
    """Store a session that has only begun, and return its id."""
    session_id = api.add_session(2, status="started", checks=0)
    del api.sessions[session_id]["outcome"]
    refresh_session(session_id)
    return session_id


def checks_of(api: FakeAPI, session_id: str) -> list[str]:
    """Return the ids of a session's checks: document, identity, screening."""
    return [check["checkId"] for check in api.sessions[session_id]["allRelatedChecks"]]
