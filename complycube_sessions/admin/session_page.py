"""The page of one session, in the order of a reviewer's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest, QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display
from complycube_sessions.admin.base import ReadOnlyAdmin, allowed, list_state, with_list_state
from complycube_sessions.admin.check_reasons import (
    REASONS_SHOWN,
    reason_list,
    reasons_of,
    results_of,
)
from complycube_sessions.admin.decisions import Point, decision_points
from complycube_sessions.admin.evidence import evidence_line
from complycube_sessions.admin.filters import YES
from complycube_sessions.admin.session_list import LIST_FIELDS, outcome_with_flags, workflow_text
from complycube_sessions.admin.timeline import timeline
from complycube_sessions.admin.tree import tree
from complycube_sessions.admin.upstream import session_actions
from complycube_sessions.conf import conf
from complycube_sessions.findings import policies
from complycube_sessions.findings.meanings import Meaning
from complycube_sessions.models import PendingRefresh, RelatedCheck, SessionChange, WorkflowSession
from complycube_sessions.wording import beside

CHANGES_SHOWN: Final = 200
OTHER_SESSIONS_SHOWN: Final = 10
EVENTS_ON_TOP: Final = 4


@dataclass(frozen=True)
class Group:
    """Fields of a row that belong together."""

    title: Any
    fields: tuple[str, ...]


GROUPS: Final = (
    Group(
        gettext_lazy("Session"),
        ("id", "client_id", "entity_name", "account", "environment", "status", "outcome"),
    ),
    Group(
        gettext_lazy("Workflow"),
        (
            "workflow_template_name",
            "workflow_template_id",
            "workflow_template_description",
            "workflow_id",
            "workflow_version",
            "workflow_description",
            "last_completed_task_id",
        ),
    ),
    Group(gettext_lazy("Times at ComplyCube"), ("created_at", "completed_at", "updated_at")),
    Group(
        gettext_lazy("Stored here"),
        ("first_seen_at", "fetched_at", "missing_since", "needs_review", "announced_outcome"),
    ),
)


def session_context(
    page: ReadOnlyAdmin, request: HttpRequest, row: WorkflowSession, case: list[Point]
) -> dict[str, Any]:
    """
    Return what the page shows, in the order of a reviewer's questions.

    Args:
        page: Makes the addresses.
        request: Of the user.
        row: The session.
        case: What was done about its review, for the timeline.
    """
    sensitive = page.has_sensitive_permission(request)
    checks = checks_of(page, request, row)
    tasks = policies.items(row.tasks) if sensitive else []
    others_tasks = give_tasks(checks, tasks)
    changes = changes_of(request, row)
    others = others_of(page, row)
    decisions = decision_points(row, sensitive=sensitive)
    events = timeline(row, checks, others_tasks, changes, [*decisions, *case])
    return {
        "subtitle": _("Session %(id)s") % {"id": row.pk},
        "session": row,
        "outcome": display.outcome_appearance(row.outcome, row.status),
        "is_reopened": row.needs_review and row.outcome == WorkflowSession.Outcome.CLEAR,
        "status": display.status_pill(row.status),
        "checks": checks,
        "open_checks": [check for check in checks if not check["look"].is_clear],
        **policy_context(row),
        "timeline": events,
        "latest": [event for event in reversed(events) if event.kind not in {"copy", "task"}][
            :EVENTS_ON_TOP
        ],
        "tasks": [task_entry(task) for task in others_tasks],
        "others": others[:OTHER_SESSIONS_SHOWN],
        "more_others": len(others) > OTHER_SESSIONS_SHOWN,
        **pending_context(row),
        "groups": field_groups(row),
        "raw": tree(row.raw, open_levels=1) if sensitive else None,
        "sensitive": sensitive,
        **actions_context(page, request, row),
        "upstream_actions": session_actions(page, request, row, checks),
        "changes_url": changes_url(page, request, row),
        "time_to_complete": display.duration(display.between(row.created_at, row.completed_at)),
        "workflow": workflow_text(row),
    }


def actions_context(
    page: ReadOnlyAdmin, request: HttpRequest, row: WorkflowSession
) -> dict[str, Any]:
    """Return what the person may do next."""
    may_prove = page.has_evidence_permission(request)
    may_report = may_prove and page.has_sensitive_permission(request)

    def action_url(name: str) -> str:
        return with_list_state(request, page.url(name, row.pk))

    return {
        "portal_url": portal_url(row),
        "came_from_queue": QueryDict(list_state(request)).get("review") == YES,
        "previous_url": action_url("previous"),
        "next_url": action_url("next"),
        "refresh_url": action_url("refresh") if page.has_refresh_permission(request) else "",
        "evidence_url": action_url("evidence") if may_prove else "",
        "report_url": action_url("report") if may_report else "",
        "evidence": evidence_line(row.pk) if may_prove else "",
        "history_url": page.url("history", row.pk),
    }


def pending_context(row: WorkflowSession) -> dict[str, Any]:
    """Return the refresh that is due, if one is."""
    pending = PendingRefresh.objects.filter(account=row.account, session_id=row.pk).first()
    return {
        "pending": pending,
        "pending_error": beside(row.pk, pending.error) if pending else "",
        "next_try": display.moment(pending.next_try_at) if pending else "",
    }


def policy_context(row: WorkflowSession) -> dict[str, Any]:
    """Return the policies with what became of them, and what the marks mean that need it."""
    shown = policies.policies(row.compliance_policies, row.policy_assurance)
    found = [entry.policy for entry in shown]
    found += [item for entry in shown for item in entry.assurance]
    legend: dict[str, Meaning] = {}
    for item in found:
        if item.meaning is not None and item.meaning.note:
            legend.setdefault(item.meaning.tone, item.meaning)
    return {
        "policies": [policy_entry(entry) for entry in shown],
        "policy_legend": [(display.badge(word), word.note) for word in legend.values()],
    }


def policy_entry(entry: policies.Policy) -> dict[str, Any]:
    """Return a policy with its marks in words and, folded, what else is known of it."""
    # An assurance without a policy is both.
    assurance = [item for item in entry.assurance if item is not entry.policy]
    return {
        "title": entry.policy.title,
        "marks": [
            display.badge(item.meaning)
            for item in (entry.assurance or [entry.policy])
            if item.meaning is not None
        ],
        "facts": [fact for item in (entry.policy, *assurance) for fact in item.facts],
        "items": [task_entry(item) for item in (entry.policy, *assurance)],
    }


def task_entry(item: policies.Item) -> dict[str, Any]:
    """Return an object of the session whose shape is not documented, as the page shows it."""
    return {
        "item": item,
        "mark": display.badge(item.meaning) if item.meaning is not None else "",
        "times": [(key, display.moment(when)) for key, when in item.times],
        "rest": tree(item.rest, verdicts=True) if item.rest else "",
    }


def give_tasks(
    checks: Sequence[dict[str, Any]], tasks: Sequence[policies.Item]
) -> list[policies.Item]:
    """Let each check have the task that it ran in, and return the tasks that are of no check."""
    by_id = {task.item_id: task for task in tasks if task.item_id}
    used = set()
    for entry in checks:
        task = by_id.get(entry["check"].task_id)
        if task is not None:
            entry["task"] = task_entry(task)
            used.add(task.item_id)
    return [task for task in tasks if task.item_id not in used]


def checks_of(
    page: ReadOnlyAdmin, request: HttpRequest, row: WorkflowSession
) -> list[dict[str, Any]]:
    """Return the checks, what is not clear on top, each of those with its reasons for one who may see them."""
    may_open = allowed(request, "view_relatedcheck")
    shown: list[dict[str, Any]] = [
        {
            "check": check,
            "look": display.check_appearance(check),
            "label": display.check_type_label(check.type),
            "status": display.check_status_label(check.status),
            "updated": display.moment(check.updated_at),
            "url": page.row_url(check) if may_open else "",
        }
        for check in row.checks.all()
    ]
    if page.has_sensitive_permission(request):
        give_reasons([entry for entry in shown if not entry["look"].is_clear])
    return sorted(shown, key=lambda entry: display.TONE_GRAVITY[entry["look"].tone])


def give_reasons(entries: Sequence[dict[str, Any]]) -> None:
    """Let each of these checks have its reasons, the first of them, and a link to the others."""
    keys = [entry["check"].pk for entry in entries]
    results = results_of(RelatedCheck.objects.all(), keys)
    for entry in entries:
        found = reasons_of(entry["check"], results)
        entry["reasons"] = reason_list(
            found[:REASONS_SHOWN],
            more=max(0, len(found) - REASONS_SHOWN),
            url=entry["url"],
        )


def changes_of(request: HttpRequest, row: WorkflowSession) -> list[SessionChange]:
    """Return the newest changes, for one who may see them."""
    if not allowed(request, "view_sessionchange"):
        return []
    return list(row.changes.order_by("-observed_at", "-pk")[:CHANGES_SHOWN])


def changes_url(page: ReadOnlyAdmin, request: HttpRequest, row: WorkflowSession) -> str:
    """Return the address of the history of a session, or ``""`` for one who may not see it."""
    if not allowed(request, "view_sessionchange"):
        return ""
    return page.list_url(SessionChange, **{SEARCH_VAR: row.pk})


def others_of(page: ReadOnlyAdmin, row: WorkflowSession) -> list[dict[str, Any]]:
    """Return the client's other sessions, newest first, one more than are shown."""
    if not row.client_id:
        return []
    sessions = (
        WorkflowSession.objects.for_client(row.client_id)
        .exclude(pk=row.pk)
        .order_by("-created_at", "-pk")
        .only(*LIST_FIELDS)
    )
    return [
        {
            "url": page.row_url(session),
            "session": session,
            "outcome": outcome_with_flags(session),
            "status": display.status_pill(session.status),
            "workflow": workflow_text(session),
            "created": display.moment(session.created_at),
        }
        for session in sessions[: OTHER_SESSIONS_SHOWN + 1]
    ]


def field_groups(session: WorkflowSession) -> list[tuple[Any, list[tuple[str, Any]]]]:
    """Return every stored field that is a column of its own, by group, with its label."""
    return [
        (
            group.title,
            [(field_label(name), _value(session, name)) for name in group.fields],
        )
        for group in GROUPS
    ]


def field_label(name: str) -> str:
    """Return the label of a column of a session."""
    field: Any = WorkflowSession._meta.get_field(name)
    return str(capfirst(field.verbose_name))


def _value(session: WorkflowSession, name: str) -> Any:
    value = getattr(session, name)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return display.moment(value)
    return display.DASH if value in (None, "") else display.folded(str(value))


def portal_url(session: WorkflowSession) -> str:
    """Return the address of the session in the vendor's portal, or ``""`` when none is set."""
    pattern = conf.COMPLYCUBE_PORTAL_SESSION_URL
    return pattern.replace("{id}", quote(session.pk, safe="")) if pattern else ""
