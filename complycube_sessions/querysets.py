from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

if TYPE_CHECKING:
    from complycube_sessions.models import WorkflowSession

ENDED_STATUSES = ("complete", "abandoned", "cancelled")
REFUSALS = ("decline", "rejected", "match_confirmed")


class WorkflowSessionQuerySet(models.QuerySet["WorkflowSession"]):
    """Questions that a compliance desk or a host project asks of its sessions."""

    def for_client(self, client_id: str) -> WorkflowSessionQuerySet:
        """Return the sessions of one client, by the vendor's client id."""
        return self.filter(client_id=client_id)

    def open(self) -> WorkflowSessionQuerySet:
        """Return the sessions that have not ended; a status never seen before counts as open."""
        return self.exclude(status__in=ENDED_STATUSES).filter(missing_since=None)

    def needs_review(self) -> WorkflowSessionQuerySet:
        """Return the sessions that wait for a human decision."""
        return self.filter(needs_review=True)

    def declined(self) -> WorkflowSessionQuerySet:
        """Return the sessions that ended with a final refusal."""
        return self.filter(status="complete", outcome__in=REFUSALS)

    def stale(self, *, older_than: timedelta) -> WorkflowSessionQuerySet:
        """
        Return the sessions of which nothing was heard for longer than ``older_than``.

        A session was heard of when it was fetched, or when a sweep over its whole account succeeded
        and found nothing new in it. A session whose refresh is pending was not heard of.
        """
        from complycube_sessions import models as app  # the models import this module

        cutoff = timezone.now() - older_than
        swept = app.RefreshRun.objects.filter(
            account=OuterRef("account"),
            mode__in=app.RefreshRun.SWEEPING_MODES,
            state=app.RefreshRun.State.SUCCEEDED,
            started_at__gte=cutoff,
        )
        pending = app.PendingRefresh.objects.filter(
            account=OuterRef("account"), session_id=OuterRef("pk")
        )
        return self.filter(
            ~Exists(swept) | Q(Exists(pending)), fetched_at__lt=cutoff, missing_since=None
        )

    def latest_for_client(self, client_id: str) -> WorkflowSession | None:
        """Return the client's newest session by the vendor's creation time, or None."""
        newest_first = (F("created_at").desc(nulls_last=True), "-first_seen_at", "-pk")
        return self.for_client(client_id).order_by(*newest_first).first()
