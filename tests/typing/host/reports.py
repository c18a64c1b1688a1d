"""
What a host asks of the models, the querysets and the services.

``assert_type`` pins what a type checker must see; an ignored line is a mistake that it must find, as an
ignore that is not needed is an error of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import assert_type

from complycube_sessions.exceptions import ComplyCubeAPIError, ComplyCubeError
from complycube_sessions.models import RefreshRun, RelatedCheck, SessionChange, WorkflowSession
from complycube_sessions.models.session_queries import WorkflowSessionQuerySet
from complycube_sessions.services import refresh_session, refresh_sessions


def fetch(session_id: str) -> WorkflowSession | None:
    try:
        return assert_type(refresh_session(session_id, account="default"), WorkflowSession)
    except ComplyCubeAPIError as error:
        assert_type(error.status_code, int)
    except ComplyCubeError as error:
        assert_type(error, ComplyCubeError)
    return None


def fetch_all(since: datetime) -> int:
    run = assert_type(refresh_sessions(since=since, limit=50), RefreshRun)
    assert_type(run.finished_at, datetime | None)
    return assert_type(run.fetched, int)


def waiting(client_id: str) -> list[str]:
    sessions = (
        WorkflowSession.objects.for_client(client_id)
        .needs_review()
        .with_check("document_check", RelatedCheck.Outcome.ATTENTION)
        .created_between(datetime(2026, 1, 1, tzinfo=UTC))
        .order_by("created_at")
    )
    assert_type(sessions, WorkflowSessionQuerySet)
    return [assert_type(session.entity_name, str) for session in sessions]


def oldest_open() -> datetime | None:
    session = WorkflowSession.objects.open().order_by("created_at").first()
    assert_type(session, WorkflowSession | None)
    return None if session is None else assert_type(session.created_at, datetime | None)


def story(session: WorkflowSession) -> list[str]:
    checks = [f"{check.type}: {check.outcome}" for check in session.checks.all()]
    changes = [assert_type(change, SessionChange).new for change in session.changes.all()]
    return [*checks, *changes]


def counts() -> dict[str, int]:
    return {
        "declined": WorkflowSession.objects.declined().count(),
        "stale": WorkflowSession.objects.stale(older_than=timedelta(hours=6)).count(),
        "found": WorkflowSession.objects.search("doe").count(),
    }


def mistakes(session: WorkflowSession) -> None:
    """Hold what a host must not write; it is checked and never run."""
    refresh_session(5)  # type: ignore[arg-type]
    refresh_sessions(since="2d")  # type: ignore[arg-type]
    refresh_session("5eb2b61e02df0a0008f1cf2a", "default")  # type: ignore[call-arg]
    WorkflowSession.objects.stale(6)  # type: ignore[call-arg, arg-type]
    WorkflowSession.objects.for_client(None)  # type: ignore[arg-type]
    WorkflowSession.objects.waiting()  # type: ignore[attr-defined]
    _ = session.client  # type: ignore[attr-defined]
    _ = session.created_at.year  # type: ignore[union-attr]
