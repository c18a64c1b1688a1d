"""The page of one session, in the order of a reviewer's questions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display, policies
from complycube_sessions.admin.base import ReadOnlyAdmin, allowed
from complycube_sessions.admin.evidence import evidence_line
from complycube_sessions.admin.session_list import LIST_FIELDS, outcome_with_flags, workflow_text
from complycube_sessions.admin.tree import tree
from complycube_sessions.conf import conf
from complycube_sessions.models import PendingRefresh, SessionChange, WorkflowSession
from complycube_sessions.wording import beside

CHANGES_SHOWN: Final = 200
OTHER_SESSIONS_SHOWN: Final = 10


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


@dataclass(frozen=True)
class Event:
    """One point of the timeline."""

    when: datetime
    text: SafeString | str
    kind: str
    gap: str = ""

    @property
    def time(self) -> SafeString | str:
        return display.moment(self.when)


def session_context(
    page: ReadOnlyAdmin, request: HttpRequest, row: WorkflowSession
) -> dict[str, Any]:
    """Return what the page shows, in the order of a reviewer's questions."""
    sensitive = page.has_sensitive_permission(request)
    may_prove = page.has_evidence_permission(request)
    checks = checks_of(page, request, row)
    tasks = policies.items(row.tasks) if sensitive else []
    changes = changes_of(request, row)
    others = others_of(page, row)
    pending = PendingRefresh.objects.filter(account=row.account, session_id=row.pk).first()
    return {
        "subtitle": _("Session %(id)s") % {"id": row.pk},
        "session": row,
        "outcome": display.outcome_appearance(row.outcome, row.status),
        "status": display.status_pill(row.status),
        "checks": checks,
        "open_checks": [check for check in checks if not check["look"].is_clear],
        "policies": policies.policies(row.compliance_policies, row.policy_assurance),
        "timeline": timeline(row, checks, tasks, changes),
        "tasks": tasks,
        "others": others[:OTHER_SESSIONS_SHOWN],
        "more_others": len(others) > OTHER_SESSIONS_SHOWN,
        "pending": pending,
        "pending_error": beside(row.pk, pending.error) if pending else "",
        "next_try": display.moment(pending.next_try_at) if pending else "",
        "groups": field_groups(row),
        "raw": tree(row.raw, open_levels=1) if sensitive else None,
        "sensitive": sensitive,
        "portal_url": portal_url(row),
        "refresh_url": page.url("refresh", row.pk) if page.has_refresh_permission(request) else "",
        "evidence_url": page.url("evidence", row.pk) if may_prove else "",
        "report_url": page.url("report", row.pk) if may_prove and sensitive else "",
        "evidence": evidence_line(row.pk) if may_prove else "",
        "history_url": page.url("history", row.pk),
        "changes_url": changes_url(page, request, row),
        "time_to_complete": display.duration(display.between(row.created_at, row.completed_at)),
        "workflow": workflow_text(row),
    }


def checks_of(
    page: ReadOnlyAdmin, request: HttpRequest, row: WorkflowSession
) -> list[dict[str, Any]]:
    """Return the checks, reasons first: what is not clear stands on top."""
    may_open = allowed(request, "view_relatedcheck")
    shown = [
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
    return sorted(shown, key=lambda entry: entry["look"].is_clear)


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


def timeline(
    session: WorkflowSession,
    checks: list[dict[str, Any]],
    tasks: list[policies.Item],
    changes: list[SessionChange],
) -> list[Event]:
    """Return what happened, oldest first, each with the time since the event before it."""
    points: list[tuple[datetime | None, SafeString | str, str]] = [
        (session.created_at, _("Session created"), "vendor"),
        (session.completed_at, _("Session completed"), "vendor"),
        (session.updated_at, _("Last updated by ComplyCube"), "vendor"),
        (session.first_seen_at, _("First stored here"), "copy"),
        (session.fetched_at, _("Last fetched"), "copy"),
        (session.missing_since, _("No longer known to ComplyCube"), "copy"),
    ]
    for entry in checks:
        text = format_html("<bdi>{}</bdi> {}", entry["label"], entry["look"].badge)
        points.append((entry["check"].updated_at, text, "check"))
    for task in tasks:
        for key, when in task.times:
            text = format_html(
                '{} <bdi>{}</bdi> <span class="ccs-quiet">{}</span>', _("Task"), task.title, key
            )
            points.append((when, text, "task"))
    points += [
        (change.changed_at or change.observed_at, change_text(change), "change")
        for change in changes
    ]
    known = sorted(
        ((when, text, kind) for when, text, kind in points if when is not None),
        key=lambda point: point[0],
    )
    events: list[Event] = []
    for at, shown, kind in known:
        gap = display.duration(at - events[-1].when) if events else ""
        events.append(Event(at, shown, kind, gap))
    return events


def change_text(change: SessionChange) -> SafeString:
    """Return a change as a sentence of field, old and new."""
    return format_html(
        '{} <code>{}</code> {} <span aria-hidden="true">→</span>'
        '<span class="visually-hidden">{}</span> {}',
        display.change_field_label(change),
        change.check_id,
        display.change_value(change, change.old),
        _("became"),
        display.change_value(change, change.new),
    )
