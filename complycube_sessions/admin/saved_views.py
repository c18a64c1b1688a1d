"""Saved views: a name for the filters of the list of sessions, one's own or shared with everybody."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.views.main import ORDER_VAR
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Q, QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    QueryDict,
)
from django.utils.translation import gettext as _

from complycube_sessions.admin.base import ReadOnlyAdmin, holds_nul, tells_database_faults
from complycube_sessions.db.connections import write_alias
from complycube_sessions.models import SavedView

SHOWN: Final = 200
NAME_LENGTH: Final = 80
QUERY_LENGTH: Final = 1_000
MOST_OWN: Final = 50


@tells_database_faults
def views_view(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the saved views and save another; on POST, save or remove one and show them again."""
    if not page.has_view_permission(request):
        raise PermissionDenied
    if request.method == "POST":
        if holds_nul(request.POST):
            raise BadRequest("A text holds a NUL.")
        _change(request, page)
        return HttpResponseRedirect(page.url("views"))
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    me = request.user.pk
    rows = SavedView.objects.filter(Q(owner=me) | Q(is_shared=True)).order_by("name", "pk")
    shown = [
        {"view": row, "url": f"{page.list_url()}?{row.query}", "is_own": row.owner_id == me}
        for row in rows[:SHOWN]
    ]
    context = {
        "title": _("Saved views"),
        "crumb": _("Saved views"),
        "list_url": page.list_url(),
        "views": shown,
        "query": _filters(page, request.GET.urlencode()),
        "name_length": NAME_LENGTH,
    }
    return page.render(request, "saved_views.html", context)


def _change(request: HttpRequest, page: ReadOnlyAdmin) -> None:
    own = SavedView.objects.using(write_alias()).filter(owner=request.user.pk)
    if request.POST.get("do") == "remove":
        number = request.POST.get("view", "")
        removed = (
            own.filter(pk=int(number)) if number.isdecimal() and len(number) < 19 else own.none()
        )
        if removed.delete()[0]:
            messages.success(request, _("The view is removed."))
        return
    problem = _save(request, page, own)
    if problem:
        messages.error(request, problem)
    else:
        messages.success(request, _("The view is saved."))


def _save(request: HttpRequest, page: ReadOnlyAdmin, own: QuerySet[SavedView]) -> str:
    """Save a view, or return why it cannot be."""
    name = request.POST.get("name", "").strip()
    query = _filters(page, request.POST.get("query", ""))
    if not name or len(name) > NAME_LENGTH:
        return _("Give the view a name of up to %(count)d characters.") % {"count": NAME_LENGTH}
    if not query or len(query) > QUERY_LENGTH:
        return _("Set filters in the list first.")
    if own.count() >= MOST_OWN:
        return _("You have %(count)d views. Remove one first.") % {"count": MOST_OWN}
    is_shared = request.POST.get("shared") == "on"
    own.create(name=name, owner_id=request.user.pk, is_shared=is_shared, query=query)
    return ""


def _filters(page: Any, query: str) -> str:
    """Return the filters of an address without anything else: what is searched for may be a name."""
    names = {ORDER_VAR}
    for one in page.list_filter:
        names.update(getattr(one, "parameters", None) or [one.parameter_name])
    kept = QueryDict(mutable=True)
    for name, values in QueryDict(query[: 4 * QUERY_LENGTH]).lists():
        if name in names:
            kept.setlist(name, values)
    return kept.urlencode()
