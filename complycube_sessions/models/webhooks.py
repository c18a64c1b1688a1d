"""The inbox of webhook events."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.db.indexes import PartialIndex
from complycube_sessions.models.lengths import ACCOUNT_LENGTH, ID_LENGTH, WORD_LENGTH


class WebhookEvent(models.Model):
    """One event of the vendor, without personal data."""

    id = models.BigAutoField(primary_key=True)
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    event_id = ExactCharField(_("event id"), max_length=ID_LENGTH)
    type = ExactCharField(_("type"), max_length=ID_LENGTH)
    resource_id = ExactCharField(_("resource id"), max_length=ID_LENGTH, blank=True, default="")
    client_id = ExactCharField(_("client id"), max_length=ID_LENGTH, blank=True, default="")
    status = ExactCharField(_("status"), max_length=WORD_LENGTH, blank=True, default="")
    outcome = ExactCharField(_("outcome"), max_length=WORD_LENGTH, blank=True, default="")
    occurred_at = models.DateTimeField(_("occurred"), null=True, blank=True)
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    processed_at = models.DateTimeField(_("processed"), null=True, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    # NULL means now. A worker that claims an event sets it, so that a killed worker only delays the event.
    next_try_at = models.DateTimeField(_("next try"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, default="")

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["account", "event_id"], name="ccs_event_once"),
        ]
        indexes = [
            models.Index(fields=["processed_at", "id"], name="ccs_event_unprocessed"),
            models.Index(fields=["resource_id"], name="ccs_event_resource"),
            models.Index(fields=["client_id"], name="ccs_event_client"),
            models.Index(fields=["event_id"], name="ccs_event_event"),
            models.Index(fields=["received_at", "id"], name="ccs_event_received"),
            PartialIndex(
                fields=["id"],
                condition=models.Q(processed_at__isnull=False) & ~models.Q(error=""),
                instead=["processed_at"],
                name="ccs_event_given_up",
            ),
        ]

    def __str__(self) -> str:
        return str(self.event_id)
