"""Who decided what at ComplyCube, for the timeline of a session."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.models import UpstreamChange, WorkflowSession

CHANGES_SHOWN: Final = 100

Point = tuple[datetime | None, SafeString | str, str]

_DONE: Final = {
    UpstreamChange.State.SENT: gettext_lazy("sent; what became of it is not known"),
    UpstreamChange.State.DONE: gettext_lazy("done"),
    UpstreamChange.State.NOT_DONE: gettext_lazy("not done"),
    UpstreamChange.State.UNKNOWN: gettext_lazy("answer lost; not known whether done"),
}
_WHAT: Final = {
    UpstreamChange.Action.VALIDATE: gettext_lazy("Decision sent to ComplyCube"),
    UpstreamChange.Action.COMPLETE: gettext_lazy("Completion asked of ComplyCube"),
    UpstreamChange.Action.CANCEL: gettext_lazy("Cancellation asked of ComplyCube"),
}


def decision_points(session: WorkflowSession) -> list[Point]:
    """Return what was decided about a session, by whom, as points of its timeline."""
    return _changes(session)


def _changes(session: WorkflowSession) -> list[Point]:
    rows = session.upstream_changes.order_by("-pk")[:CHANGES_SHOWN]
    return [(row.requested_at, _change_text(row), "change") for row in rows]


def _change_text(row: UpstreamChange) -> SafeString:
    labels: dict[Any, Any] = {**_WHAT, **_DONE}
    about = " · ".join(filter(None, (row.check_id, row.match_id, row.outcome)))
    return format_html(
        '{} <code>{}</code> <span class="ccs-quiet">{} · {}</span>',
        labels.get(row.action, row.action),
        about,
        labels.get(row.state, row.state),
        _actor(row.actor),
    )


def _actor(actor: str) -> str:
    kind, _separator, pk = actor.partition(":")
    return _("by user %(id)s") % {"id": pk} if kind == "user" else _("by this site")
