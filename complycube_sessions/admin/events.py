"""The inbox: the vendor's events, what became of them, and a way to process them again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import ReadOnlyAdmin, age_column, column, time_column
from complycube_sessions.admin.subjects import SubjectChangeList, SubjectColumns
from complycube_sessions.models import WebhookEvent
from complycube_sessions.webhooks import inbox
from complycube_sessions.webhooks.dispatch import process_soon
from complycube_sessions.webhooks.receive import CHECK_EVENT, SESSION_EVENT

STATES = {
    "waiting": Q(processed_at=None, error=""),
    "failing": Q(processed_at=None) & ~Q(error=""),
    "processed": Q(processed_at__isnull=False, error=""),
    "given_up": Q(processed_at__isnull=False) & ~Q(error=""),
}
STATE_LABELS = {
    "waiting": gettext_lazy("Waiting"),
    "failing": gettext_lazy("Failed, will be tried again"),
    "processed": gettext_lazy("Processed"),
    "given_up": gettext_lazy("Given up"),
}
STATE_MARKS = {
    "waiting": ("waiting", "…"),
    "failing": ("attention", "!"),
    "processed": ("clear", "✓"),
    "given_up": ("refused", "✕"),
}


class EventStateListFilter(filters.ChoiceListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> filters.Choices:
        return [(name, str(label)) for name, label in STATE_LABELS.items()]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        rows: QuerySet[Any] = queryset.filter(STATES[value]) if value in STATES else queryset.none()
        return rows


class EventChangeList(SubjectChangeList):
    """A page of events with the sessions and checks that they name."""

    def ids_of(self, row: WebhookEvent) -> tuple[str, str]:
        if row.type.startswith(CHECK_EVENT):
            return "", row.resource_id
        return (row.resource_id if row.type.startswith(SESSION_EVENT) else ""), ""


class WebhookEventAdmin(SubjectColumns, ReadOnlyAdmin):
    list_display = [
        "received",
        "person",
        "of_check",
        "type_name",
        "state",
        "attempts",
        "next_try",
        "error_text",
        "account",
        "resource",
    ]
    list_display_links = ["received"]
    list_filter = [EventStateListFilter, filters.AccountListFilter]
    ordering = ["-id"]
    sortable_by = ["received"]
    search_fields = ["resource_id", "client_id", "event_id"]
    search_help_text = gettext_lazy("A session id, a check id, a client id or an event id.")
    page_template = "record.html"
    actions = ["process_again"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventChangeList

    @admin.action(
        description=gettext_lazy("Process the selected events again"), permissions=["refresh"]
    )
    def process_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Make events due, and have them processed as new ones would be."""
        accounts = set(queryset.order_by().values_list("account", flat=True).distinct())
        count = inbox.process_again(queryset)
        is_taken = {process_soon(account) for account in accounts}
        if False not in is_taken:
            text = ngettext(
                "%(count)d event is due again and is being processed in the background.",
                "%(count)d events are due again and are being processed in the background.",
                count,
            )
        else:
            text = ngettext(
                "%(count)d event is due again. The next refresh run or the command "
                "process_webhook_events processes it.",
                "%(count)d events are due again. The next refresh run or the command "
                "process_webhook_events processes them.",
                count,
            )
        messages.success(request, text % {"count": count})

    received = age_column("received_at", gettext_lazy("received"), ordering="received_at")

    @column(gettext_lazy("type"))
    def type_name(self, event: WebhookEvent) -> SafeString:
        return format_html("<bdi>{}</bdi>", event.type)

    @column(gettext_lazy("session or resource"))
    def resource(self, event: WebhookEvent) -> SafeString | str:
        return display.short_id(event.resource_id)

    @column(gettext_lazy("state"))
    def state(self, event: WebhookEvent) -> SafeString:
        return state_look(event).badge

    next_try = time_column("next_try_at", gettext_lazy("next try"))

    @column(gettext_lazy("error"))
    def error_text(self, event: WebhookEvent) -> str:
        return str(event.error[:200]) or display.DASH

    def page_context(self, request: HttpRequest, row: WebhookEvent) -> dict[str, Any]:
        is_session = row.type.startswith(SESSION_EVENT)
        session_id = row.resource_id if is_session else ""
        return {
            "subtitle": row.event_id,
            "heading": row.type,
            "badges": [state_look(row).badge],
            "fields": [
                (_("Event"), row.event_id),
                (_("Account"), row.account),
                (_("Session or resource"), self.session_link(request, session_id, row.resource_id)),
                (_("Client"), row.client_id or display.DASH),
                (_("Status"), row.status or display.DASH),
                (_("Outcome"), row.outcome or display.DASH),
                (_("Occurred"), display.moment(row.occurred_at)),
                (_("Received"), display.moment(row.received_at)),
                (_("Processed"), display.moment(row.processed_at)),
                (_("Attempts"), row.attempts),
                (_("Next try"), display.moment(row.next_try_at)),
                (_("Error"), row.error or display.DASH),
            ],
        }


def state_look(event: WebhookEvent) -> display.Appearance:
    """Return how the state of an event looks."""
    state = state_of(event)
    tone, glyph = STATE_MARKS[state]
    return display.Appearance(tone, glyph, STATE_LABELS[state])


def state_of(event: WebhookEvent) -> str:
    """Return the key of the event's state."""
    if event.processed_at is None:
        return "failing" if event.error else "waiting"
    return "given_up" if event.error else "processed"
