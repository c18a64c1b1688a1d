"""The review of a session in the evidence: its state, events and notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from complycube_sessions.models import Review, ReviewEvent, WorkflowSession

ROWS_KEPT: Final = 10_000
_REVIEW_FIELDS: Final = (
    *("state", "decision", "reason", "opened_at", "due_at", "decided_at", "confirmed_at"),
    *("reopened_at", "reopened_because", "seen_fingerprint"),
)
_EVENT_FIELDS: Final = ("at", "actor_name", "action", "detail")
_NOTE_FIELDS: Final = ("created_at", "author_name", "text")

Values = Callable[[Any, tuple[str, ...]], dict[str, Any]]
Shown = Callable[[Any], str]


def review_of(
    session: WorkflowSession, values: Values
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """
    Return the review of a session for the document, and the entries for ``left_out``.

    Args:
        session: The session; its row must be locked, so that the review cannot be decided meanwhile.
        values: Returns columns of a row as values for the document.
    """
    review = Review.objects.using(session._state.db).filter(pk=session.pk).first()
    if review is None:
        return None, []
    document = values(review, _REVIEW_FIELDS)
    left_out = []
    for name, rows, order, fields in (
        ("events", review.events, "at", _EVENT_FIELDS),
        ("notes", review.notes, "created_at", _NOTE_FIELDS),
    ):
        newest: list[Any] = list(rows.order_by(f"-{order}", "-pk")[: ROWS_KEPT + 1])
        document[name] = [values(row, fields) for row in reversed(newest[:ROWS_KEPT])]
        if len(newest) > ROWS_KEPT:
            more = rows.count() - ROWS_KEPT
            left_out.append({"what": f"review_{name}", "why": "size", "count": more})
    return document, left_out


def review_lines(review: Mapping[str, Any] | None, visible: Shown, when: Shown) -> list[Any]:
    """Return events and notes in chronological order, each with time, person and text."""
    if review is None:
        return []
    lines = [
        (event["at"], event["actor_name"], _event(event, visible)) for event in review["events"]
    ]
    lines += [
        (note["created_at"], note["author_name"], format_html("“{}”", visible(note["text"])))
        for note in review["notes"]
    ]
    return [
        {"at": when(at), "who": visible(who), "text": text}
        for at, who, text in sorted(lines, key=lambda line: str(line[0]))
    ]


def state_text(review: Mapping[str, Any], visible: Shown) -> str:
    """Return the state of a review, with the decision and its reason."""
    states, decisions = dict(Review.State.choices), dict(Review.Decision.choices)
    parts = [
        states.get(review["state"]) or visible(review["state"]),
        decisions.get(review["decision"]) or visible(review["decision"]),
        visible(review["reason"]),
    ]
    return " · ".join(str(part) for part in parts if part)


def _event(event: Mapping[str, Any], visible: Shown) -> SafeString:
    label = dict(ReviewEvent.Action.choices).get(event["action"]) or visible(event["action"])
    detail = visible(event["detail"])
    return format_html("{}{}{}", label, ": " if detail else "", detail)
