"""The vendor's audit log of a session: fetched with it, stored beside it, and never at its cost."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.exceptions import (
    ComplyCubeError,
    ComplyCubePermissionError,
    ComplyCubeServerError,
)
from complycube_sessions.models import AuditEntry, WorkflowSession
from complycube_sessions.services import erase_client, prune, refresh_session
from complycube_sessions.sync import audit
from tests.builders import by_hand
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def audited(settings: Settings) -> None:
    settings.COMPLYCUBE_AUDIT_LOGS = True
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "MAX_RETRIES": 0, "REQUESTS_PER_SECOND": 1000}
    }


@pytest.fixture
def session(api: FakeAPI) -> str:
    return api.add_session(1)


def add_entry(api: FakeAPI, number: int, resource_id: str, **fields: Any) -> str:
    pk = f"a{number:023x}"
    kind = "workflowSession" if resource_id in api.sessions else "check"
    api.audit_logs[pk] = {
        "id": pk,
        "memberId": "member1",
        "resourceType": kind,
        "resourceId": resource_id,
        "trigger": "validateCheck",
        "action": "update",
        "diff": [{"action": "update", "path": ["result", "outcome"], "old": "a", "new": "b"}],
        "createdAt": f"2026-01-02T10:00:{number % 60:02}.000Z",
        **fields,
    }
    return pk


def checks_of(api: FakeAPI, session_id: str) -> list[str]:
    return [check["checkId"] for check in api.sessions[session_id]["allRelatedChecks"]]


def test_refresh__stores_the_log(api: FakeAPI, session: str) -> None:
    """The entries of the session and of its checks are stored, once, and those of others are not."""
    check = checks_of(api, session)[0]
    mine, of_check = add_entry(api, 1, session), add_entry(api, 2, check)
    add_entry(api, 3, "another")
    for _ in range(2):
        refresh_session(session)
    rows = {row.entry_id: row for row in AuditEntry.objects.all()}
    assert set(rows) == {mine, of_check}
    row = rows[of_check]
    assert (row.session_id, row.resource_type, row.resource_id) == (session, "check", check)
    assert (row.member_id, row.action, row.trigger) == ("member1", "update", "validateCheck")
    assert row.diff == api.audit_logs[of_check]["diff"]
    assert row.created_at == datetime(2026, 1, 2, 10, 0, 2, tzinfo=UTC)


def test_refresh__asks_only_where_it_is_on(api: FakeAPI, session: str, settings: Settings) -> None:
    """One request for the session and one a check, and none without the setting."""
    refresh_session(session)
    assert api.count("/auditLogs") == 4
    settings.COMPLYCUBE_AUDIT_LOGS = False
    refresh_session(session)
    assert api.count("/auditLogs") == 4


def test_refresh__a_failure_costs_not_the_session(
    api: FakeAPI, session: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A plan without audit logs and a fault are told once; the session is stored, nothing is raised."""
    told: list[ComplyCubeError] = []
    for status, kind in ((403, ComplyCubePermissionError), (500, ComplyCubeServerError)):
        api.fail("/auditLogs", status)
        before = api.count("/auditLogs")
        with caplog.at_level(logging.WARNING, "complycube_sessions.refresh"):
            row = refresh_session(session, on_audit_error=told.append)
        assert row == WorkflowSession.objects.get()
        assert api.count("/auditLogs") == before + 1
        assert type(told.pop()) is kind
        assert f"{session}: its audit log is not complete here" in caplog.text
    assert told == []


SHAPES: dict[str, Any] = {
    "null": None,
    "text": "Person 1",
    "no id": {"resourceType": "check"},
    "bad id": {"id": "../x"},
    "number as id": {"id": 7},
}
STRANGE: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "nulls": dict.fromkeys(("memberId", "action", "trigger", "diff", "createdAt")),
    "wrong types": {"memberId": [1], "action": {}, "trigger": 7, "diff": "text", "createdAt": 5},
    "one difference": {"diff": {"action": "update", "path": ["a"]}},
    "misspelt": {"resouceType": "check", "diff": [[], None, 1]},
    "nul": {"trigger": "a\0b", "diff": [{"new": "\ud800"}]},
    "long": {"trigger": "t" * 5000, "memberId": "m" * 5000, "diff": [{"new": "x " * 50_000}]},
    "many": {"diff": [{"new": "word " * 100}] * 5000},
    "future": {"createdAt": "2099-01-01T00:00:00.000Z"},
    "image": {"diff": [{"new": "/9j/4AAQSkZJRgABAQ" + "A" * 3000}]},
}


