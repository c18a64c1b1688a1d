"""The views of the list of sessions that people work by: whose reviews, in which order, with which columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display
from complycube_sessions.admin.base import ReadOnlyAdmin, allowed
from complycube_sessions.admin.filters import ChoiceListFilter, Choices
from complycube_sessions.admin.review_panel import (
    RIGHTS,
    decision_badge,
    due_text,
    is_overdue,
    state_appearance,
)
from complycube_sessions.admin.review_people import with_people
from complycube_sessions.models import Review, WorkflowSession
from complycube_sessions.reviews.records import name_of

PARAMETER: Final = "case"
OLDEST_FIRST: Final = ("review__opened_at",)
LATEST_FIRST: Final = ("-review__decided_at",)
_OPEN_COLUMNS: Final = ("review_age", "review_due", "review_assignee")
_DECIDED_COLUMNS: Final = ("review_decision", "review_decided_by", "review_decided")


@dataclass(frozen=True)
class CaseView:
    """A view: the sessions, their order, its columns beside those of the list, and those of the list that it lacks."""

    label: Any
    narrow: Callable[[Any, Any], QuerySet[Any]]
    order: Sequence[str] = OLDEST_FIRST
    columns: Sequence[str] = _OPEN_COLUMNS
    without: Sequence[str] = ()


VIEWS: Final = {
    "unassigned": CaseView(
        gettext_lazy("Unassigned"),
        lambda rows, user: rows.unassigned(),
        columns=("review_age", "review_due"),
    ),
    "mine": CaseView(
        gettext_lazy("Mine"),
        lambda rows, user: rows.assigned_to(user),
        columns=("review_age", "review_due"),
    ),
    "waiting": CaseView(
        gettext_lazy("Waiting for a second person"),
        lambda rows, user: rows.filter(review__state=Review.State.AWAITING_CONFIRMATION),
        columns=("review_age", "review_decision", "review_decided_by"),
    ),
    "open": CaseView(
        gettext_lazy("All open"),
        lambda rows, user: rows.open_reviews(),
        columns=("review_state", *_OPEN_COLUMNS),
        without=("workflow",),  # with a sidebar there is no room for it
    ),
    "decided": CaseView(
        gettext_lazy("Decided"),
        lambda rows, user: rows.filter(review__state=Review.State.DECIDED),
        LATEST_FIRST,
        _DECIDED_COLUMNS,
    ),
}
# What a narrow screen has no room for beside them.
LEFT_OUT: Final = ("status_pill", "time_to_complete", "updated", "fetched")


class CaseListFilter(ChoiceListFilter):
    title = gettext_lazy("case work")
    parameter_name = PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(word, view.label) for word, view in VIEWS.items()] if may_see(request) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        word = self.value()
        if not word:
            return queryset
        view = VIEWS.get(word)
        if view is None or not may_see(request):
            return queryset.none()
        return view.narrow(queryset, request.user)


def may_see(request: HttpRequest) -> bool:
    """Return whether somebody may see where reviews stand."""
    return any(allowed(request, name) for name in (*RIGHTS, "view_review"))


def case_view(request: HttpRequest) -> CaseView | None:
    """Return the view that an address asks for, if any."""
    view = VIEWS.get(request.GET.get(PARAMETER, ""))
    return view if view is not None and may_see(request) else None


def case_tabs(page: ReadOnlyAdmin, request: HttpRequest) -> list[tuple[Any, str, bool]]:
    """Return the views as tabs: label, address, whether it is the one that is shown."""
    if not may_see(request):
        return []
    shown = request.GET.get(PARAMETER)
    return [
        (view.label, page.list_url(**{PARAMETER: word}), word == shown)
        for word, view in VIEWS.items()
    ]


def columns_of(view: CaseView, columns: Sequence[Any]) -> list[Any]:
    """Return the columns of a view, of those of the list."""
    who, outcome, *others = [name for name in columns if name not in {*LEFT_OUT, *view.without}]
    return [who, outcome, *view.columns, *others]


def attach_reviews(sessions: Sequence[WorkflowSession], alias: str) -> None:
    """Let each session know its review with its people, in one query."""
    rows = Review.objects.using(alias).filter(pk__in=[session.pk for session in sessions])
    reviews = with_people(rows, "assignee", "decided_by", "confirmed_by")
    for session in sessions:
        if review := reviews.get(session.pk):
            session._state.fields_cache["review"] = review


def cell(session: WorkflowSession, name: str) -> SafeString | str:
    """Return what a column of a view shows of a session whose review ``attach_reviews`` has told."""
    review = session._state.fields_cache.get("review")
    if review is None:  # it was decided away between two queries
        return display.DASH
    shown: Any = _CELLS[name](session, review)
    return shown or display.DASH


def _due(session: Any, review: Review) -> SafeString:
    css_class = "ccs-flag" if is_overdue(review) else "ccs-quiet"
    return format_html('<span class="{}">{}</span>', css_class, due_text(review))


_CELLS: Final[dict[str, Callable[[Any, Review], Any]]] = {
    "review_age": lambda session, review: display.age_badge(review.opened_at),
    "review_due": _due,
    "review_state": lambda session, review: display.badge(state_appearance(review.state)),
    "review_assignee": lambda session, review: _name(review.assignee),
    "review_decision": lambda session, review: decision_badge(review.decision),
    "review_decided_by": lambda session, review: _name(review.decided_by),
    "review_decided": lambda session, review: display.moment(review.decided_at, with_zone=False),
}


def _name(person: Any) -> SafeString | str:
    return format_html("<bdi>{}</bdi>", name_of(person)) if person else ""
