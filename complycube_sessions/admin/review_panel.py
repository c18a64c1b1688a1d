"""What the page of a session shows of its review: where it stands, what can be done, what was done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Value
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from complycube_sessions.admin import display
from complycube_sessions.admin.base import ReadOnlyAdmin, allowed, with_list_state
from complycube_sessions.admin.decisions import Point
from complycube_sessions.conf import conf
from complycube_sessions.models import Review, ReviewEvent, WorkflowSession
from complycube_sessions.models.reviews import NOTE_LENGTH
from complycube_sessions.reviews.decide import reasons_for
from complycube_sessions.reviews.meaning import differences, fingerprint

HISTORY_SHOWN: Final = 200
NOTE: Final = "note"
# After these, the one who did it, or was named, has the review.
_HOLDERS: Final = (
    ReviewEvent.Action.TAKEN,
    ReviewEvent.Action.ASSIGNED,
    ReviewEvent.Action.DECIDED,
)
RIGHTS: Final = ("work_review", "assign_review", "confirm_review")
_TONES: Final = {
    Review.State.OPEN: ("attention", "●"),
    Review.State.ASSIGNED: ("waiting", "…"),
    Review.State.AWAITING_CONFIRMATION: ("attention", "!"),
    Review.State.DECIDED: ("none", "■"),
}
_DECISIONS: Final = {
    Review.Decision.APPROVED: ("clear", "✓"),
    Review.Decision.DECLINED: ("refused", "✕"),
    Review.Decision.MORE_INFORMATION: ("waiting", "?"),
    Review.Decision.ESCALATED: ("attention", "▲"),
}


@dataclass(frozen=True)
class Entry:
    """One line of a review's history: what was done, or a note."""

    when: datetime
    who: str
    action: str
    detail: str

    @property
    def is_note(self) -> bool:
        return self.action == NOTE

    @property
    def time(self) -> SafeString | str:
        return display.moment(self.when)

    @property
    def holder(self) -> str:
        """Who had the review after this."""
        return self.detail if self.action == ReviewEvent.Action.ASSIGNED else self.who

    @property
    def text(self) -> SafeString:
        """What was done, in words."""
        label = dict(ReviewEvent.Action.choices).get(self.action, self.action)
        detail = ": ".join(_detail(self))
        return format_html(
            "<strong>{}</strong>{}<bdi>{}</bdi>", label, ": " if detail else "", detail
        )


def review_panel(
    page: ReadOnlyAdmin, request: HttpRequest, session: WorkflowSession
) -> dict[str, Any] | None:
    """
    Return what the panel shows; None for a session without a review, and for one who may not see it.

    What the decision form says was seen is read off the checks of the session as they were prefetched, which
    are those that the page shows.
    """
    rights = {name: allowed(request, name) for name in RIGHTS}
    if not any(rights.values()) and not allowed(request, "view_review"):
        return None
    review = getattr(session, "review", None)  # the page has read it with the session
    if review is None:
        review = Review(session=session) if session.needs_review else None
    if review is None:
        return None
    seen = fingerprint(session, session.checks.all())
    entries = history(review)
    return {
        "review": review,
        "url": page.url("review", session.pk),
        "assign_url": page.url("assign", session.pk),
        "next_url": with_list_state(request, page.url("take-next"))
        if rights["work_review"]
        else "",
        "seen": seen,
        "state": display.badge(state_appearance(review.state)),
        "decision": decision_badge(review.decision),
        "assignee": _last(entries, _HOLDERS, lambda entry: entry.holder),
        "decided_by": _last(entries, [ReviewEvent.Action.DECIDED], lambda entry: entry.who),
        "confirmed_by": _last(entries, [ReviewEvent.Action.CONFIRMED], lambda entry: entry.who),
        "opened": display.ago(review.opened_at),
        "decided": display.moment(review.decided_at),
        "confirmed": display.moment(review.confirmed_at),
        "is_withdrawn": review.state == Review.State.DECIDED and not review.decision,
        "due": due_text(review) if review.is_open else "",
        "is_overdue": review.is_open and is_overdue(review),
        "changes": changes_since_decision(review, seen),
        "history": entries,
        "has_notes": any(entry.is_note for entry in entries),
        "reason": _(review.reason) if review.reason else "",
        "is_settled": review.state == Review.State.DECIDED,
        "note_length": NOTE_LENGTH,
        **_possible(request, review, session, rights),
    }


def case_points(case: dict[str, Any] | None) -> list[Point]:
    """Return what was done about a review as points of its session's timeline; of a note, that it was written."""
    return [
        (
            entry.when,
            format_html(
                '{}: {} <span class="ccs-quiet">{}</span>',
                pgettext("case", "Review"),
                ReviewEvent.Action.NOTED.label if entry.is_note else entry.text,
                format_html("<bdi>{}</bdi>", entry.who) if entry.who else "",
            ),
            "review",
        )
        for entry in (case["history"] if case else [])
    ]