@pytest.mark.parametrize("name", SHAPES)
def test_refresh__a_bad_entry_costs_itself(api: FakeAPI, session: str, name: str) -> None:
    """What is no entry is named, and the others are stored."""
    good = add_entry(api, 1, session)
    entries = [SHAPES[name], api.audit_logs[good]]
    body = {"page": 1, "pages": 1, "pageSize": 100, "totalItems": 2, "items": entries}
    api.fail("/auditLogs", 200, body)
    told: list[ComplyCubeError] = []
    refresh_session(session, on_audit_error=told.append)
    assert [row.entry_id for row in AuditEntry.objects.all()] == [good]
    assert "Person" not in str(told)
    assert told


@pytest.mark.parametrize("name", STRANGE)
def test_refresh__strange_entries_are_stored(api: FakeAPI, session: str, name: str) -> None:
    """Whatever an entry lacks or holds, what can be kept of it is, within bounds."""
    pk = add_entry(api, 1, session)
    kept = {key: api.audit_logs[pk][key] for key in ("id", "resourceType", "resourceId")}
    api.audit_logs[pk] = kept | STRANGE[name]
    refresh_session(session)
    row = AuditEntry.objects.get()
    assert row.entry_id == pk
    assert isinstance(row.diff, list)
    assert len(str(row.diff)) < 80_000
    assert "A" * 1000 not in str(row.diff)


def test_refresh__filter_that_is_not_understood(api: FakeAPI, session: str) -> None:
    """Entries about somebody else are not taken for this session's."""
    add_entry(api, 1, "another")
    api.ignored_filters = {"resourceType", "resourceId"}
    told: list[ComplyCubeError] = []
    refresh_session(session, on_audit_error=told.append)
    assert not AuditEntry.objects.exists()
    assert "something else" in str(told[0])


def test_refresh__is_bounded(api: FakeAPI, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many checks and pages are asked for and no more, and that is told."""
    for number in range(9):
        add_entry(api, number, session)
    monkeypatch.setattr(audit, "MAX_CHECKS", 1)
    monkeypatch.setattr(audit, "MAX_PAGES", 2)
    api.page_size_limit = 3
    told: list[ComplyCubeError] = []
    refresh_session(session, on_audit_error=told.append)
    assert AuditEntry.objects.count() == 6
    assert api.count("/auditLogs") == 3
    assert "No more than 1 checks" in str(told[0])


def mask(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    if kind == "audit_entry":
        data["diff"] = ["masked"]
    return data


def fail_on_entries(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    if kind == "audit_entry":
        raise ValueError("Person 1")
    return data


def test_refresh__scrubber_and_results(api: FakeAPI, session: str, settings: Settings) -> None:
    """The project's scrubber sees each entry; where no results are kept, no difference is."""
    add_entry(api, 1, session)
    settings.COMPLYCUBE_SCRUBBER = f"{__name__}.fail_on_entries"
    told: list[ComplyCubeError] = []
    refresh_session(session, on_audit_error=told.append)
    assert not AuditEntry.objects.exists()
    assert "raised ValueError" in str(told[0])
    settings.COMPLYCUBE_SCRUBBER = f"{__name__}.mask"
    refresh_session(session)
    assert AuditEntry.objects.get().diff == ["masked"]
    settings.COMPLYCUBE_SCRUBBER = None
    settings.COMPLYCUBE_CHECK_RESULTS = "none"
    other = add_entry(api, 2, session)
    refresh_session(session)
    assert AuditEntry.objects.get(entry_id=other).diff == []


def test_removal__goes_with_the_session(api: FakeAPI, session: str, settings: Settings) -> None:
    """An erasure and the retention remove the log and count it, and a dry run counts the same."""
    from datetime import timedelta

    for number in range(3):
        add_entry(api, number, session)
    client_id = refresh_session(session).client_id
    assert erase_client(client_id, dry_run=True).rows["AuditEntry"] == 3
    assert erase_client(client_id).rows["AuditEntry"] == 3
    assert not AuditEntry.objects.exists()
    other = api.add_session(2)
    add_entry(api, 9, other)
    refresh_session(other)
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=1)}
    with by_hand():
        WorkflowSession.objects.update(
            created_at="2020-01-01T00:00Z", updated_at="2020-01-01T00:00Z", completed_at=None
        )
    assert prune().rows["AuditEntry"] == 1
