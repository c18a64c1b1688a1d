"""The sessions in the admin: the list, the page of one, and what a person may ask for on them."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Final, cast

from django.contrib.admin.views.main import ChangeList
from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import (
    APP_LABEL,
    ReadOnlyAdmin,
    age_column,
    allowed,
    column,
    handing_on,
    time_column,
)
from complycube_sessions.admin.evidence import evidence_view, report_view
from complycube_sessions.admin.export import export_view, may_export_list, xlsx_is_there
from complycube_sessions.admin.freshness import freshness_line
from complycube_sessions.admin.log_words import in_words
from complycube_sessions.admin.neighbours import next_view, previous_view
from complycube_sessions.admin.overview import overview_view
from complycube_sessions.admin.queue import LIST_ORDER, is_queue, list_order, list_title
from complycube_sessions.admin.refresh import fetch_view, refresh_selected, refresh_view
from complycube_sessions.admin.review_actions import (
    assign_selected,
    assign_view,
    review_view,
    take_next_view,
)
from complycube_sessions.admin.review_figures import figures_view
from complycube_sessions.admin.review_list import (
    CaseListFilter,
    case_tabs,
    case_view,
    cell,
    columns_of,
    may_see,
)
from complycube_sessions.admin.review_panel import case_points, review_panel
from complycube_sessions.admin.saved_views import views_view
from complycube_sessions.admin.session_list import (
    SessionChangeList,
    check_marks,
    outcome_with_flags,
    workflow_text,
)
from complycube_sessions.admin.session_page import session_context
from complycube_sessions.admin.upstream import upstream_view
from complycube_sessions.db.connections import outside_transactions
from complycube_sessions.models import RelatedCheck, WorkflowSession

SENSITIVE_FIELDS: Final = ("raw", "tasks")
PAGE_NAME: Final = "complycube_sessions_workflowsession_change"
# All of the queue are complete; why they wait matters more than how long each took.
QUEUE_COLUMNS: Final = (
    "who",
    "age",
    "outcome_badge",
    "reason",
    "workflow",
    "check_marks",
    "updated",
)


class WorkflowSessionAdmin(ReadOnlyAdmin):
    actions = [refresh_selected, assign_selected]
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
        CaseListFilter,
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
    ordering = LIST_ORDER
    change_list_template = "complycube_sessions/session_list.html"
    search_fields = ["id"]  # Django shows the box only with one; the search itself is below
    search_help_text = gettext_lazy(
        "A session, client or check id, or the beginnings of words of the name, with or without accents."
    )
    page_template = "session.html"

    def get_urls(self) -> list[Any]:
        views: dict[str, Callable[..., Any]] = {
            "overview/": overview_view,
            "fetch/": fetch_view,
            "export/": export_view,
            # The same under a name of ours: import-export takes the one above.
            "export_list/": export_view,
            "take-next/": take_next_view,
            "reviews/": figures_view,
            "views/": views_view,
            "<path:object_id>/review/": review_view,
            "<path:object_id>/assign/": assign_view,
            "<path:object_id>/refresh/": refresh_view,
            "<path:object_id>/evidence/": evidence_view,
            "<path:object_id>/report/": report_view,
            "<path:object_id>/upstream/": upstream_view,
            "<path:object_id>/next/": next_view,
            "<path:object_id>/previous/": previous_view,
        }
        own = [
            path(
                route,
                self.admin_site.admin_view(MethodType(view, self)),
                name=f"{APP_LABEL}_{self.opts.model_name}_{route.split('/')[-2]}",
            )
            for route, view in views.items()
        ]
        return [*own, *super().get_urls()]

    @outside_transactions
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or the queue of those that need a review; run an action on a selection."""
        queue, view = is_queue(request), case_view(request)
        may_refresh = self.has_refresh_permission(request)
        may_export = may_export_list(request)
        query = request.GET.urlencode()
        context = {
            "title": list_title(request),
            "is_queue": queue,
            "list_url": self.url("changelist"),
            "queue_url": self.list_url(review=filters.YES),
            "case_tabs": case_tabs(self, request),
            "is_case": view is not None,
            "views_url": f"{self.url('views')}?{query}",
            "figures_url": self.url("reviews") if may_see(request) else "",
            "next_url": handing_on(query, self.url("take-next"))
            if allowed(request, "work_review")
            else "",
            "overview_url": self.url("overview"),
            "fetch_url": self.url("fetch") if may_refresh else "",
            "export_url": f"{self.url('export_list')}?{query}" if may_export else "",
            "has_xlsx": xlsx_is_there(),
            "freshness": freshness_line(self.pending_url(request))
            if self.has_view_permission(request)
            else None,
        }
        response: HttpResponse = super().changelist_view(request, context | (extra_context or {}))
        return response

    def has_assign_permission(self, request: HttpRequest) -> bool:
        return allowed(request, "assign_review")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(self.list_display)
        if view := case_view(request):
            return columns_of(view, columns)
        if is_queue(request):
            return list(QUEUE_COLUMNS)
        return list(self.list_display)

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return list(list_order(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SessionChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset.search(search_term), False  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        sessions = super().get_queryset(request)
        resolved = request.resolver_match
        if resolved is not None and resolved.url_name == PAGE_NAME:
            sessions = sessions.select_related("review")
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

    @column(gettext_lazy("reason"))
    def reason(self, session: WorkflowSession) -> SafeString | str:
        return session.first_reason  # type: ignore[attr-defined,no-any-return] # the list tells it

    @column(gettext_lazy("status"), ordering="status")
    def status_pill(self, session: WorkflowSession) -> SafeString:
        return display.status_pill(session.status)

    @column(gettext_lazy("workflow"))
    def workflow(self, session: WorkflowSession) -> SafeString | str:
        return workflow_text(session)

    @column(gettext_lazy("checks"))
    def check_marks(self, session: WorkflowSession) -> SafeString | str:
        return check_marks(session.check_words)  # type: ignore[attr-defined] # the list tells them

    @column(gettext_lazy("open for"), ordering="review__opened_at")
    def review_age(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_age")

    @column(gettext_lazy("due"), ordering="review__due_at")
    def review_due(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_due")

    @column(gettext_lazy("state"))
    def review_state(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_state")

    @column(gettext_lazy("assignee"))
    def review_assignee(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_assignee")

    @column(gettext_lazy("decision"))
    def review_decision(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_decision")

    @column(gettext_lazy("decided by"))
    def review_decided_by(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_decided_by")

    @column(gettext_lazy("decided"), ordering="review__decided_at")
    def review_decided(self, session: WorkflowSession) -> SafeString | str:
        return cell(session, "review_decided")

    created = time_column("created_at", gettext_lazy("created"), ordering="created_at")

    @column(gettext_lazy("time to complete"))
    def time_to_complete(self, session: WorkflowSession) -> str:
        return display.duration(display.between(session.created_at, session.completed_at))

    updated = age_column("updated_at", gettext_lazy("updated"), ordering="updated_at")

    fetched = age_column("fetched_at", gettext_lazy("fetched"), ordering="fetched_at")

    def page_context(self, request: HttpRequest, row: WorkflowSession) -> dict[str, Any]:
        # Once for all: what a decision says was seen is what the page shows.
        unread = ["raw"] if may_see(request) else ["raw", "result"]
        prefetch_related_objects([row], Prefetch("checks", RelatedCheck.objects.defer(*unread)))
        case = review_panel(self, request, row)
        return {"case": case, **session_context(self, request, row, case_points(case))}

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response: Any = super().history_view(request, object_id, extra_context)
        if lines := getattr(response, "context_data", {}).get("action_list"):
            lines.object_list = list(lines.object_list)
            for line in lines.object_list:
                line.change_message = in_words(line.change_message)
        return cast("HttpResponse", response)

    def after_fault(self, request: HttpRequest, object_id: str = "", **kwargs: Any) -> str:
        if not self.has_view_permission(request):
            return self.url("fetch")
        return super().after_fault(request, object_id)
