"""Refresh runs, their lease, the request budget, and sessions that are due."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.db.indexes import PartialIndex
from complycube_sessions.models.lengths import ACCOUNT_LENGTH, ID_LENGTH, WORD_LENGTH


class RefreshRun(models.Model):
    """One refresh run; its row is updated while it runs."""

    class Mode(models.TextChoices):
        INCREMENTAL = "incremental", _("Incremental")
        FULL = "full", _("Full")
        SINCE = "since", _("Since a given time")
        IDS = "ids", _("By id")

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        PARTIAL = "partial", _("Partial")
        FAILED = "failed", _("Failed")
        INTERRUPTED = "interrupted", _("Interrupted")

    SWEEPING_MODES = (Mode.INCREMENTAL, Mode.FULL)
    MAX_ERRORS = 1000
    # The counts of a run, in the order of display.
    COUNTS = (
        "listed",
        "fetched",
        "created",
        "updated",
        "unchanged",
        "missing",
        "failed",
        "kept_out",
        "remaining",
        "still_due",
        "requests",
    )

    id = models.BigAutoField(primary_key=True)
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    environment = ExactCharField(_("environment"), max_length=8, blank=True, default="")
    mode = models.CharField(_("mode"), max_length=16, choices=Mode.choices)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.RUNNING
    )
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    # By the vendor's clock: all changes up to this time are stored or pending.
    watermark = models.DateTimeField(_("watermark"), null=True, blank=True)
    listed = models.PositiveIntegerField(_("listed"), default=0)
    fetched = models.PositiveIntegerField(_("fetched"), default=0)
    created = models.PositiveIntegerField(_("created"), default=0)
    updated = models.PositiveIntegerField(_("updated"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    missing = models.PositiveIntegerField(_("missing"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    # Listed or fetched, but not stored because the person was erased; their ids are not recorded.
    kept_out = models.PositiveIntegerField(_("blocked by an erasure"), default=0)
    # Listed, but neither stored nor failed: sessions that wait for a retry, or that the run did not reach.
    remaining = models.PositiveIntegerField(_("remaining"), default=0)
    # Sessions of the account that were due, or waited for a retry, when the run ended.
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

    @cached_property
    def marked_missing(self) -> list[str]:
        """Return the sessions that this run has marked as missing, up to ``MAX_ERRORS``; not stored."""
        return []


class RefreshLease(models.Model):
    """The right to sweep an account; it expires when its holder stops renewing it."""

    account = ExactCharField(primary_key=True, max_length=ACCOUNT_LENGTH)
    run = models.ForeignKey(RefreshRun, models.SET_NULL, null=True, related_name="+")
    # By the database's clock, so that the clocks of the machines may differ.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.account)


class RequestBudget(models.Model):
    """The next free request slot of one API key, shared by all processes and machines."""

    # A keyed hash of the API key: accounts with the same key share a row, and the key is not stored.
    key_digest = ExactCharField(primary_key=True, max_length=64)
    reservations = models.BigIntegerField(default=0)
    # By the clock of the database.
    next_slot_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.key_digest)[:8]


class PendingRefresh(models.Model):
    """A session that is queued for a fetch."""

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
