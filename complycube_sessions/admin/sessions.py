"""The list of sessions and the page of one session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from complycube_sessions.admin import display, filters, shapes
from complycube_sessions.admin.actions import RefreshActions
from complycube_sessions.admin.base import APP_LABEL, allowed, column
from complycube_sessions.admin.evidence import EvidenceActions, evidence_line
from complycube_sessions.admin.export import ExportActions, xlsx_is_there
from complycube_sessions.admin.freshness import freshness_line
from complycube_sessions.admin.overview import Overview
from complycube_sessions.admin.paging import BoundedChangeList
from complycube_sessions.admin.tree import tree
from complycube_sessions.conf import conf
from complycube_sessions.db.connections import outside_transactions
from complycube_sessions.models import (
    PendingRefresh,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)
from complycube_sessions.models.open_choices import NO_WORD, OTHER_WORDS
from complycube_sessions.models.session_queries import expecting_one_question
from complycube_sessions.statistics.by_day import kept_count
from complycube_sessions.wording import beside

MARKS_SHOWN: Final = 12
CHANGES_SHOWN: Final = 200
OTHER_SESSIONS_SHOWN: Final = 10

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
ORDER: Final = ("-created_at",)
# The queue of those that wait for a review: who has waited longest comes first.
QUEUE_ORDER: Final = ("created_at",)
CHECK_FIELDS: Final = ("session_id", "type", "status", "outcome")
SENSITIVE_FIELDS: Final = ("raw", "tasks")


class CheckWords(NamedTuple):
    """What a check is marked by."""

    type: str
    status: str
    outcome: str


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
    Group(gettext_lazy("The vendor's times"), ("created_at", "completed_at", "updated_at")),
    Group(
        gettext_lazy("This copy"),
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


class SessionChangeList(BoundedChangeList):
    """A page of sessions without their large columns, with what their checks need to be marked."""

    completions = {"outcome": ("created_at",), "status": ("created_at",)}

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.is_queue = is_queue(request)
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
        return list(QUEUE_ORDER if self.is_queue else ORDER)

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
        checks = RelatedCheck.objects.using(self.root_queryset.db).filter(session__in=keys)
        told: dict[str, list[CheckWords]] = {}
        for session_id, *words in checks.order_by("position", "id").values_list(*CHECK_FIELDS):
            told.setdefault(session_id, []).append(CheckWords(*words))
        for session in sessions:
            session.check_words = told.get(session.pk, [])
        return sessions


class WorkflowSessionAdmin(EvidenceActions, RefreshActions, ExportActions, Overview):
    list_display = [
        "who",
        "outcome_badge",
        "status_pill",
        "workflow",
        "check_marks",
        "created",
        "time_to_complete",
        "updated",
        "fetched",
    ]
    list_display_links = ["who"]
    list_filter = [
        filters.ReviewListFilter,
        filters.OutcomeListFilter,
        filters.StatusListFilter,
        filters.WithCheckListFilter,
        filters.CreatedListFilter,
        filters.TemplateListFilter,
        filters.ChangedListFilter,
        filters.MissingListFilter,
        filters.StaleListFilter,
        filters.EnvironmentListFilter,
        filters.AccountListFilter,
    ]
    ordering = ORDER
    change_list_template = "complycube_sessions/session_list.html"
    search_fields = ["id"]  # Django shows the box only with one; the search itself is below
    search_help_text = gettext_lazy(
        "A session, client or check id, or the beginning of any words of the name, accents or not."
    )
    page_template = "session.html"

    def get_urls(self) -> list[Any]:
        names: dict[str, tuple[Any, str]] = {
            "overview/": (self.overview_view, "overview"),
            "fetch/": (self.fetch_view, "fetch"),
            "export/": (self.export_view, "export"),
            "<path:object_id>/refresh/": (self.refresh_view, "refresh"),
            "<path:object_id>/evidence/": (self.evidence_view, "evidence"),
            "<path:object_id>/report/": (self.report_view, "report"),
        }
        own = [
            path(
                route,
                self.admin_site.admin_view(view),
                name=f"{APP_LABEL}_{self.opts.model_name}_{name}",
            )
            for route, (view, name) in names.items()
        ]
        return [*own, *super().get_urls()]

    @outside_transactions
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or the queue of those that need a review; run an action on a selection."""
        queue = is_queue(request)
        may_refresh = self.has_refresh_permission(request)
        may_export = self.has_export_permission(request)
        query = request.GET.urlencode()
        context = {
            "title": _("Needs review, oldest first") if queue else _("Workflow sessions"),
            "is_queue": queue,
            "list_url": self.url("changelist"),
            "queue_url": self.list_url(review=filters.YES),
            "overview_url": self.url("overview"),
            "fetch_url": self.url("fetch") if may_refresh else "",
            "export_url": f"{self.url('export')}?{query}" if may_export else "",
            "has_xlsx": xlsx_is_there(),
            "freshness": freshness_line(self.pending_url(request))
            if self.has_view_permission(request)
            else None,
        }
        response: HttpResponse = super().changelist_view(request, context | (extra_context or {}))
        return response

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(self.list_display)
        if is_queue(request):
            columns.insert(1, "age")
        return columns

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return list(QUEUE_ORDER if is_queue(request) else ORDER)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SessionChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset.search(search_term), False  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        sessions = super().get_queryset(request)
        return (
            sessions
            if self.has_sensitive_permission(request)
            else sessions.defer(*SENSITIVE_FIELDS)
        )

    @column(gettext_lazy("who"), ordering="entity_name")
    def who(self, session: WorkflowSession) -> SafeString:
        return format_html(
            '<bdi class="ccs-who">{}</bdi>', session.entity_name or f"({session.pk})"
        )

    @column(gettext_lazy("age"), ordering="created_at")
    def age(self, session: WorkflowSession) -> SafeString:
        return display.age_badge(session.created_at)

    @column(gettext_lazy("outcome"), ordering="outcome")
    def outcome_badge(self, session: WorkflowSession) -> SafeString:
        return outcome_with_flags(session)

    @column(gettext_lazy("status"), ordering="status")
    def status_pill(self, session: WorkflowSession) -> SafeString:
        return display.status_pill(session.status)

    @column(gettext_lazy("workflow"))
    def workflow(self, session: WorkflowSession) -> SafeString | str:
        return workflow_text(session)

    @column(gettext_lazy("checks"))
    def check_marks(self, session: WorkflowSession) -> SafeString | str:
        return check_marks(session.check_words)  # type: ignore[attr-defined] # the list tells them

    @column(gettext_lazy("created"), ordering="created_at")
    def created(self, session: WorkflowSession) -> SafeString | str:
        return display.moment(session.created_at, with_zone=False)

    @column(gettext_lazy("time to complete"))
    def time_to_complete(self, session: WorkflowSession) -> str:
        return display.duration(display.between(session.created_at, session.completed_at))

    @column(gettext_lazy("updated"), ordering="updated_at")
    def updated(self, session: WorkflowSession) -> SafeString | str:
        return display.moment(session.updated_at, with_zone=False)

    @column(gettext_lazy("fetched"), ordering="fetched_at")
    def fetched(self, session: WorkflowSession) -> SafeString | str:
        return display.moment(session.fetched_at, with_zone=False)

    def page_context(self, request: HttpRequest, row: WorkflowSession) -> dict[str, Any]:
        """Return what the page shows, in the order of a reviewer's questions."""
        sensitive = self.has_sensitive_permission(request)
        may_prove = self.has_evidence_permission(request)
        checks = self._checks(request, row)
        tasks = shapes.items(row.tasks) if sensitive else []
        changes = self._changes(request, row)
        others = self._others(row)
        pending = PendingRefresh.objects.filter(account=row.account, session_id=row.pk).first()
        return {
            "subtitle": _("Session %(id)s") % {"id": row.pk},
            "session": row,
            "outcome": display.outcome_appearance(row.outcome, row.status),
            "status": display.status_pill(row.status),
            "checks": checks,
            "open_checks": [check for check in checks if not check["look"].is_clear],
            "policies": shapes.policies(row.compliance_policies, row.policy_assurance),
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
            "refresh_url": self.url("refresh", row.pk)
            if self.has_refresh_permission(request)
            else "",
            "evidence_url": self.url("evidence", row.pk) if may_prove else "",
            "report_url": self.url("report", row.pk) if may_prove and sensitive else "",
            "evidence": evidence_line(row.pk) if may_prove else "",
            "history_url": self.url("history", row.pk),
            "changes_url": self._changes_url(request, row),
            "time_to_complete": display.duration(display.between(row.created_at, row.completed_at)),
            "workflow": workflow_text(row),
        }

    def _checks(self, request: HttpRequest, row: WorkflowSession) -> list[dict[str, Any]]:
        """Return the checks, reasons first: what is not clear stands on top."""
        may_open = allowed(request, "view_relatedcheck")
        shown = [
            {
                "check": check,
                "look": display.check_appearance(check),
                "label": display.check_type_label(check.type),
                "status": display.check_status_label(check.status),
                "updated": display.moment(check.updated_at),
                "url": self.row_url(check) if may_open else "",
            }
            for check in row.checks.defer("result", "raw").order_by("position", "id")
        ]
        return sorted(shown, key=lambda entry: entry["look"].is_clear)

    def _changes(self, request: HttpRequest, row: WorkflowSession) -> list[SessionChange]:
        if not allowed(request, "view_sessionchange"):
            return []
        return list(row.changes.order_by("-observed_at", "-pk")[:CHANGES_SHOWN])

    def _changes_url(self, request: HttpRequest, row: WorkflowSession) -> str:
        if not allowed(request, "view_sessionchange"):
            return ""
        address = self.url("changelist", model=SessionChange)
        return f"{address}?{urlencode({SEARCH_VAR: row.pk})}"

    def _others(self, row: WorkflowSession) -> list[dict[str, Any]]:
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
                "url": self.row_url(session),
                "session": session,
                "outcome": outcome_with_flags(session),
                "status": display.status_pill(session.status),
                "workflow": workflow_text(session),
                "created": display.moment(session.created_at),
            }
            for session in sessions[: OTHER_SESSIONS_SHOWN + 1]
        ]


def is_queue(request: HttpRequest) -> bool:
    """Return whether the list is asked for as the queue of open work."""
    return request.GET.get("review") == filters.YES


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
def _marks(told: tuple[CheckWords, ...], language: str | None) -> SafeString:
    """Return the marks of checks by type, status and outcome; most sessions of a page share theirs."""
    marks = [_mark(*words, language) for words in told]
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
    tasks: list[shapes.Item],
    changes: list[SessionChange],
) -> list[Event]:
    """Return what happened, oldest first, each with the time since the event before it."""
    points: list[tuple[datetime | None, SafeString | str, str]] = [
        (session.created_at, _("Session created"), "vendor"),
        (session.completed_at, _("Session completed"), "vendor"),
        (session.updated_at, _("Last updated by the vendor"), "vendor"),
        (session.first_seen_at, _("First stored here"), "copy"),
        (session.fetched_at, _("Last fetched"), "copy"),
        (session.missing_since, _("No longer known to the vendor"), "copy"),
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
