"""
The copy of the vendor's data and the records of how it was kept.

Mirrored rows (``WorkflowSession``, ``RelatedCheck``, ``SessionChange``) are written by
``services/store.py`` alone. Text that the API left out is ``""``, a time or number is NULL.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from complycube_sessions.fields import ExactCharField
from complycube_sessions.indexes import PartialIndex
from complycube_sessions.names import WORDS_LENGTH
from complycube_sessions.querysets import WorkflowSessionQuerySet

ID_LENGTH = 128
NAME_LENGTH = 255
WORD_LENGTH = 64
ACCOUNT_LENGTH = 64


class WorkflowSession(models.Model):
    """One customer's run through a verification journey, as the API last showed it."""

    class Status(models.TextChoices):
        """The statuses that are known; others are stored as they come."""

        STARTED = "started", _("Started")
        PROCESSING = "processing", _("Processing")
        COMPLETE = "complete", _("Complete")
        ABANDONED = "abandoned", _("Abandoned")
        CANCELLED = "cancelled", _("Cancelled")

    class Outcome(models.TextChoices):
        """The outcomes that are known; only ``clear`` is good news."""

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
    raw = models.JSONField(_("answer as received"), blank=True, default=dict)
    first_seen_at = models.DateTimeField(_("first seen"), default=timezone.now)
    fetched_at = models.DateTimeField(_("fetched"))
    missing_since = models.DateTimeField(_("missing upstream since"), null=True, blank=True)
    needs_review = models.BooleanField(_("needs review"), default=False)
    # NULL until the first outcome is announced: "" is an outcome that was announced as left out.
    announced_outcome = ExactCharField(
        _("announced outcome"), max_length=WORD_LENGTH, null=True, blank=True, default=None
    )

    objects = WorkflowSessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("workflow session")
        verbose_name_plural = _("workflow sessions")
        default_permissions = ("view",)
        permissions = [
            ("refresh_workflowsession", "Can refresh workflow sessions from ComplyCube"),
            ("export_workflowsession", "Can export workflow sessions"),
            ("view_sensitive_workflowsession", "Can view answers, check results and tasks"),
            ("evidence_workflowsession", "Can export evidence and the vendor's reports"),
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


class RelatedCheck(models.Model):
    """One check of one session, as the session names it and the checks endpoints describe it."""

    class Type(models.TextChoices):
        """The check types that are known, by the vendor's human names."""

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
        """The statuses that are known; ``failed`` means that the check did not run."""

        PENDING = "pending", _("Pending")
        COMPLETE = "complete", _("Complete")
        FAILED = "failed", _("Failed")

    class Outcome(models.TextChoices):
        """The outcomes that are known; ``not_processed`` is an outcome of a complete check."""

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
    raw = models.JSONField(_("answer as received"), blank=True, default=dict)
    created_at = models.DateTimeField(_("created"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"), null=True, blank=True)
    fetched_at = models.DateTimeField(_("fetched"), null=True, blank=True)
    result_fetched_at = models.DateTimeField(_("result fetched"), null=True, blank=True)
    missing_since = models.DateTimeField(_("no longer named since"), null=True, blank=True)

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


class SessionNameWord(models.Model):
    """
    One folded word of a session's name and after it the others (see ``names.py``).

    A search for several words needs no scan, and no join: it reads the rows of the rarest one.
    """

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(WorkflowSession, models.CASCADE, related_name="name_words")
    words = ExactCharField(max_length=WORDS_LENGTH)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["words", "session"],
                # For the search by a beginning, which PostgreSQL's own order of letters cannot serve.
                opclasses=["varchar_pattern_ops", "varchar_pattern_ops"],
                name="ccs_words_start",
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)


class SessionChange(models.Model):
    """One change of meaning in a session that was known before, or in one of its checks."""

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


class DayFigures(models.Model):
    """
    The figures of the sessions created on one day, counted once.

    They hold as long as no ``ChangedDay`` names the day; see ``services/day_figures.py``.
    """

    id = models.BigAutoField(primary_key=True)
    # A day of this time zone.
    zone = ExactCharField(max_length=64)
    day = models.DateField()
    figures = models.JSONField()
    # Of this counting and no other, so that a process may remember what it has read.
    mark = ExactCharField(max_length=32, default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["zone", "day"], name="ccs_figures_per_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.zone}"


class ChangedDay(models.Model):
    """A UTC day of creation whose sessions were written since its figures were counted."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="ccs_changed_day")]

    def __str__(self) -> str:
        return str(self.day)


class RefreshRun(models.Model):
    """One run of the refresh, moving while it lives."""

    class Mode(models.TextChoices):
        INCREMENTAL = "incremental", _("Incremental")
        FULL = "full", _("Full")
        SINCE = "since", _("Since a time")
        IDS = "ids", _("By id")

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        PARTIAL = "partial", _("Partial")
        FAILED = "failed", _("Failed")
        INTERRUPTED = "interrupted", _("Interrupted")

    SWEEPING_MODES = (Mode.INCREMENTAL, Mode.FULL)
    MAX_ERRORS = 1000

    id = models.BigAutoField(primary_key=True)
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    environment = ExactCharField(_("environment"), max_length=8, blank=True, default="")
    mode = models.CharField(_("mode"), max_length=16, choices=Mode.choices)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.RUNNING
    )
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    # In the vendor's clock: all that changed up to then is stored or pending.
    watermark = models.DateTimeField(_("watermark"), null=True, blank=True)
    listed = models.PositiveIntegerField(_("listed"), default=0)
    fetched = models.PositiveIntegerField(_("fetched"), default=0)
    created = models.PositiveIntegerField(_("created"), default=0)
    updated = models.PositiveIntegerField(_("updated"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    missing = models.PositiveIntegerField(_("missing"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    # Listed or fetched, and not stored, as the person was erased; named nowhere.
    kept_out = models.PositiveIntegerField(_("kept out by an erasure"), default=0)
    # Listed, and neither stored nor failed: what waits for its next try, and what the run did not come to.
    remaining = models.PositiveIntegerField(_("remaining"), default=0)
    # Sessions of the account that were due, or waited for their next try, when the run ended.
    still_due = models.PositiveIntegerField(_("still due"), default=0)
    requests = models.PositiveIntegerField(_("requests"), default=0)
    errors = models.JSONField(_("errors"), blank=True, default=dict)
    error_count = models.PositiveIntegerField(_("number of errors"), default=0)

    class Meta:
        verbose_name = _("refresh run")
        verbose_name_plural = _("refresh runs")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["account", "started_at"], name="ccs_run_account_started"),
            models.Index(fields=["started_at", "id"], name="ccs_run_started"),
            models.Index(fields=["state", "started_at", "id"], name="ccs_run_state"),
            models.Index(fields=["account", "mode", "id"], name="ccs_run_mode"),
            models.Index(fields=["account", "state", "mode", "id"], name="ccs_run_latest"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class RefreshLease(models.Model):
    """Who may sweep an account; it ends by itself when its holder stops renewing it."""

    account = ExactCharField(primary_key=True, max_length=ACCOUNT_LENGTH)
    run = models.ForeignKey(RefreshRun, models.SET_NULL, null=True, related_name="+")
    # By the clock of the database, so that machines with other clocks agree.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.account)


class RequestBudget(models.Model):
    """The next free request slot of one API key, shared by all processes and machines."""

    # A keyed hash of the API key, so that accounts with the same key share and the key stays out.
    key_digest = ExactCharField(primary_key=True, max_length=64)
    reservations = models.BigIntegerField(default=0)
    # By the clock of the database.
    next_slot_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.key_digest)[:8]


class PendingRefresh(models.Model):
    """A session that is due for a fetch, whoever asked for it."""

    id = models.BigAutoField(primary_key=True)
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    session_id = ExactCharField(_("session id"), max_length=ID_LENGTH)
    reason = models.CharField(_("reason"), max_length=WORD_LENGTH)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_try_at = models.DateTimeField(_("next try"), default=timezone.now)
    error = models.TextField(_("error"), blank=True, default="")

    class Meta:
        verbose_name = _("pending refresh")
        verbose_name_plural = _("pending refreshes")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["account", "session_id"], name="ccs_pending_per_session"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "next_try_at"], name="ccs_pending_due"),
            models.Index(fields=["next_try_at", "id"], name="ccs_pending_next"),
            models.Index(fields=["session_id"], name="ccs_pending_session"),
            PartialIndex(
                fields=["next_try_at", "id"],
                condition=models.Q(attempts__gt=0),
                instead=["attempts"],
                name="ccs_pending_failing",
            ),
        ]

    def __str__(self) -> str:
        return str(self.session_id)


class WebhookEvent(models.Model):
    """One event of the vendor's: that something happened, never what it says of a person."""

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
    # NULL: at once. A worker that takes an event moves it on, so that its death only delays the event.
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


class Erasure(models.Model):
    """The keyed hash of an id whose person was erased and must not come back."""

    class Kind(models.TextChoices):
        CLIENT = "client", _("Client")
        SESSION = "session", _("Session")
        CHECK = "check", _("Check")

    id = models.BigAutoField(primary_key=True)
    # "" counts in every account.
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    digest = ExactCharField(_("keyed hash"), max_length=64)
    # The hash of the client of a session or check, so that all of a person is found when it is lifted.
    client_digest = ExactCharField(
        _("keyed hash of the client"), max_length=64, blank=True, default=""
    )
    # Tells which SECRET_KEY made the hashes, not what the key is.
    key_fingerprint = ExactCharField(_("key fingerprint"), max_length=16, blank=True, default="")
    erased_at = models.DateTimeField(_("erased"), default=timezone.now)
    actor = models.CharField(_("actor"), max_length=NAME_LENGTH)
    reason = models.TextField(_("reason"), blank=True, default="")
    override = models.TextField(_("why protection was overridden"), blank=True, default="")
    # Written by the transactions that remove, so that it is right however an erasure ends.
    removed = models.JSONField(_("removed"), blank=True, default=dict)

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "digest"], name="ccs_erasure_once"),
        ]
        indexes = [
            models.Index(fields=["account", "client_digest"], name="ccs_erasure_client"),
            models.Index(fields=["key_fingerprint"], name="ccs_erasure_key"),
        ]

    def __str__(self) -> str:
        return str(self.digest)[:8]


