"""
The HTML file of evidence: the JSON document, laid out for reading and printing.

The page is rendered from the document only. All texts are escaped, and their number and length is bounded; if
anything is cut, the page says so and refers to the JSON file, which is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.evidence.reviews import review_lines, state_text
from complycube_sessions.findings import values
from complycube_sessions.findings.labels import word_in_words
from complycube_sessions.findings.meanings import Meaning, session_meaning
from complycube_sessions.findings.policies import policies
from complycube_sessions.findings.reasons import reasons
from complycube_sessions.findings.tree import Bounds, Node, build
from complycube_sessions.models import RelatedCheck, SessionChange, WorkflowSession

MAX_TEXT: Final = 2_000
MAX_NODES: Final = 5_000
# For all trees together.
MAX_TREE_TEXT: Final = 500_000
MAX_DEPTH: Final = 40
MAX_ROWS: Final = 1_000
DASH: Final = "\N{EN DASH}"

_STATUS_LABELS: Final = {
    **dict(WorkflowSession.Status.choices),
    **dict(RelatedCheck.Status.choices),
}
_TYPE_LABELS: Final = dict(RelatedCheck.Type.choices)
_FIELD_LABELS: Final = dict(SessionChange.Field.choices)
# The page is made for print, so it has fewer colours than the admin has tones.
_CLASSES: Final = {
    "clear": "good",
    "attention": "look",
    "unprocessed": "look",
    "refused": "bad",
    "failed": "bad",
}
_EVENTS: Final = {
    "session_created": gettext_lazy("Session created"),
    "session_completed": gettext_lazy("Session completed"),
    "session_updated": gettext_lazy("Last updated by ComplyCube"),
    "first_stored": gettext_lazy("First stored here"),
    "last_fetched": gettext_lazy("Last fetched"),
    "missing_upstream": gettext_lazy("No longer known to ComplyCube"),
    "check_created": gettext_lazy("Check created"),
    "check_updated": gettext_lazy("Check last updated"),
}


def render_page(document: Mapping[str, Any], *, sha256: str, json_name: str) -> bytes:
    """
    Return the page of a document.

    Args:
        document: The document from ``evidence/build.py``.
        sha256: The hash of the JSON file.
        json_name: The name of the JSON file.
    """
    session, copy, export = document["session"], document["copy"], document["export"]
    trees = _Trees()
    checks = document["checks"]
    context = {
        "session_id": visible(session["id"]),
        "name": visible(session["entity_name"]),
        "outcome": outcome(session["outcome"]),
        "tone": _class(session_meaning(session["outcome"])),
        "verdict": _verdict(session["outcome"]),
        "open_checks": sum(not _is_clear(check) for check in checks),
        "is_test": copy["environment"] == "test",
        "missing_since": moment(copy["missing_since"]),
        "needs_review": copy["needs_review"],
        "facts": _facts(session),
        "origin": _origin(copy, export, json_name),
        "sha256": sha256,
        "json_name": json_name,
        "about": document["about"],
        "left_out": [_left_out(entry) for entry in document["left_out"]],
        "checks": [_check(check) for check in checks[:MAX_ROWS]],
        "policies": _policies(document, trees),
        "timeline": [_event(event) for event in document["timeline"][:MAX_ROWS]],
        "history": [_change(change) for change in document["history"][-MAX_ROWS:]],
        "decisions": [
            _decision(entry, trees) for entry in document.get("decisions", [])[-MAX_ROWS:]
        ],
        "rows_left_out": _rows_left_out(document),
        "review": state_text(document["review"], visible) if document["review"] else "",
        "review_lines": review_lines(document["review"], visible, cell)[-MAX_ROWS:],
        "has_history": {"what": "history", "why": "permission"} not in document["left_out"],
        "is_sensitive": "answer_as_received" in document,
        "results": [
            (_check(check), trees.block(check["result"], verdicts=True))
            for check in checks[:MAX_ROWS]
            if check.get("result")
        ],
        "without_result": sum(not check.get("result") for check in checks),
        "tasks": trees.block(document.get("tasks"), verdicts=True),
        "answer": trees.block(document.get("answer_as_received")),
        "cut": trees.bounds.left_out,
    }
    html = render_to_string("complycube_sessions/evidence.html", context)
    return html.encode("utf-8", "backslashreplace")


def visible(value: object, length: int = MAX_TEXT) -> str:
    """Return text without invisible or reordering characters, cut to a length."""
    return values.visible(value, length)


def outcome(word: str) -> SafeString:
    """Return an outcome as glyph and label; only known good outcomes look good."""
    return mark(session_meaning(word))


def mark(meaning: Meaning) -> SafeString:
    """Return a meaning as glyph and label."""
    return format_html(
        '<span class="word {}"><span aria-hidden="true">{}</span> <bdi>{}</bdi></span>',
        _class(meaning),
        meaning.glyph,
        visible(meaning.label),
    )


def moment(time: str | None) -> str:
    """Return a time of the document for display, in UTC to the second."""
    return f"{cell(time)} UTC" if time else DASH


def cell(time: str | None) -> str:
    """Return a time for a column whose heading says that it is UTC."""
    return f"{time[:10]} {time[11:19]}" if time else DASH


def _class(meaning: Meaning) -> str:
    return _CLASSES.get(meaning.tone, "none")


def _verdict(word: str) -> str:
    if not word:
        return _("ComplyCube has given this session no outcome. This is not an approval.")
    label = visible(session_meaning(word).label)
    if word == WorkflowSession.Outcome.CLEAR:
        return _("ComplyCube gave this session the outcome “%(outcome)s”.") % {"outcome": label}
    return _("ComplyCube gave this session the outcome “%(outcome)s”. This is not an approval.") % {
        "outcome": label
    }


def _is_clear(check: Mapping[str, Any]) -> bool:
    return bool(check["status"] == "complete" and check["outcome"] == "clear")


def _facts(session: Mapping[str, Any]) -> list[tuple[str, str]]:
    version = session["workflow_version"]
    workflow = visible(session["workflow_template_name"] or session["workflow_template_id"] or DASH)
    facts = [
        (_("Name"), visible(session["entity_name"]) or DASH),
        (_("Client id"), visible(session["client_id"]) or DASH),
        (_("Session id"), visible(session["id"])),
        (_("Status"), _status(session["status"])),
        (_("Workflow"), workflow if version is None else f"{workflow} · v{version}"),
        (_("Workflow id"), visible(session["workflow_id"]) or DASH),
        (_("Created"), moment(session["created_at"])),
        (_("Completed"), moment(session["completed_at"])),
        (_("Last updated by ComplyCube"), moment(session["updated_at"])),
    ]
    for label, key in (
        (_("Workflow template description"), "workflow_template_description"),
        (_("Workflow description"), "workflow_description"),
        (_("Last completed task"), "last_completed_task_id"),
    ):
        if session[key]:
            facts.append((label, visible(session[key])))
    return facts


def _origin(
    copy: Mapping[str, Any], export: Mapping[str, Any], json_name: str
) -> list[tuple[str, str]]:
    environment = {"live": _("Live"), "test": _("Test (no real persons)")}
    by = export["actor_name"] or export["actor"]
    shown_by = by if by == export["actor"] else f"{by} ({export['actor']})"
    return [
        (_("Exported"), moment(export["exported_at"])),
        (_("Exported by"), visible(shown_by)),
        (
            _("ComplyCube environment"),
            environment.get(copy["environment"], visible(copy["environment"]) or _("Unknown")),
        ),
        (_("ComplyCube account, as named here"), visible(copy["account"])),
        (_("First stored here"), moment(copy["first_seen_at"])),
        (_("Last fetched from ComplyCube"), moment(copy["fetched_at"])),
        (_("Software"), f"{export['app']} {export['app_version']}"),
        (_("The evidence itself"), json_name),
    ]


def _left_out(entry: Mapping[str, Any]) -> str:
    """Return an entry of ``left_out`` as a sentence."""
    count = {"count": entry.get("count", 0)}
    if entry["why"] == "permission":
        if entry["what"] == "history":
            return _("The history is left out: the person who exported this may not see it.")
        if entry["what"] == "review":
            return _("The review is left out: the person who exported this may not see it.")
        return _(
            "The results of the checks, the tasks and the API response are left out: the person "
            "who exported this may not see them."
        )
    if entry["what"] == "checks":
        text = ngettext(
            "Left out for size: %(count)d more check.",
            "Left out for size: %(count)d more checks.",
            count["count"],
        )
        return text % count
    if entry["what"] == "check_results":
        text = ngettext(
            "Left out for size: the result of %(count)d check.",
            "Left out for size: the results of %(count)d checks.",
            count["count"],
        )
        return text % count
    if entry["what"] == "decisions":
        return _("Left out for size: %(count)d older decisions.") % count
    if entry["what"].startswith("review_"):
        return _("Left out for size: %(count)d older entries of the review.") % count
    return _("Left out for size: %(count)d older changes.") % count


def _rows_left_out(document: Mapping[str, Any]) -> int:
    keys = ("checks", "timeline", "history", "decisions")
    parts: list[Sequence[Any]] = [document.get(key, []) for key in keys]
    if review := document["review"]:
        parts.append([*review["events"], *review["notes"]])
    return sum(max(0, len(rows) - MAX_ROWS) for rows in parts)


def _status(word: str) -> str:
    return str(_STATUS_LABELS.get(word) or visible(word)) or DASH


def _type(word: str) -> str:
    return str(_TYPE_LABELS.get(word) or visible(word_in_words(word))) or _("Check of unknown type")


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    failed = check["status"] == RelatedCheck.Status.FAILED
    return {
        "id": visible(check["check_id"]),
        "type": _type(check["type"]),
        "outcome": outcome(check["outcome"]),
        "failed": failed,
        "reasons": _reasons(check),
        "status": _status(check["status"]),
        "updated": cell(check["updated_at"]),
        "fetched": cell(check["fetched_at"]),
        "result_fetched": moment(check["result_fetched_at"]),
        "missing_since": moment(check["missing_since"]) if check["missing_since"] else "",
    }


def _policies(document: Mapping[str, Any], trees: _Trees) -> list[dict[str, Any]]:
    """Return each policy with its outcome and facts, and the rest as a tree."""
    shown = []
    for entry in policies(document["compliance_policies"], document["policy_assurance"]):
        parts = [entry.policy, *(item for item in entry.assurance if item is not entry.policy)]
        shown.append(
            {
                "title": visible(entry.policy.title),
                "marks": [mark(item.meaning) for item in parts if item.meaning is not None],
                "facts": [visible(fact) for item in parts for fact in item.facts],
                "notes": {item.meaning.note for item in parts if item.meaning is not None} - {""},
                "rest": [trees.block(item.rest, verdicts=True) for item in parts if item.rest],
            }
        )
    return shown[:MAX_ROWS]


def _reasons(check: Mapping[str, Any]) -> list[str]:
    """Return why a check is not clear, in the language of the page, or from the document without a result."""
    if not check.get("result"):
        stored: list[str] = check.get("reasons", [])
        return [visible(reason) for reason in stored]
    localized = reasons(check["type"], check["outcome"], check["result"], status=check["status"])
    return [visible(reason) for reason in localized]


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    by = "ComplyCube" if event["by"] == "vendor" else _("Stored here")
    if event["what"] == "change":
        return {"at": cell(event["at"]), "by": by, "text": _change_text(event)}
    text = str(_EVENTS.get(event["what"], event["what"]))
    if not event.get("check_id"):
        return {"at": cell(event["at"]), "by": by, "text": text}
    words = outcome(event["outcome"]) if event["what"] == "check_updated" else ""
    shown = format_html("{}: <bdi>{}</bdi> {}", text, _type(event["type"]), words)
    return {"at": cell(event["at"]), "by": by, "text": shown}


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    sources = dict(SessionChange.Source.choices)
    return {
        "changed": cell(change["changed_at"]),
        "observed": cell(change["observed_at"]),
        "text": _change_text(change),
        "source": sources.get(change["source"]) or visible(change["source"]),
    }


def _decision(entry: Mapping[str, Any], trees: _Trees) -> dict[str, Any]:
    """Return a decision for display, in the words of the vendor or of the record."""
    if entry["what"] == "audit_log":
        who = entry["member_id"] or _("by the API")
        names: tuple[str, ...] = ("trigger", "action", "resource_type", "resource_id")
    else:
        who = entry["actor"]
        names = ("action", "check_id", "match_id", "outcome", "state")
    return {
        "at": cell(entry["at"]),
        "where": "ComplyCube" if entry["what"] == "audit_log" else _("Asked from here"),
        "who": visible(who),
        "text": visible(" · ".join(filter(None, (str(entry[name]) for name in names)))),
        "diff": trees.block(entry.get("diff")),
    }


def _change_text(change: Mapping[str, Any]) -> SafeString:
    label = str(_FIELD_LABELS.get(change["field"]) or visible(change["field"]))
    about = visible(change["check_id"])
    if about and change["field"] in {"status", "outcome"}:
        label = _("%(field)s of check") % {"field": label}
    return format_html(
        "{} <code>{}</code> {} → {}",
        label,
        about,
        _side(change["field"], change["old"]),
        _side(change["field"], change["new"]),
    )


def _side(field: str, word: str) -> SafeString | str:
    if not word:
        return _("nothing")
    if field == SessionChange.Field.OUTCOME:
        return outcome(word)
    presence = {"added": _("added"), "gone": _("gone")} if field == "check" else {}
    return format_html("<bdi>{}</bdi>", presence.get(word) or _status(word))


class _Trees:
    """JSON of any shape as nested lists, within one bound for the whole page."""

    def __init__(self) -> None:
        self.bounds = Bounds(nodes=MAX_NODES, text=MAX_TREE_TEXT, longest=MAX_TEXT, depth=MAX_DEPTH)

    def block(self, value: Any, *, verdicts: bool = False) -> SafeString | str:
        """Return a value as nested lists, or ``""`` if it is empty; ``verdicts`` as in ``findings/tree.py``."""
        if value in (None, "", [], {}):
            return ""
        nodes = build(value, self.bounds, verdicts=verdicts)
        return _list(nodes) if nodes else ""


def _list(nodes: Sequence[Node]) -> SafeString:
    rows = ((visible(node.label), _value(node)) for node in nodes)
    return format_html(
        '<ul class="tree">{}</ul>', format_html_join("", "<li><b><bdi>{}</bdi></b> {}</li>", rows)
    )


def _value(node: Node) -> SafeString:
    if node.children:
        return _list(node.children)
    if node.meaning is not None:
        return mark(node.meaning)
    return format_html("<bdi>{}</bdi>", visible(node.text))
