"""The checks of a session."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.models.lengths import ID_LENGTH, NAME_LENGTH, WORD_LENGTH
from complycube_sessions.models.mirrored import MirroredModel
from complycube_sessions.models.sessions import WorkflowSession


class RelatedCheck(MirroredModel):
    """One check of one session, from the session's list of checks and the checks endpoints."""

    class Type(models.TextChoices):
        """The known check types, with the vendor's display names."""

        STANDARD_SCREENING = "standard_screening_check", _("AML Screening Check (Standard)")
        EXTENSIVE_SCREENING = "extensive_screening_check", _("AML Screening Check (Extensive)")
        DOCUMENT = "document_check", _("Document Check")
        IDENTITY = "identity_check", _("Identity Check")
        ENHANCED_IDENTITY = "enhanced_identity_check", _("Enhanced Identity Check")
        PROOF_OF_ADDRESS = "proof_of_address_check", _("Proof of Address Check")
        MULTI_BUREAU = "multi_bureau_check", _("Multi-Bureau Check")
        FACE_AUTHENTICATION = "face_authentication_check", _("Face Authentication Check")
        AGE_ESTIMATION = "age_estimation_check", _("Age Estimation Check")
        DRIVING_LICENSE = "driving_license_check", _("Driving License Check")
        IDENTITY_FRAUD = "identity_fraud_check", _("Identity Fraud Check")
        SSN = "ssn_check", _("SSN Check")
        EMAIL_INTELLIGENCE = "email_intelligence_check", _("Email Intelligence Check")
        MOBILE_INTELLIGENCE = "mobile_intelligence_check", _("Mobile Intelligence Check")
        EID = "eid_check", _("eID Check")
        DEVICE_INTELLIGENCE = "device_intelligence_check", _("Device Intelligence Check")

    class Status(models.TextChoices):
        """The known statuses; ``failed`` means that the check did not run."""

        PENDING = "pending", _("Pending")
        COMPLETE = "complete", _("Complete")
        FAILED = "failed", _("Failed")

    class Outcome(models.TextChoices):
        """The known outcomes; ``not_processed`` is an outcome of a complete check."""

        CLEAR = "clear", pgettext_lazy("complycube", "Clear")
        ATTENTION = "attention", _("Attention")
        REJECTED = "rejected", _("Rejected")
        MATCH_CONFIRMED = "match_confirmed", _("Match confirmed")
        NOT_PROCESSED = "not_processed", _("Not processed")

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(
        WorkflowSession, models.CASCADE, related_name="checks", db_index=False
    )
    check_id = ExactCharField(_("check id"), max_length=ID_LENGTH)
    type = ExactCharField(_("type"), max_length=WORD_LENGTH, blank=True, default="")
    task_id = ExactCharField(_("task"), max_length=NAME_LENGTH, blank=True, default="")
    position = models.PositiveIntegerField(_("position"), default=0)
    status = ExactCharField(_("status"), max_length=WORD_LENGTH, blank=True, default="")
    outcome = ExactCharField(_("outcome"), max_length=WORD_LENGTH, blank=True, default="")
    result = models.JSONField(_("result"), blank=True, default=dict)
    document_id = ExactCharField(_("document id"), max_length=ID_LENGTH, blank=True, default="")
    monitored = models.BooleanField(_("monitored"), null=True, blank=True)
    raw = models.JSONField(_("API response"), blank=True, default=dict)
    created_at = models.DateTimeField(_("created"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"), null=True, blank=True)
    fetched_at = models.DateTimeField(_("fetched"), null=True, blank=True)
    result_fetched_at = models.DateTimeField(_("result fetched"), null=True, blank=True)
    missing_since = models.DateTimeField(_("no longer listed since"), null=True, blank=True)

    class Meta:
        verbose_name = _("check")
        verbose_name_plural = _("checks")
        default_permissions = ("view",)
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["session", "check_id"], name="ccs_check_per_session"),
        ]
        indexes = [
            models.Index(fields=["check_id"], name="ccs_check_check_id"),
            models.Index(fields=["type", "outcome", "session"], name="ccs_check_kind"),
            models.Index(fields=["outcome", "session"], name="ccs_check_outcome"),
            models.Index(fields=["status", "id"], name="ccs_check_status"),
            models.Index(fields=["updated_at", "id"], name="ccs_check_updated"),
        ]

    def __str__(self) -> str:
        return str(self.check_id)
