"""What happened to a session, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from complycube_sessions.admin import display
from complycube_sessions.admin.decisions import Point
from complycube_sessions.findings import policies
from complycube_sessions.models import SessionChange, WorkflowSession


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

    @property
    def ago(self) -> SafeString | str:
        return display.ago(self.when)


def timeline(
    session: WorkflowSession,
    checks: list[dict[str, Any]],
    tasks: list[policies.Item],
    changes: list[SessionChange],
    decisions: list[Point],
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
    points += decisions
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
