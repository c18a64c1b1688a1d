"""How the mirror is kept in step: refresh runs, and the sessions that are due."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import ReadOnlyAdmin, column, time_column
from complycube_sessions.models import PendingRefresh, RefreshRun
from complycube_sessions.wording import beside


class RefreshRunAdmin(ReadOnlyAdmin):
    list_display = [
        "started",
        "state_badge",
        "mode_label",
        "account_name",
        "took",
        "listed",
        "fetched",
        "created",
        "updated",
        "missing",
        "failed",
        "still_due",
    ]
    list_filter = [
        filters.RunStateListFilter,
        filters.RunModeListFilter,
        filters.AccountListFilter,
    ]
    ordering = ["-started_at", "-id"]
    page_template = "record.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        runs = super().get_queryset(request)
        resolved = request.resolver_match
        is_page = resolved is not None and "object_id" in resolved.kwargs
        return runs if is_page else runs.defer("errors")

    started = time_column("started_at", gettext_lazy("started"), ordering="started_at")

    @column(gettext_lazy("state"), ordering="state")
    def state_badge(self, run: RefreshRun) -> SafeString:
        return display.run_appearance(run).badge

    @column(gettext_lazy("mode"), ordering="mode")
    def mode_label(self, run: RefreshRun) -> str:
        return str(run.get_mode_display())

    @column(gettext_lazy("account"), ordering="account")
    def account_name(self, run: RefreshRun) -> SafeString:
        return format_html(
            '<bdi>{}</bdi> <span class="ccs-quiet">{}</span>', run.account, run.environment
        )

    @column(gettext_lazy("duration"))
    def took(self, run: RefreshRun) -> str:
        end = run.finished_at
        if end is None and run.state == RefreshRun.State.RUNNING:
            end = timezone.now()
        return display.duration(display.between(run.started_at, end))

    def page_context(self, request: HttpRequest, row: RefreshRun) -> dict[str, Any]:
        errors = row.errors if isinstance(row.errors, dict) else {}
        return {
            "subtitle": _("Run %(id)s") % {"id": row.pk},
            "heading": _("Refresh run %(id)s") % {"id": row.pk},
            "badges": [display.run_appearance(row).badge],
            "fields": [
                (_("Account"), self.account_name(row)),
                (_("Mode"), self.mode_label(row)),
                (_("Started"), display.moment(row.started_at)),
                (_("Finished"), display.moment(row.finished_at)),
                (pgettext("complycube", "Duration"), self.took(row)),
                (_("Watermark"), display.moment(row.watermark)),
            ],
            "counts": [(label(RefreshRun, name), getattr(row, name)) for name in RefreshRun.COUNTS],
            "error_count": row.error_count,
            "errors": [
                (self.session_link(request, key), beside(key, reason))
                for key, reason in errors.items()
            ],
            "shows_errors": True,
        }


class PendingRefreshAdmin(ReadOnlyAdmin):
    list_display = [
        "session_id",
        "account",
        "reason",
        "requested",
        "attempts",
        "next_try",
        "error_text",
    ]
    list_filter = [filters.FailingListFilter, filters.AccountListFilter]
    ordering = ["next_try_at", "id"]
    search_fields = ["session_id"]
    search_help_text = gettext_lazy("A session id.")
    page_template = "record.html"

    requested = time_column("requested_at", gettext_lazy("requested"), ordering="requested_at")

    next_try = time_column("next_try_at", gettext_lazy("next try"), ordering="next_try_at")

    @column(gettext_lazy("error"))
    def error_text(self, pending: PendingRefresh) -> str:
        return beside(pending.session_id, pending.error)[:200] or display.DASH

    def page_context(self, request: HttpRequest, row: PendingRefresh) -> dict[str, Any]:
        return {
            "subtitle": row.session_id,
            "heading": _("Pending refresh"),
            "fields": [
                (_("Session"), self.session_link(request, row.session_id)),
                (_("Account"), row.account),
                (_("Reason"), row.reason),
                (_("Requested"), display.moment(row.requested_at)),
                (_("Attempts"), row.attempts),
                (_("Next try"), display.moment(row.next_try_at)),
                (_("Error"), beside(row.session_id, row.error) or display.DASH),
            ],
        }


def label(model: type[RefreshRun], name: str) -> str:
    """Return the label of a column."""
    field: Any = model._meta.get_field(name)
    return str(field.verbose_name).capitalize()
