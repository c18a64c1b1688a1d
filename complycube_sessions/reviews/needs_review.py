"""Deciding whether a session needs a human review: a pure function of its row and its checks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.models.session_queries import REFUSALS


def needs_review(session: WorkflowSession, checks: Iterable[RelatedCheck]) -> bool:
    """
    Return whether a session needs a human review.

    True for a complete session whose outcome is neither clear nor a final refusal. Also true for a clear session
    with a check that is not clear and was, or may have been, updated after the session completed.
    """
    if session.status != WorkflowSession.Status.COMPLETE or session.outcome in REFUSALS:
        return False
    if session.outcome != WorkflowSession.Outcome.CLEAR:
        return True
    return any(_is_reopened(check, session.completed_at) for check in checks)


def _is_reopened(check: RelatedCheck, completed_at: datetime | None) -> bool:
    if check.fetched_at is None or check.missing_since is not None:
        return False
    if check.outcome == RelatedCheck.Outcome.CLEAR:
        return False
    return completed_at is None or check.updated_at is None or check.updated_at > completed_at
