"""
The desk of a compliance reviewer, on Django's own admin.

The classes are registered with the default site. A project with another site of its own calls
``register(site)`` once more; one whose theme has a ``ModelAdmin`` of its own, ``register(site, base=...)``.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model

from complycube_sessions import models
from complycube_sessions.admin.base import ReadOnlyAdmin
from complycube_sessions.admin.changes import SessionChangeAdmin
from complycube_sessions.admin.checks import RelatedCheckAdmin
from complycube_sessions.admin.events import WebhookEventAdmin
from complycube_sessions.admin.privacy import ErasureAdmin, PruneRunAdmin
from complycube_sessions.admin.runs import PendingRefreshAdmin, RefreshRunAdmin
from complycube_sessions.admin.sessions import WorkflowSessionAdmin

ADMIN_CLASSES: dict[type[Model], type[ReadOnlyAdmin]] = {
    models.WorkflowSession: WorkflowSessionAdmin,
    models.RelatedCheck: RelatedCheckAdmin,
    models.SessionChange: SessionChangeAdmin,
    models.RefreshRun: RefreshRunAdmin,
    models.PendingRefresh: PendingRefreshAdmin,
    models.WebhookEvent: WebhookEventAdmin,
    models.Erasure: ErasureAdmin,
    models.PruneRun: PruneRunAdmin,
}


def register(site: admin.AdminSite, *, base: type[admin.ModelAdmin] | None = None) -> None:
    """
    Register every page of the app with an admin site.

    Args:
        site: The admin site.
        base: A theme's own ``ModelAdmin``. The classes of the app then inherit from it behind their
            own, and replace those that the site has.
    """
    for model, own in ADMIN_CLASSES.items():
        if base is None:
            site.register(model, own)
            continue
        if site.is_registered(model):
            site.unregister(model)
        mixed: type[Any] = type(own.__name__, (own, base), {})
        site.register(model, mixed)


register(admin.site)
