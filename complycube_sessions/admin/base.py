"""What every admin page of a mirror has in common: it reads, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce, wraps
from operator import or_
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import DatabaseError, InterfaceError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from complycube_sessions.admin import display
from complycube_sessions.admin.paging import BoundedChangeList
from complycube_sessions.db.connections import patience
from complycube_sessions.models import PendingRefresh, WorkflowSession

logger = logging.getLogger("complycube_sessions.admin")

APP_LABEL = "complycube_sessions"
DATABASE_FAULTS: Final = (DatabaseError, InterfaceError)
# How long a page begins again what a locked database refused.
PATIENCE_SECONDS: Final = 5.0
# Where Django hands on the query of the list that a page was opened from.
LIST_STATE_VAR: Final = "_changelist_filters"
LONGEST_LIST_STATE: Final = 900
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Chip:
    """A filter that is on, and the address of the list without it."""

    title: Any
    value: Any
    url: str


def active_filters(changelist: ChangeList) -> list[Chip]:
    """Return the filters that are on, in the order of the panel."""
    chips = []
    specs: list[Any] = changelist.filter_specs  # all of them are of filters.py
    for spec in specs:
        text = spec.chosen_text()
        if text:
            names = [name for name in spec.expected_parameters() if name]
            chips.append(Chip(spec.title, text, changelist.get_query_string(remove=names)))
    return chips


def database_reason(error: Exception) -> str:
    """Return what it means to a person that the database refused something, and log it."""
    # Its own words may quote a row.
    name = type(error).__name__
    logger.warning("The database refused what a page asked for: %s.", name, extra={"error": name})
    text = _(
        "The database refused this (%(error)s); another process may be writing. Try again in a moment."
    )
    return text % {"error": name}


def tells_database_faults(view: View) -> View:
    """Make a view that writes say what the database refused, and go back, in place of an error page."""

    @wraps(view)
    def telling(self: ReadOnlyAdmin, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method != "POST":
            return view(self, request, *args, **kwargs)
        try:
            with patience(PATIENCE_SECONDS):
                return view(self, request, *args, **kwargs)
        except DATABASE_FAULTS as error:
            messages.error(request, database_reason(error))
            return HttpResponseRedirect(self.after_fault(request, **kwargs))

    return cast("View", telling)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Lists and pages of rows that nobody adds, changes or deletes by hand."""

    # One bar stays on: with both off Django writes an inline style, which a strict policy forbids.
    actions_on_top = True
    actions_on_bottom = False
    show_full_result_count = False
    # As many as one reads; each row costs a millisecond of Python's time.
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    action_form = ActionForm
    change_list_template = "complycube_sessions/list.html"
    object_history_template = "complycube_sessions/history.html"
    page_template = ""

    class Media:
        css = {"all": ["complycube_sessions/admin.css", "complycube_sessions/lists.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        return allowed(request, "refresh_workflowsession")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return allowed(request, "export_workflowsession")

    def has_evidence_permission(self, request: HttpRequest) -> bool:
        return allowed(request, "evidence_workflowsession")

    def has_upstream_permission(self, request: HttpRequest) -> bool:
        return allowed(request, "change_upstream_workflowsession")

    def has_sensitive_permission(self, request: HttpRequest) -> bool:
        return allowed(request, "view_sensitive_workflowsession")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Find the rows of which one of ``search_fields``, each a lookup, is what was typed."""
        typed = search_term.strip()
        if not typed or not self.search_fields:
            return queryset, False
        named = [models.Q((name, typed)) for name in self.search_fields]
        return queryset.filter(reduce(or_, named)), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """
        Return whether an address may filter by a lookup.

        Beside the filters only whole values of plain columns: a lookup into the answer or a result
        would tell its content, bit by bit, to one who may not see it.
        """
        for list_filter in self.list_filter:
            names = getattr(list_filter, "parameters", None)
            if lookup in (names or [getattr(list_filter, "parameter_name", None)]):
                return True
        name = lookup.removesuffix("__exact")
        return any(
            field.name == name and not isinstance(field, models.JSONField)
            for field in self.opts.concrete_fields
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        # PostgreSQL raises an error for what no row can hold.
        if holds_nul(request.GET):
            raise IncorrectLookupParameters
        changelist: ChangeList = super().get_changelist_instance(request)
        return changelist

    @tells_database_faults
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if holds_nul(request.POST):
            raise BadRequest("An id holds a NUL.")
        self._refuse_impossible_ids(request.POST.getlist(ACTION_CHECKBOX_NAME))
        context = {
            "title": capfirst(self.opts.verbose_name_plural),
            "zone": timezone.get_current_timezone_name(),
        }
        response: HttpResponse = super().changelist_view(request, context | (extra_context or {}))
        if isinstance(response, TemplateResponse) and response.context_data:
            changelist = response.context_data.get("cl")
            if isinstance(changelist, ChangeList):
                response.context_data["chips"] = active_filters(changelist)
        return response

    def _refuse_impossible_ids(self, selected: list[str]) -> None:
        """Raise ``BadRequest`` for an id that no row can have, of which a database makes an error."""
        key: Any = self.opts.pk
        try:
            for text in selected:
                key.run_validators(key.to_python(text))
        except ValidationError:
            raise BadRequest("An id cannot be one.") from None

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        # PostgreSQL raises an error for what no row can hold.
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one row on a page of its own instead of Django's form."""
        if object_id is None or request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            messages.warning(
                request, _("There is no record “%(id)s”.") % {"id": unquote(object_id)}
            )
            return HttpResponseRedirect(self.url("changelist"))
        context = {
            "title": capfirst(self.opts.verbose_name),
            "subtitle": str(row),
            "original": row,
            "list_url": self.url("changelist"),
            "back_url": self.back_url(request),
            "came_from_list": bool(list_state(request)),
            **self.page_context(request, row),
        }
        return self.render(request, self.page_template, context | (extra_context or {}))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Before Django looks for the row: its answer would tell whether there is one.
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {"media": self.media, **(extra_context or {})}
        response: HttpResponse = super().history_view(request, object_id, context)
        return response

    @wraps(admin.ModelAdmin.action_checkbox)
    def action_checkbox(self, obj: Any) -> SafeString:  # type: ignore[override]
        """Return Django's checkbox without a template for each row, a sixth of the time of a list."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            _("Select this object for an action - {}").format(obj),
        )

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the page of one row shows."""
        raise NotImplementedError

    def render(
        self, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        """Return a page inside the admin site that this class is registered with."""
        request.current_app = self.admin_site.name
        common = self.admin_site.each_context(request)
        return TemplateResponse(
            request,
            f"complycube_sessions/{template}",
            {**common, "opts": self.opts, "media": self.media, **context},
        )

    def url(self, page: str, *args: Any, model: type[models.Model] | None = None) -> str:
        """Return the address of a page of this app on the admin site of this class."""
        model_name = model._meta.model_name if model else self.opts.model_name
        return reverse(
            f"admin:{APP_LABEL}_{model_name}_{page}",
            args=[quote(arg) for arg in args],
            current_app=self.admin_site.name,
        )

    def list_url(self, model: type[models.Model] | None = None, /, **query: Any) -> str:
        """Return the address of a list with these filters."""
        address = self.url("changelist", model=model)
        return f"{address}?{urlencode(query)}" if query else address

    def back_url(self, request: HttpRequest) -> str:
        """Return the address of the list as it was left for this page, with its filters and its place."""
        state = list_state(request)
        return self.url("changelist") + (f"?{state}" if state else "")

    def after_fault(self, request: HttpRequest, object_id: str = "", **kwargs: Any) -> str:
        """Return where to go on when the database refused something: to the page it was asked on."""
        if object_id:
            return with_list_state(request, self.url("change", unquote(object_id)))
        query = request.GET.urlencode()
        return self.url("changelist") + (f"?{query}" if query else "")

    def pending_url(self, request: HttpRequest) -> str:
        """Return the address of the list of what is due, or ``""`` for one who may not see it."""
        if not allowed(request, "view_pendingrefresh"):
            return ""
        return self.list_url(PendingRefresh)

    def row_url(self, row: models.Model) -> str:
        """Return the address of the page of a row."""
        return self.url("change", row.pk, model=type(row))

    def session_url(self, request: HttpRequest, session_id: str) -> str:
        """Return the address of the page of a session, or ``""`` for one who may not see it."""
        if not session_id or not allowed(request, "view_workflowsession"):
            return ""
        return self.url("change", session_id, model=WorkflowSession)

    def session_link(self, request: HttpRequest, session_id: str, text: str = "") -> SafeString:
        """Return the id of a session as a link, or as text to one who may not follow it."""
        shown = format_html("<code>{}</code>", text or session_id)
        url = self.session_url(request, session_id)
        return format_html('<a href="{}">{}</a>', url, shown) if url else shown


def holds_nul(values: QueryDict) -> bool:
    """Return whether a query or a form holds a NUL, which no text of a database does."""
    return any("\0" in text for name, texts in values.lists() for text in (name, *texts))


def list_state(request: HttpRequest) -> str:
    """Return the query of the list that led to a page, as the links of a list hand it on, or ``""``."""
    state = request.GET.get(LIST_STATE_VAR, "")
    return QueryDict(state).urlencode() if len(state) <= LONGEST_LIST_STATE else ""


def with_list_state(request: HttpRequest, url: str) -> str:
    """Return an address that hands the query of the list on."""
    return handing_on(list_state(request), url)


def handing_on(state: str, url: str) -> str:
    """Return an address with the query of the list to which its page leads back, if there is one."""
    return f"{url}?{urlencode({LIST_STATE_VAR: state})}" if state else url


def allowed(request: HttpRequest, codename: str) -> bool:
    """Return whether the user holds a permission of this app."""
    return request.user.has_perm(f"{APP_LABEL}.{codename}")


def column(
    description: Any, *, ordering: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe a method of an admin class as a column of its list."""
    return admin.display(description=description, ordering=ordering)


def time_column(field: str, description: Any, *, ordering: str | None = None) -> Callable[..., Any]:
    """Return a column that shows a time of the row, whose zone stands above the list."""

    @column(description, ordering=ordering)
    def shown(self: ReadOnlyAdmin, row: models.Model) -> SafeString | str:
        return display.moment(getattr(row, field), with_zone=False)

    return shown


def age_column(field: str, description: Any, *, ordering: str | None = None) -> Callable[..., Any]:
    """Return a column that shows how long ago a time of the row was, and the time as a tooltip."""

    @column(description, ordering=ordering)
    def shown(self: ReadOnlyAdmin, row: models.Model) -> SafeString | str:
        when = getattr(row, field)
        return display.DASH if when is None else display.ago(when)

    return shown
