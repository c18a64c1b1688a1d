"""Sessions that the store has written, and the people who work on their reviews."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from complycube_sessions.api.payloads import parse_check, parse_session
from complycube_sessions.conf import get_account
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.write import store_batch
from tests.fake_api import iso

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_numbers = itertools.count(1)
_minutes = itertools.count(1)
AML = "extensive_screening_check"


def session_id(number: int) -> str:
    return f"5e55{number:020x}"


def fetched(number: int, **said: Any) -> FetchedSession:
    """
    Return a session with one check as an answer would tell it.

    Args:
        number: Which session.
        said: ``outcome``, ``status``, ``check``, ``check_status``, ``matches`` (validations), ``checks`` (how many).
    """
    at = NOON + timedelta(minutes=next(_minutes))
    pk = session_id(number)
    common = {"createdAt": iso(NOON + timedelta(seconds=number)), "updatedAt": iso(at)}
    checks = []
    for place in range(said.get("checks", 1)):
        matches = [{"id": f"m{i}", "validation": v} for i, v in enumerate(said.get("matches", ()))]
        source = {
            **common,
            "id": f"c{place}{pk[2:]}",
            "type": AML,
            "status": said.get("check_status", "complete"),
            "result": {
                "outcome": said.get("check", "clear"),
                "breakdown": {"summary": {}, "matches": matches},
            },
        }
        checks.append(source)
    body = {
        **common,
        "id": pk,
        "clientId": f"client{number}",
        "entityName": f"Person {number}",
        "status": said.get("status", "complete"),
        "outcome": said.get("outcome", "attention"),
        "completedAt": iso(NOON + timedelta(seconds=number)),
        "allRelatedChecks": [{"checkId": c["id"], "type": AML, "taskId": "1"} for c in checks],
    }
    answers = tuple(FetchedCheck(parse_check(c, check_id=c["id"]), at) for c in checks)
    return FetchedSession(pk, parse_session(body, session_id=pk), at, answers)


def store(number: int = 1, **said: Any) -> str:
    """Store one session as a run would, and return its id."""
    stored = store_batch(get_account(), [fetched(number, **said)])
    assert not stored.failed
    return session_id(number)


def make_user(name: str = "") -> Any:
    return get_user_model().objects.create_user(name or f"person-{next(_numbers)}", password="x")