def _possible(
    request: HttpRequest, review: Review, session: WorkflowSession, rights: Mapping[str, bool]
) -> dict[str, Any]:
    """Return what the one who looks at the page can do now."""
    me, state = request.user.pk, review.state
    is_mine = review.assignee_id == me
    in_work = state == Review.State.ASSIGNED
    waits = state == Review.State.AWAITING_CONFIRMATION
    may_decide = rights["work_review"] and (
        state == Review.State.OPEN or (in_work and (is_mine or review.assignee_id is None))
    )
    return {
        "may_take": rights["work_review"] and state == Review.State.OPEN,
        "may_release": rights["work_review"] and in_work and is_mine,
        "may_note": rights["work_review"],
        "choices": choices() if may_decide else [],
        "four_eyes": four_eyes_text(session) if may_decide else "",
        "may_confirm": rights["confirm_review"] and waits and review.decided_by_id != me,
        "is_own_decision": waits and review.decided_by_id == me,
        "may_assign": rights["assign_review"] and not waits,
        "is_mine": is_mine,
    }


def state_appearance(state: str) -> display.Appearance:
    """Return how the state of a review looks."""
    if state not in Review.State.values:
        return display.Appearance("unknown", "?", state)
    known = Review.State(state)
    return display.Appearance(*_TONES[known], known.label)


def decision_badge(decision: str) -> SafeString | str:
    """Return a decision as a badge, or ``""`` where there is none."""
    if decision not in Review.Decision.values:
        return decision
    known = Review.Decision(decision)
    return display.badge(display.Appearance(*_DECISIONS[known], known.label))


def is_overdue(review: Review) -> bool:
    """Return whether an open review should have been decided by now."""
    return review.due_at is not None and review.due_at < timezone.now()


def due_text(review: Review) -> str:
    """Return how long there is time for a review, or for how long it is overdue."""
    if review.due_at is None:
        return ""
    left = review.due_at - timezone.now()
    text = _("overdue for %(length)s") if is_overdue(review) else _("due in %(length)s")
    return text % {"length": display.duration(abs(left))}


def changes_since_decision(review: Review, seen: str) -> list[str]:
    """Return in the reader's language why a review was opened again; none where it was not."""
    if review.reopened_at is None or not review.is_open or review.decision:
        return []
    changes = differences(review.seen_fingerprint, seen) if review.seen_fingerprint else []
    return changes or [_(line) for line in review.reopened_because.split("\n") if line]


def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the decisions with their reasons, as options of a form."""
    return [
        (
            str(label),
            [(f"{decision}:{reason}", _(reason)) for reason in reasons_for(decision)]
            or [(f"{decision}:", str(label))],
        )
        for decision, label in Review.Decision.choices
    ]


def four_eyes_text(session: WorkflowSession) -> str:
    """Return which decisions a second person has to confirm, or ``""``."""
    named = conf.COMPLYCUBE_FOUR_EYES
    if session.outcome in named:
        return _("A second person has to confirm the decision.")
    labels = [str(label) for word, label in Review.Decision.choices if word in named]
    if not labels:
        return ""
    return _("A second person has to confirm: %(decisions)s.") % {"decisions": ", ".join(labels)}


def history(review: Review) -> list[Entry]:
    """Return what was done and noted, newest first, in one query."""
    events = review.events.order_by().values_list("at", "pk", "actor_name", "action", "detail")
    notes = review.notes.order_by().annotate(action=Value(NOTE))
    noted = notes.values_list("created_at", "pk", "author_name", "action", "text")
    rows = events.union(noted, all=True).order_by("-at", "-pk")[:HISTORY_SHOWN]
    return [Entry(when, who, action, detail) for when, _pk, who, action, detail in rows]


def _last(entries: Sequence[Entry], actions: Collection[str], value: Callable[[Entry], str]) -> str:
    """Return a name as the history tells it last; the account may be gone."""
    return next((value(entry) for entry in entries if entry.action in actions), "")


def _detail(entry: Entry) -> Iterator[str]:
    if entry.action == ReviewEvent.Action.DECIDED:
        decision, _colon, reason = entry.detail.partition(": ")
        yield str(dict(Review.Decision.choices).get(decision, decision))
        if reason:
            yield _(reason)
    elif entry.action == ReviewEvent.Action.ASSIGNED:
        yield entry.detail or _("nobody")
    elif entry.detail:
        yield "; ".join(_(line) for line in entry.detail.split("\n"))
