"""The way from a landing page of the admin to the work that waits."""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.urls import reverse

from complycube_sessions.admin.base import APP_LABEL, allowed
from complycube_sessions.admin.filters import YES
from complycube_sessions.models import WorkflowSession

register = template.Library()

COUNTED: Final = 1_000


@register.inclusion_tag("complycube_sessions/includes/desk.html", takes_context=True)
def complycube_desk(context: template.Context) -> dict[str, Any]:
    """
    Return links to the queue with its count, to the overview and to fetch a session.

    The count is one query of an index, and ends at 1,000. Shown is what the user may see; without the
    request among the context processors, nothing.
    """
    request = context.get("request")
    if request is None:
        return {}
    site = getattr(request, "current_app", None)

    def url(page: str) -> str:
        return reverse(f"admin:{APP_LABEL}_workflowsession_{page}", current_app=site)

    shown = {"fetch_url": url("fetch") if allowed(request, "refresh_workflowsession") else ""}
    if not allowed(request, "view_workflowsession"):
        return shown
    waiting = WorkflowSession.objects.needs_review().order_by()[: COUNTED + 1].count()
    return {
        **shown,
        "queue_url": f"{url('changelist')}?review={YES}",
        "overview_url": url("overview"),
        "waiting": min(waiting, COUNTED),
        "is_more": waiting > COUNTED,
    }
