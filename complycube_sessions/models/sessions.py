"""The mirrored session, and the words of its name."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.db.indexes import PartialIndex
from complycube_sessions.models.lengths import ACCOUNT_LENGTH, ID_LENGTH, NAME_LENGTH, WORD_LENGTH
from complycube_sessions.models.mirrored import MirroredManager, MirroredModel
from complycube_sessions.models.name_words import WORDS_LENGTH
from complycube_sessions.models.session_queries import WorkflowSessionQuerySet


class WorkflowSession(MirroredModel):
    """One customer's run through a verification journey, as the API last showed it."""

    class Status(models.TextChoices):
        """The known statuses; others are stored unchanged."""

        STARTED = "started", _("Started")
        PROCESSING = "processing", _("Processing")
        COMPLETE = "complete", _("Complete")
        ABANDONED = "abandoned", _("Abandoned")
        CANCELLED = "cancelled", _("Cancelled")

    class Outcome(models.TextChoices):
        """The known outcomes; only ``clear`` is good news."""

        CLEAR = "clear", pgettext_lazy("complycube", "Clear")
        ATTENTION = "attention", _("Attention")
        REVIEW = "review", _("Review")
        DECLINE = "decline", _("Decline")
        REJECTED = "rejected", _("Rejected")
        MATCH_CONFIRMED = "match_confirmed", _("Match confirmed")
        NOT_PROCESSED = "not_processed", _("Not processed")

    id = ExactCharField(_("session id"), primary_key=True, max_length=ID_LENGTH)
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    environment = ExactCharField(_("environment"), max_length=8, blank=True, default="")
    client_id = ExactCharField(_("client id"), max_length=ID_LENGTH, blank=True, default="")
    entity_name = models.CharField(_("name"), max_length=NAME_LENGTH, blank=True, default="")
    status = ExactCharField(_("status"), max_length=WORD_LENGTH, blank=True, default="")
    outcome = ExactCharField(_("outcome"), max_length=WORD_LENGTH, blank=True, default="")
    workflow_template_id = ExactCharField(
        _("workflow template id"), max_length=ID_LENGTH, blank=True, default=""
    )
    workflow_template_name = models.CharField(
        _("workflow template"), max_length=NAME_LENGTH, blank=True, default=""
    )
    workflow_template_description = models.TextField(
        _("workflow template description"), blank=True, default=""
    )
    workflow_id = ExactCharField(_("workflow id"), max_length=ID_LENGTH, blank=True, default="")
    workflow_version = models.BigIntegerField(_("workflow version"), null=True, blank=True)
    workflow_description = models.TextField(_("workflow description"), blank=True, default="")
    compliance_policies = models.JSONField(_("compliance policies"), blank=True, default=list)
    policy_assurance = models.JSONField(_("policy assurance"), blank=True, default=list)
    tasks = models.JSONField(_("tasks"), blank=True, default=list)
    last_completed_task_id = ExactCharField(
        _("last completed task"), max_length=NAME_LENGTH, blank=True, default=""
    )
    created_at = models.DateTimeField(_("created"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"), null=True, blank=True)
    raw = models.JSONField(_("API response"), blank=True, default=dict)
    first_seen_at = models.DateTimeField(_("first seen"), default=timezone.now)
    fetched_at = models.DateTimeField(_("fetched"))
    missing_since = models.DateTimeField(_("missing upstream since"), null=True, blank=True)
    needs_review = models.BooleanField(_("needs review"), default=False)
    # NULL until the first outcome is announced; "" is a missing outcome, which counts as announced.
    announced_outcome = ExactCharField(
        _("announced outcome"), max_length=WORD_LENGTH, null=True, blank=True, default=None
    )

    objects = MirroredManager.from_queryset(WorkflowSessionQuerySet)()  # type: ignore[assignment,misc]  # a narrower one

    class Meta:
        verbose_name = _("workflow session")
        verbose_name_plural = _("workflow sessions")
        default_permissions = ("view",)
        permissions = [
            ("refresh_workflowsession", "Can refresh workflow sessions from ComplyCube"),
            ("export_workflowsession", "Can export workflow sessions"),
            ("view_sensitive_workflowsession", "Can view answers, check results and tasks"),
            ("evidence_workflowsession", "Can export evidence and the vendor's reports"),
            ("change_upstream_workflowsession", "Can change sessions and checks at ComplyCube"),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="ccs_session_created"),
            PartialIndex(
                fields=["created_at", "id"],
                condition=models.Q(needs_review=True),
                instead=["needs_review", "created_at", "id"],
                name="ccs_session_queue",
            ),
            PartialIndex(
                fields=["created_at", "id"],
                condition=models.Q(missing_since__isnull=False),
                instead=["missing_since", "created_at", "id"],
                name="ccs_session_missing",
            ),
            PartialIndex(
                # A killed process leaves outcomes that were stored and not announced.
                fields=["account", "id"],
                condition=~models.Q(announced_outcome=models.F("outcome")),
                instead=["account", "announced_outcome", "outcome"],
                name="ccs_session_owed",
            ),
            models.Index(fields=["outcome", "created_at", "id"], name="ccs_session_outcome"),
            models.Index(fields=["status", "created_at", "id"], name="ccs_session_status"),
            models.Index(
                fields=["workflow_template_id", "created_at", "id"], name="ccs_session_template"
            ),
            models.Index(fields=["environment", "created_at", "id"], name="ccs_session_env"),
            models.Index(fields=["account", "created_at", "id"], name="ccs_session_account"),
            models.Index(fields=["account", "environment"], name="ccs_session_owner"),
            models.Index(fields=["entity_name", "id"], name="ccs_session_name"),
            models.Index(fields=["updated_at", "id"], name="ccs_session_moved"),
            models.Index(fields=["fetched_at", "id"], name="ccs_session_fetched"),
            models.Index(fields=["client_id"], name="ccs_session_client"),
            models.Index(
                fields=["account", "environment", "updated_at"], name="ccs_session_updated"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class SessionNameWord(MirroredModel):
    """
    The folded words of a session's name, rotated to begin with one of them (see ``models/name_words.py``).

    A search for several words needs neither a scan nor a join: it reads the rows of the rarest word.
    """

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(WorkflowSession, models.CASCADE, related_name="name_words")
    words = ExactCharField(max_length=WORDS_LENGTH)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["words", "session"],
                # For prefix searches, for which PostgreSQL cannot use an index in the default collation.
                opclasses=["varchar_pattern_ops", "varchar_pattern_ops"],
                name="ccs_words_start",
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)