class ErasureGate(models.Model):
    """What an erasure and a writer of the same account lock, on databases without advisory locks."""

    account = ExactCharField(primary_key=True, max_length=ACCOUNT_LENGTH)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.account)


class PruneRun(models.Model):
    """What retention removed at one time: how many rows, never whose."""

    id = models.BigAutoField(primary_key=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    actor = models.CharField(_("actor"), max_length=NAME_LENGTH)
    override = models.TextField(_("why protection was overridden"), blank=True, default="")
    removed = models.JSONField(_("removed"), blank=True, default=dict)
    protected = models.PositiveIntegerField(_("protected"), default=0)

    class Meta:
        verbose_name = _("run of the retention")
        verbose_name_plural = _("runs of the retention")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.pk)


class SessionEvidence(models.Model):
    """
    That evidence of a session was exported, and the hashes by which its files are known again.

    It names ids alone and outlives the session; ``session_id`` is ``""`` once the person was erased.
    """

    id = models.BigAutoField(primary_key=True)
    session_id = ExactCharField(_("session id"), max_length=ID_LENGTH, blank=True, default="")
    sha256 = ExactCharField(_("SHA-256 of the JSON file"), max_length=64)
    page_sha256 = ExactCharField(_("SHA-256 of the HTML file"), max_length=64)
    created_at = models.DateTimeField(_("exported"), default=timezone.now)
    # ``user:`` and the id of an account of the project, or ``command``.
    actor = models.CharField(_("actor"), max_length=NAME_LENGTH)
    app_version = models.CharField(_("app version"), max_length=WORD_LENGTH)

    class Meta:
        verbose_name = _("session evidence")
        verbose_name_plural = _("session evidence")
        default_permissions = ()
        indexes = [
            models.Index(fields=["session_id", "created_at"], name="ccs_evidence_session"),
            models.Index(fields=["sha256"], name="ccs_evidence_sha256"),
            models.Index(fields=["page_sha256"], name="ccs_evidence_page_sha256"),
        ]

    def __str__(self) -> str:
        return str(self.sha256)[:12]
