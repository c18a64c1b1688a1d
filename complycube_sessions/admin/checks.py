"""The list of checks and the page of one check with its breakdown."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import ReadOnlyAdmin, age_column, allowed, column
from complycube_sessions.admin.check_reasons import match_rows, reason_list
from complycube_sessions.admin.paging import BoundedChangeList
from complycube_sessions.admin.tree import tree
from complycube_sessions.admin.upstream import check_actions
from complycube_sessions.findings.matches import matches_of
from complycube_sessions.findings.reasons import reasons
from complycube_sessions.models import RelatedCheck

SESSIONS_SHOWN: Final = 50
SESSION_REST: Final = tuple(
    f"session__{name}" for name in ("raw", "tasks", "compliance_policies", "policy_assurance")
)
_MONITORED: Final = {True: gettext_lazy("Yes"), False: gettext_lazy("No"), None: display.DASH}
LIST_FIELDS: Final = (
    "check_id",
    "type",
    "status",
    "outcome",
    "updated_at",
    "session__entity_name",
    "session__created_at",
)


class CheckChangeList(BoundedChangeList):
    """A page of checks with the names of their sessions, and none of the large columns of either."""

    completions = {"type": ("outcome", "session_id"), "outcome": ("session_id",)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the newest sessions first where a time is asked for: the index of that time has them."""
        days = (self.params.get(name) for name in filters.SessionCreatedListFilter.parameters)
        if any(days) and not self.params.get(ORDER_VAR):
            return ["-session__created_at", "-pk"]
        return super().get_ordering(request, queryset)

    def shape(self, rows: QuerySet[RelatedCheck]) -> QuerySet[RelatedCheck]:
        return rows.only(*LIST_FIELDS)


class RelatedCheckAdmin(ReadOnlyAdmin):
    list_display = ["who", "type_label", "result_badge", "status_label", "updated", "check_code"]
    list_display_links = ["who", "session_code", "type_label"]
    list_filter = [
        filters.CheckTypeListFilter,
        filters.CheckOutcomeListFilter,
        filters.CheckStatusListFilter,
        filters.SessionCreatedListFilter,
    ]
    ordering = ["-id"]
    search_fields = ["check_id", "session"]
    search_help_text = gettext_lazy("A check id or a session id.")
    page_template = "check.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CheckChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        checks = super().get_queryset(request)
        # Of the session only the name is shown.
        checks = checks.select_related("session").defer(*SESSION_REST)
        return checks if self.has_sensitive_permission(request) else checks.defer("result", "raw")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        # A name is the session's; who may not see sessions is told its id.
        shown = "who" if allowed(request, "view_workflowsession") else "session_code"
        return [shown if name == "who" else name for name in self.list_display]

    @column(gettext_lazy("type"), ordering="type")
    def type_label(self, check: RelatedCheck) -> SafeString:
        return format_html("<bdi>{}</bdi>", display.check_type_label(check.type))

    @column(gettext_lazy("outcome"), ordering="outcome")
    def result_badge(self, check: RelatedCheck) -> SafeString:
        return display.check_appearance(check).badge

    @column(gettext_lazy("status"), ordering="status")
    def status_label(self, check: RelatedCheck) -> SafeString:
        return format_html(
            '<span class="ccs-status"><bdi>{}</bdi></span>',
            display.check_status_label(check.status),
        )

    @column(gettext_lazy("who"))
    def who(self, check: RelatedCheck) -> SafeString:
        name = check.session.entity_name or f"({check.session_id})"
        return format_html('<bdi class="ccs-who">{}</bdi>', name)

    @column(gettext_lazy("session"))
    def session_code(self, check: RelatedCheck) -> SafeString:
        return format_html("<code>{}</code>", check.session_id)

    updated = age_column("updated_at", gettext_lazy("updated"), ordering="updated_at")

    @column(gettext_lazy("check id"), ordering="check_id")
    def check_code(self, check: RelatedCheck) -> SafeString | str:
        return display.short_id(check.check_id)

    def page_context(self, request: HttpRequest, row: RelatedCheck) -> dict[str, Any]:
        sensitive = self.has_sensitive_permission(request)
        may_open = allowed(request, "view_workflowsession")
        same = (
            RelatedCheck.objects.filter(check_id=row.check_id)
            .select_related("session")
            .only(
                "check_id",
                "task_id",
                "missing_since",
                "session__entity_name",
                "session__created_at",
            )
            .order_by("-session__created_at", "-pk")[:SESSIONS_SHOWN]
        )
        result = row.result if sensitive else None
        breakdown = result.get("breakdown") if isinstance(result, dict) else None
        label = display.check_type_label(row.type)
        return {
            "subtitle": f"{label} {row.check_id}",
            **(findings_context(row) if sensitive else {}),
            "check": row,
            "label": label,
            "look": display.check_appearance(row),
            "status": display.check_status_label(row.status),
            "sessions": [
                {
                    "row": other,
                    "session": other.session,
                    "who": (may_open and other.session.entity_name) or other.session_id,
                    "url": self.row_url(other.session) if may_open else "",
                    "created": display.moment(other.session.created_at),
                }
                for other in same
            ],
            "who": (may_open and row.session.entity_name) or row.session_id,
            "session_url": self.session_url(request, row.session_id),
            "sensitive": sensitive,
            "upstream_actions": check_actions(self, request, row),
            "has_result": bool(result),
            # One that failed or still runs has no breakdown that a refresh could fetch.
            "may_refresh": row.status == RelatedCheck.Status.COMPLETE
            and self.has_refresh_permission(request),
            "breakdown": tree(breakdown or result, verdicts=True) if result else "",
            "raw": tree(row.raw, open_levels=1) if sensitive and row.raw else "",
            "fields": [
                (_("Outcome"), row.outcome or display.DASH),
                (_("Status"), row.status or display.DASH),
                (pgettext("complycube", "Type"), row.type or display.DASH),
                (_("Task"), row.task_id or display.DASH),
                (_("Document"), row.document_id or display.DASH),
                (_("Monitored"), _MONITORED[row.monitored]),
                (_("Created"), display.moment(row.created_at)),
                (_("Updated"), display.moment(row.updated_at)),
                (
                    pgettext("complycube", "Duration"),
                    display.duration(display.between(row.created_at, row.updated_at)),
                ),
                (_("Fetched"), display.moment(row.fetched_at)),
                (_("Result fetched"), display.moment(row.result_fetched_at)),
                (_("No longer listed since"), display.moment(row.missing_since)),
            ],
        }


def findings_context(check: RelatedCheck) -> dict[str, Any]:
    """Return why a check is not clear, and the possible matches of a screening."""
    found = matches_of(check.result)
    why = reasons(check.type, check.outcome, check.result, status=check.status)
    return {
        "reasons": reason_list(why) if why else "",
        "matches": match_rows(found),
        "matches_left_out": found.left_out,
    }
