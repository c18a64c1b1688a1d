"""The list of sessions: which rows and columns it reads, and how a session looks in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import allowed
from complycube_sessions.admin.check_reasons import ListedCheck, first_reasons
from complycube_sessions.admin.paging import BoundedChangeList
from complycube_sessions.admin.queue import is_queue, list_order
from complycube_sessions.admin.review_list import attach_reviews, case_view
from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.models.open_choices import NO_WORD, OTHER_WORDS
from complycube_sessions.models.session_queries import expecting_one_question
from complycube_sessions.statistics.by_day import kept_count

MARKS_SHOWN: Final = 12
LIST_FIELDS: Final = (
    "account",
    "environment",
    "client_id",
    "entity_name",
    "status",
    "outcome",
    "workflow_template_id",
    "workflow_template_name",
    "workflow_version",
    "created_at",
    "completed_at",
    "updated_at",
    "fetched_at",
    "missing_since",
    "needs_review",
)
CHECK_FIELDS: Final = ("session_id", "pk", "type", "status", "outcome")


class CheckWords(NamedTuple):
    """What a check is marked by."""

    type: str
    status: str
    outcome: str


class SessionChangeList(BoundedChangeList):
    """A page of sessions without their large columns, with what their checks need to be marked."""

    completions = {"outcome": ("created_at",), "status": ("created_at",)}

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.is_queue = is_queue(request)
        self.order = list_order(request)
        self.case = case_view(request)
        self.sensitive = allowed(request, "view_sensitive_workflowsession")
        super().__init__(request, *args, **kwargs)

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        specs: list[Any] = found[0]
        asked = sum(bool(spec.chosen_text()) for spec in specs) + len(found[2]) + bool(self.query)
        if asked == 1:
            sessions: Any = self.root_queryset
            self.root_queryset = expecting_one_question(sessions)
        return found

    def _get_default_ordering(self) -> list[str]:
        """Return the order that the heading of the table shows."""
        return list(self.order)

    @property
    def exact_count(self) -> int | None:
        """The figure of the overview that leads to this list, where the list is one of those."""
        words = {name: self.params[name] for name in ("status", "outcome") if name in self.params}
        asked = {"created_from", "created_to", *words, ORDER_VAR}
        created: Any = next(
            s for s in self.filter_specs if isinstance(s, filters.CreatedListFilter)
        )
        first, last = created.days or (None, None)
        if self.query or not asked >= set(self.params) or OTHER_WORDS in words.values():
            return None
        if first is None or last is None:
            return None
        plain = {name: "" if word == NO_WORD else word for name, word in words.items()}
        return kept_count(first, last, **plain)

    def shape(self, rows: QuerySet[WorkflowSession]) -> QuerySet[WorkflowSession]:
        return rows.only(*LIST_FIELDS)

    def rows(self, keys: Sequence[str]) -> list[WorkflowSession]:
        """Return the sessions, each with what its checks are marked by: a page has hundreds of checks."""
        sessions: list[Any] = super().rows(keys)
        checks = RelatedCheck.objects.using(self.root_queryset.db)
        checks_of: dict[str, list[ListedCheck]] = {}
        of_the_page = checks.filter(session__in=keys).order_by("position", "id")
        for session_id, *words in of_the_page.values_list(*CHECK_FIELDS):
            checks_of.setdefault(session_id, []).append(ListedCheck(*words))
        why = first_reasons(checks, checks_of, sensitive=self.sensitive) if self.is_queue else {}
        for session in sessions:
            listed = checks_of.get(session.pk, [])
            session.check_words = [CheckWords(c.type, c.status, c.outcome) for c in listed]
            session.first_reason = why.get(session.pk, display.DASH)
        if self.case:
            attach_reviews(sessions, self.root_queryset.db)
        return sessions


def outcome_with_flags(session: WorkflowSession) -> SafeString:
    """Return the outcome, and after it what the outcome alone would hide."""
    shown = display.outcome_badge(session.outcome, session.status)
    if session.needs_review:
        flag = format_html('<span class="ccs-flag ccs-review">{}</span>', _("Needs review"))
        shown = format_html("{} {}", shown, flag)
    if session.missing_since:
        flag = format_html('<span class="ccs-flag">{}</span>', _("Missing upstream"))
        shown = format_html("{} {}", shown, flag)
    return shown


def workflow_text(session: WorkflowSession) -> SafeString | str:
    """Return the workflow template with its version."""
    name = session.workflow_template_name or session.workflow_template_id
    if not name and session.workflow_version is None:
        return display.DASH
    version = "" if session.workflow_version is None else f"v{session.workflow_version}"
    return format_html('<bdi>{}</bdi> <span class="ccs-quiet">{}</span>', name, version)


def check_marks(checks: Sequence[CheckWords]) -> SafeString | str:
    """Return one mark a check: colour and glyph to see, type and outcome to hear."""
    return _marks(tuple(checks), get_language()) if checks else display.DASH


@lru_cache(maxsize=1_000)
def _marks(checks_of: tuple[CheckWords, ...], language: str | None) -> SafeString:
    """Return the marks of checks by type, status and outcome; most sessions of a page share theirs."""
    marks = [_mark(*words, language) for words in checks_of]
    shown = sorted(marks, key=lambda mark: mark[0])[:MARKS_SHOWN]
    rest = len(marks) - len(shown)
    more = ""
    if rest:
        text = ngettext("and %(count)d more", "and %(count)d more", rest) % {"count": rest}
        more = format_html('<li class="ccs-quiet">{}</li>', text)
    return format_html(
        '<ul class="ccs-marks">{}{}</ul>',
        format_html_join("", "{}", ((html,) for _is_clear, html in shown)),
        more,
    )


@lru_cache(maxsize=1_000)
def _mark(
    check_type: str, status: str, outcome: str, language: str | None
) -> tuple[bool, SafeString]:
    """Return whether a check is clear, and its mark; most checks of a page share a few of them."""
    look = display.check_appearance(RelatedCheck(status=status, outcome=outcome))
    text = f"{display.check_type_label(check_type)}: {look.label}"
    mark = format_html(
        '<li class="ccs-mark ccs-tone-{0}" title="{1}"><span aria-hidden="true">{2}</span>'
        '<span class="visually-hidden">{1}</span></li>',
        look.tone,
        text,
        look.glyph,
    )
    return look.is_clear, mark
