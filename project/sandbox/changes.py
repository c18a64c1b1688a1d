"""
What a caller can change: the state of a session, and the outcome of a check.

Each change is in later answers, in the audit log, and in the events of the webhooks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from project.sandbox.answers import RefusedError, body_of
from project.sandbox.audit import Change, write_entry
from project.sandbox.data import Body, assurance, iso, pending_checks
from project.sandbox.events import announce, check_event, session_event
from project.sandbox.models import SandboxCheck, SandboxSession

SESSION: Final = "workflow session"
CHECK: Final = "check"
LONGEST_COMMENT: Final = 4000
VALIDATIONS: Final = ("confirmed", "rejected", "attention")
# Of a check that is no screening; a match that is confirmed is bad news, a document is not.
OUTCOMES: Final = {"confirmed": "clear", "rejected": "rejected", "attention": "attention"}
TRIGGERS: Final = {"processing": "completeWorkflowSession", "cancelled": "cancelWorkflowSession"}


def leave_started(session_id: str, status: str) -> None:
    """
    Move a started session on, and start its checks when its client is done.

    Raises:
        UnknownError: There is no such session.
        RefusedError: It has left the status already; what the vendor answers then is documented nowhere.
    """
    with transaction.atomic():
        session = json.loads(
            body_of(SandboxSession.objects.select_for_update(), SESSION, session_id)
        )
        before = session["status"]
        if before != "started":
            raise RefusedError(f"The workflow session is {before}")
        now = timezone.now()
        session.update(status=status, updatedAt=iso(now))
        checks = pending_checks(session, now) if status == "processing" else []
        if checks:
            session["allRelatedChecks"] = [
                {"checkId": check["id"], "type": check["type"], "taskId": task_id}
                for check, task_id in checks
            ]
            SandboxCheck.objects.bulk_create(
                SandboxCheck.from_body(check) for check, _task_id in checks
            )
        SandboxSession.from_body(session).save(force_update=True)
        change = Change(("status",), before, status)
        write_entry("workflowSession", session, TRIGGERS[status], [change], now)
    announce(
        [
            *(check_event("check.pending", check) for check, _task_id in checks),
            session_event(session),
        ]
    )


def validate_check(check_id: str, sent: dict[str, Any]) -> str:
    """
    Give a check, or one match of a screening, the outcome that a person decided on.

    Args:
        check_id: The check.
        sent: The body of the request: ``outcome``, ``matchId`` for a screening, ``comment``.

    Returns:
        The outcome that the check has now.

    Raises:
        UnknownError: There is no such check.
        RefusedError: The body is not as documented, or the check is not complete.
    """
    validation = _validation(sent)
    with transaction.atomic():
        check = json.loads(body_of(SandboxCheck.objects.select_for_update(), CHECK, check_id))
        if check["status"] != "complete":
            raise RefusedError(f"The check is {check['status']}")
        before = check["result"]["outcome"]
        if check["type"].endswith("screening_check"):
            changes = [_validate_match(check, sent.get("matchId"), validation)]
        else:
            check["result"]["outcome"] = OUTCOMES[validation]
            changes = []
        after: str = check["result"]["outcome"]
        if after != before:
            changes.append(Change(("result", "outcome"), before, after))
        now = timezone.now()
        check["updatedAt"] = iso(now)
        SandboxCheck.from_body(check).save(force_update=True)
        write_entry("check", check, "validateCheck", changes, now)
        sessions = [_follow(session, now) for session in _sessions_of(check)]
    announce(
        [
            check_event("check.updated", check),
            check_event(f"check.completed.{after}", check),
            *(session_event(session, "updated") for session, is_other in sessions if is_other),
        ]
    )
    return after


def _validation(sent: dict[str, Any]) -> str:
    validation, comment = sent.get("outcome"), sent.get("comment")
    if validation not in VALIDATIONS:
        raise RefusedError(f"'outcome' must be one of {', '.join(VALIDATIONS)}", param="outcome")
    is_text = comment is None or isinstance(comment, str)
    if not is_text or len(comment or "") > LONGEST_COMMENT:
        message = f"'comment' must be a text of at most {LONGEST_COMMENT} characters"
        raise RefusedError(message, param="comment")
    return str(validation)


def _validate_match(check: Body, match_id: object, validation: str) -> Change:
    """Decide on one match; a screening is clear only when all of them are dismissed."""
    if not match_id:
        raise RefusedError("'matchId' must be provided for a screening check", param="matchId")
    matches = check["result"].get("breakdown", {}).get("matches", [])
    places = [place for place, match in enumerate(matches) if match.get("id") == match_id]
    if not places:
        raise RefusedError("'matchId' is not a match of the check", param="matchId")
    match = matches[places[0]]
    before = match.get("validation", "")
    match["validation"] = validation
    verdicts = {match.get("validation") for match in matches}
    if "confirmed" in verdicts:
        check["result"]["outcome"] = "match_confirmed"
    else:
        check["result"]["outcome"] = "clear" if verdicts == {"rejected"} else "attention"
    path = ("result", "breakdown", "matches", places[0], "validation")
    return Change(path, before, validation)


def _sessions_of(check: Body) -> Iterable[Body]:
    rows = SandboxSession.objects.select_for_update().filter(client_id=check["clientId"])
    for text in rows.values_list("body", flat=True):
        session = json.loads(text)
        if check["id"] in _check_ids(session):
            yield session


def _check_ids(session: Body) -> list[str]:
    return [related["checkId"] for related in session.get("allRelatedChecks", [])]


def _follow(session: Body, now: datetime) -> tuple[Body, bool]:
    """Let a session follow its checks; return it, and whether its outcome is another now."""
    ids = _check_ids(session)
    bodies = SandboxCheck.objects.filter(pk__in=ids).values_list("body", flat=True)
    checks = sorted(map(json.loads, bodies), key=lambda check: ids.index(check["id"]))
    before = session.get("outcome", "")
    session["updatedAt"] = iso(now)
    if session["status"] == "complete":
        session["outcome"] = _outcome(before, checks)
    _follow_in_tasks(session, checks)
    is_other = session.get("outcome", "") != before
    if is_other:
        policies = assurance(session, checks, session["outcome"], now)
        session.update({"policyAssurance": policies} if policies else {})
        change = Change(("outcome",), before, session["outcome"])
        write_entry("workflowSession", session, "updateWorkflowSession", [change], now)
    SandboxSession.from_body(session).save(force_update=True)
    return session, is_other


def _follow_in_tasks(session: Body, checks: list[Body]) -> None:
    """Let each task that has an outcome have that of its last check."""
    by_id = {check["id"]: check.get("result", {}).get("outcome", "") for check in checks}
    last = {
        related.get("taskId"): by_id.get(related["checkId"], "")
        for related in session.get("allRelatedChecks", [])
    }
    for task in session.get("tasks", []):
        if "outcome" in task and last.get(task.get("id")):
            task["outcome"] = last[task["id"]]


def _outcome(before: str, checks: list[Body]) -> str:
    """Return the outcome of a complete session by those of its checks, the worst of which counts."""
    found = {check.get("result", {}).get("outcome", check["status"]) for check in checks}
    for worst in ("match_confirmed", "rejected"):
        if worst in found:
            return worst
    if found <= {"clear"}:
        return "clear"
    return "attention" if before in {"clear", "match_confirmed", "rejected"} else before
