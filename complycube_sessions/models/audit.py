"""Who decided: the vendor's audit log of a session, and what was changed there from here."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.models.lengths import ID_LENGTH, NAME_LENGTH, WORD_LENGTH
from complycube_sessions.models.sessions import WorkflowSession


class AuditEntry(models.Model):
    """One entry of the vendor's audit log that is about a session or one of its checks."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(
        WorkflowSession, models.CASCADE, related_name="audit_entries", db_index=False
    )
    entry_id = ExactCharField(_("entry id"), max_length=ID_LENGTH)
    # ``workflowSession`` or ``check``, and its id.
    resource_type = ExactCharField(_("resource type"), max_length=WORD_LENGTH)
    resource_id = ExactCharField(_("resource id"), max_length=ID_LENGTH)
    # The team member at the vendor; "" for what came by the API key.
    member_id = ExactCharField(_("team member"), max_length=ID_LENGTH, blank=True, default="")
    action = ExactCharField(_("action"), max_length=WORD_LENGTH, blank=True, default="")
    trigger = ExactCharField(_("trigger"), max_length=WORD_LENGTH, blank=True, default="")
    diff = models.JSONField(_("difference"), blank=True, default=list)
    created_at = models.DateTimeField(_("created"), null=True, blank=True)
    fetched_at = models.DateTimeField(_("fetched"))

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["session", "entry_id"], name="ccs_audit_per_session"),
        ]

    def __str__(self) -> str:
        return str(self.entry_id)


class UpstreamChange(models.Model):
    """
    A change that was asked of the API from here: written before the request, so that no kill loses it.

    It names ids alone. The comment of a validation is the vendor's, and kept nowhere here.
    """

    class Action(models.TextChoices):
        VALIDATE = "validate", _("Validate")
        COMPLETE = "complete", _("Complete")
        CANCEL = "cancel", _("Cancel")

    class State(models.TextChoices):
        """``sent`` is what stays where the process ended before it knew more."""

        SENT = "sent", _("Sent")
        DONE = "done", _("Done")
        NOT_DONE = "not_done", _("Not done")
        UNKNOWN = "unknown", _("Unknown")

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(WorkflowSession, models.CASCADE, related_name="upstream_changes")
    action = ExactCharField(_("action"), max_length=WORD_LENGTH)
    check_id = ExactCharField(_("check id"), max_length=ID_LENGTH, blank=True, default="")
    match_id = ExactCharField(_("match id"), max_length=ID_LENGTH, blank=True, default="")
    # What a check or match was to be: ``confirmed``, ``rejected`` or ``attention``.
    outcome = ExactCharField(_("outcome"), max_length=WORD_LENGTH, blank=True, default="")
    state = ExactCharField(_("state"), max_length=WORD_LENGTH, default=State.SENT)
    # ``user:`` and the id of an account of the project, or ``project``.
    actor = models.CharField(_("actor"), max_length=NAME_LENGTH)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now)

    class Meta:
        verbose_name = _("change at ComplyCube")
        verbose_name_plural = _("changes at ComplyCube")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.session_id} {self.action}"
