"""Who decided what at ComplyCube, for the timeline of a session."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin.display import folded
from complycube_sessions.admin.tree import tree
from complycube_sessions.models import UpstreamChange, WorkflowSession
from complycube_sessions.models.audit import Decision, decisions_of

DECISIONS_SHOWN: Final = 100

Point = tuple[datetime | None, SafeString | str, str]

_WORDS: Final[dict[str, Any]] = {
    UpstreamChange.State.SENT: gettext_lazy("sent; what became of it is not known"),
    UpstreamChange.State.DONE: gettext_lazy("done"),
    UpstreamChange.State.NOT_DONE: gettext_lazy("not done"),
    UpstreamChange.State.UNKNOWN: gettext_lazy("answer lost; not known whether done"),
    UpstreamChange.Action.VALIDATE: gettext_lazy("Decision sent to ComplyCube"),
    UpstreamChange.Action.COMPLETE: gettext_lazy("Completion asked of ComplyCube"),
    UpstreamChange.Action.CANCEL: gettext_lazy("Cancellation asked of ComplyCube"),
}


def decision_points(session: WorkflowSession, *, sensitive: bool) -> list[Point]:
    """
    Return what was decided about a session, by whom, as points of its timeline.

    Args:
        session: The session.
        sensitive: Whether to show what differs: it may hold what was found about the person.
    """
    decisions = decisions_of(session, with_diff=sensitive, limit=DECISIONS_SHOWN)
    return [
        (one.at, _entry_text(one), "vendor")
        if one.is_vendors
        else (one.at, _change_text(one), "change")
        for one in decisions
    ]


def _entry_text(entry: Decision) -> SafeString:
    who = _("by team member %(id)s") % {"id": entry.by} if entry.by else _("by the API")
    about = entry.about if entry.detail == "check" else ""
    text = format_html(
        '{} <bdi>{}</bdi> <code>{}</code> <span class="ccs-quiet">{}</span>',
        _("At ComplyCube"),
        folded(_in_words(entry.word or entry.action)),
        about,
        who,
    )
    if not entry.diff:
        return text
    return format_html(
        "{}<details><summary>{}</summary>{}</details>", text, _("What changed"), tree(entry.diff)
    )


def _in_words(trigger: str) -> str:
    """Return ``validateCheck`` as "validate check", and any other text as it is."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f" {found[1].lower()}", trigger)


def _change_text(change: Decision) -> SafeString:
    about = " · ".join(filter(None, (change.about, change.key, change.word)))
    return format_html(
        '{} <code>{}</code> <span class="ccs-quiet">{} · {}</span>',
        _WORDS.get(change.action, change.action),
        about,
        _WORDS.get(change.detail, change.detail),
        _actor(change.by),
    )


def _actor(actor: str) -> str:
    kind, _separator, pk = actor.partition(":")
    return _("by user %(id)s") % {"id": pk} if kind == "user" else _("by this site")
