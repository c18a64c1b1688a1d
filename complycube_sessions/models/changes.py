"""The history of sessions: one row per change of a status, an outcome or the list of checks."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.models.lengths import ID_LENGTH, WORD_LENGTH
from complycube_sessions.models.mirrored import MirroredModel
from complycube_sessions.models.sessions import WorkflowSession


class SessionChange(MirroredModel):
    """One change in a stored session or one of its checks."""

    class Field(models.TextChoices):
        """What changed; ``check`` goes from ``""`` to ``added`` and from ``added`` to ``gone``."""

        STATUS = "status", _("Status")
        OUTCOME = "outcome", _("Outcome")
        CHECK = "check", _("Check")

    class Source(models.TextChoices):
        REFRESH = "refresh", _("Refresh")
        WEBHOOK = "webhook", _("Webhook")
        ADMIN = "admin", _("Admin")

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(WorkflowSession, models.CASCADE, related_name="changes")
    check_id = ExactCharField(_("check id"), max_length=ID_LENGTH, blank=True, default="")
    field = ExactCharField(_("field"), max_length=WORD_LENGTH)
    old = ExactCharField(_("old"), max_length=WORD_LENGTH, blank=True, default="")
    new = ExactCharField(_("new"), max_length=WORD_LENGTH, blank=True, default="")
    changed_at = models.DateTimeField(_("changed"), null=True, blank=True)
    observed_at = models.DateTimeField(_("observed"))
    source = ExactCharField(_("source"), max_length=WORD_LENGTH)

    class Meta:
        verbose_name = _("session change")
        verbose_name_plural = _("session changes")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["observed_at", "id", "session"], name="ccs_change_newest"),
            models.Index(fields=["field", "observed_at", "id"], name="ccs_change_field"),
            models.Index(fields=["source", "observed_at", "id"], name="ccs_change_source"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.field}"
