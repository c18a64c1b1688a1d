"""
The desk of a compliance reviewer, on Django's own admin.

The classes are registered with the default site. A project with another site of its own calls
``register(site)`` once more.
"""

from __future__ import annotations

from django.contrib import admin

from complycube_sessions import models
from complycube_sessions.admin.changes import SessionChangeAdmin
from complycube_sessions.admin.checks import RelatedCheckAdmin
from complycube_sessions.admin.events import WebhookEventAdmin
from complycube_sessions.admin.privacy import ErasureAdmin, PruneRunAdmin
from complycube_sessions.admin.runs import PendingRefreshAdmin, RefreshRunAdmin
from complycube_sessions.admin.sessions import WorkflowSessionAdmin


def register(site: admin.AdminSite) -> None:
    """Register every page of the app with an admin site."""
    site.register(models.WorkflowSession, WorkflowSessionAdmin)
    site.register(models.RelatedCheck, RelatedCheckAdmin)
    site.register(models.SessionChange, SessionChangeAdmin)
    site.register(models.RefreshRun, RefreshRunAdmin)
    site.register(models.PendingRefresh, PendingRefreshAdmin)
    site.register(models.WebhookEvent, WebhookEventAdmin)
    site.register(models.Erasure, ErasureAdmin)
    site.register(models.PruneRun, PruneRunAdmin)


register(admin.site)
