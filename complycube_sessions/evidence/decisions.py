"""The decisions in the evidence: the vendor's audit log, and changes requested from here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from complycube_sessions.models import WorkflowSession
from complycube_sessions.models.audit import Decision, decisions_of

DECISIONS_KEPT: Final = 1_000


def decisions(
    session: WorkflowSession, *, sensitive: bool, as_text: Callable[[datetime | None], str | None]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Return the decisions, oldest first, and the entries for ``left_out``.

    Args:
        session: The session.
        sensitive: Whether to include the diffs of the audit log.
        as_text: Formats a time.
    """
    newest = decisions_of(session, with_diff=sensitive, limit=DECISIONS_KEPT + 1)
    kept = [
        {"at": as_text(decision.at)}
        | (
            _of_vendor(decision, sensitive=sensitive)
            if decision.is_vendors
            else _from_here(decision)
        )
        for decision in reversed(newest[:DECISIONS_KEPT])
    ]
    if len(newest) <= DECISIONS_KEPT:
        return kept, []
    count = session.upstream_changes.count() + session.audit_entries.count()
    return kept, [{"what": "decisions", "why": "size", "count": count - DECISIONS_KEPT}]


def _of_vendor(entry: Decision, *, sensitive: bool) -> dict[str, Any]:
    return {
        "what": "audit_log",
        "entry_id": entry.key,
        "resource_type": entry.detail,
        "resource_id": entry.about,
        "member_id": entry.by,
        "action": entry.action,
        "trigger": entry.word,
    } | ({"diff": entry.diff} if sensitive else {})


def _from_here(change: Decision) -> dict[str, Any]:
    return {
        "what": "asked_from_here",
        "action": change.action,
        "check_id": change.about,
        "match_id": change.key,
        "outcome": change.word,
        "state": change.detail,
        "actor": change.by,
    }
