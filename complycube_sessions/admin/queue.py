"""The queue of sessions that wait for a review: when a list is one, its order and its title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from complycube_sessions.admin import filters
from complycube_sessions.admin.review_list import case_view

LIST_ORDER: Final = ("-created_at",)
# Whoever has waited longest comes first.
QUEUE_ORDER: Final = ("created_at",)


def is_queue(request: HttpRequest) -> bool:
    """Return whether the list is asked for as the queue of open work."""
    return request.GET.get("review") == filters.YES


def list_order(request: HttpRequest) -> Sequence[str]:
    """Return the order of the list that is asked for."""
    if view := case_view(request):
        return view.order
    return QUEUE_ORDER if is_queue(request) else LIST_ORDER


def list_title(request: HttpRequest) -> str:
    """Return what the list is called that is asked for."""
    if view := case_view(request):
        return _("Reviews: %(view)s") % {"view": view.label}
    return _("Needs review, oldest first") if is_queue(request) else _("Workflow sessions")
