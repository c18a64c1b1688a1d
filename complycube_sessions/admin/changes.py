"""The history: what changed in a session or its checks, and who saw it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import ReadOnlyAdmin, age_column, column
from complycube_sessions.admin.subjects import SubjectChangeList, SubjectColumns
from complycube_sessions.models import SessionChange


class SessionChangeAdmin(SubjectColumns, ReadOnlyAdmin):
    list_display = [
        "observed",
        "person",
        "of_check",
        "what",
        "before",
        "after",
        "changed",
        "source_label",
    ]
    list_filter = [filters.ChangeFieldListFilter, filters.ChangeSourceListFilter]
    list_display_links = ["observed"]
    ordering = ["-observed_at", "-id"]
    search_fields = ["session"]
    search_help_text = gettext_lazy("A session id.")
    page_template = "record.html"

    observed = age_column("observed_at", gettext_lazy("observed"), ordering="observed_at")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SubjectChangeList

    @column(gettext_lazy("what"))
    def what(self, change: SessionChange) -> str:
        return display.change_field_label(change)

    @column(gettext_lazy("before"))
    def before(self, change: SessionChange) -> SafeString:
        return display.change_value(change, change.old)

    @column(gettext_lazy("after"))
    def after(self, change: SessionChange) -> SafeString:
        return display.change_value(change, change.new)

    changed = age_column("changed_at", gettext_lazy("changed"))

    @column(gettext_lazy("source"))
    def source_label(self, change: SessionChange) -> SafeString:
        sources = dict(SessionChange.Source.choices)
        return format_html("<bdi>{}</bdi>", sources.get(change.source, change.source))

    def page_context(self, request: HttpRequest, row: SessionChange) -> dict[str, Any]:
        return {
            "subtitle": _("Change of %(id)s") % {"id": row.session_id},
            "heading": display.change_field_label(row),
            "badges": [display.change_value(row, row.old), display.change_value(row, row.new)],
            "fields": [
                (_("Session"), self.session_link(request, row.session_id)),
                (_("Check"), row.check_id or display.DASH),
                (_("Field"), row.field),
                (_("Before"), row.old or display.DASH),
                (_("After"), row.new or display.DASH),
                (_("Changed"), display.moment(row.changed_at)),
                (_("Observed"), display.moment(row.observed_at)),
                (_("Source"), self.source_label(row)),
            ],
        }
