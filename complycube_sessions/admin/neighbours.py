"""From the page of a session to the one before or after it in the list that it was opened from."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext as _

from complycube_sessions.admin.actions import stored_session
from complycube_sessions.admin.base import ReadOnlyAdmin, list_state, with_list_state
from complycube_sessions.db import keyset
from complycube_sessions.models.session_queries import read_plan


def next_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Lead to the session after this one."""
    return _lead(page, request, unquote(object_id), backwards=False)


def previous_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Lead to the session before this one."""
    return _lead(page, request, unquote(object_id), backwards=True)


def _lead(
    page: ReadOnlyAdmin, request: HttpRequest, session_id: str, *, backwards: bool
) -> HttpResponse:
    """Lead to the neighbour of a session, or where there is none back to it, and say so."""
    if not page.has_view_permission(request):
        raise PermissionDenied
    try:
        found = _neighbour(page, request, session_id, backwards=backwards)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(page.url("changelist"))
    if found is None and not stored_session(session_id).exists():
        return HttpResponseRedirect(page.back_url(request))
    if found is None:
        is_first, is_last = (
            _("This is the first session of the list."),
            _("This is the last session of the list."),
        )
        messages.info(request, is_first if backwards else is_last)
    return HttpResponseRedirect(with_list_state(request, page.url("change", found or session_id)))


def _neighbour(
    page: ReadOnlyAdmin, request: HttpRequest, session_id: str, *, backwards: bool
) -> Any:
    """
    Return the primary key of a session's neighbour, or None.

    The session itself may have left the list meanwhile, as one does that was decided: it still has a place
    in the order.
    """
    asked = QueryDict(list_state(request))
    given, request.GET = request.GET, asked
    try:
        changelist: Any = page.get_changelist_instance(request)
    finally:
        request.GET = given
    keys = changelist.keys
    row = stored_session(session_id).only(*(key.path for key in keys)).first()
    if row is None or not keys:
        return None
    found = keyset.page(
        changelist.queryset.values_list("pk", flat=True),
        keys,
        size=1,
        after=keyset.position(row, keys),
        backwards=backwards,
        is_short=read_plan(changelist.queryset).is_gathered,
    )
    return found[0] if found else None
