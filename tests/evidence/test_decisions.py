"""Evidence holds who decided what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from complycube_sessions.evidence import decisions
from complycube_sessions.evidence.build import Content, export_evidence
from complycube_sessions.models import AuditEntry, UpstreamChange, WorkflowSession
from tests.admin.builders import NOON, make_session
from tests.builders import by_hand

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> WorkflowSession:
    session = make_session()
    with by_hand():
        AuditEntry.objects.create(
            session=session,
            entry_id="a1",
            resource_type="check",
            resource_id="c1",
            member_id="member1",
            trigger="validateCheck",
            action="update",
            diff=[{"path": ["result"], "old": "attention", "new": "<b>clear"}],
            created_at=NOON,
            fetched_at=NOON,
        )
    UpstreamChange.objects.create(
        session=session,
        action="validate",
        check_id="c1",
        outcome="rejected",
        state="done",
        actor="user:7",
    )
    return session


def document(session: WorkflowSession, content: Content | None = None) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(export_evidence(session.pk, content=content).json)
    return loaded


def test_evidence__decisions(session: WorkflowSession) -> None:
    """Both the vendor's log and what was asked from here are in both files, oldest first."""
    entry, change = document(session)["decisions"]
    assert (entry["what"], entry["member_id"], entry["resource_id"]) == (
        "audit_log",
        "member1",
        "c1",
    )
    assert entry["diff"][0]["new"] == "<b>clear"
    assert (change["what"], change["actor"], change["state"]) == (
        "asked_from_here",
        "user:7",
        "done",
    )
    page = export_evidence(session.pk).page.decode()
    assert "validateCheck · update · check · c1" in page
    assert "validate · c1 · rejected · done" in page
    assert "&lt;b&gt;clear" in page


def test_evidence__decisions_by_permission(session: WorkflowSession) -> None:
    """What differs is sensitive, and all of it is history."""
    shown = document(session, Content(sensitive=False))["decisions"]
    assert [set(entry) & {"diff"} for entry in shown] == [set(), set()]
    assert (
        "&lt;b&gt;clear"
        not in export_evidence(session.pk, content=Content(sensitive=False)).page.decode()
    )
    assert document(session, Content(history=False))["decisions"] == []


def test_evidence__decisions_are_bounded(
    session: WorkflowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are kept, and how many are left out is said."""
    monkeypatch.setattr(decisions, "DECISIONS_KEPT", 1)
    found = document(session)
    assert [entry["what"] for entry in found["decisions"]] == ["asked_from_here"]
    assert {"what": "decisions", "why": "size", "count": 1} in found["left_out"]
    assert "1 older decisions" in export_evidence(session.pk).page.decode()
