"""Records of erasures and of pruning."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.models.lengths import ACCOUNT_LENGTH, NAME_LENGTH


class Erasure(models.Model):
    """The keyed hash of an id whose person was erased and must not come back."""

    class Kind(models.TextChoices):
        CLIENT = "client", _("Client")
        SESSION = "session", _("Session")
        CHECK = "check", _("Check")

    id = models.BigAutoField(primary_key=True)
    # "" applies to every account.
    account = ExactCharField(_("account"), max_length=ACCOUNT_LENGTH)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    digest = ExactCharField(_("keyed hash"), max_length=64)
    # The hash of the client of a session or check, to find all hashes of a person when the erasure is lifted.
    client_digest = ExactCharField(
        _("keyed hash of the client"), max_length=64, blank=True, default=""
    )
    # Identifies the SECRET_KEY of the hashes without revealing it.
    key_fingerprint = ExactCharField(_("key fingerprint"), max_length=16, blank=True, default="")
    erased_at = models.DateTimeField(_("erased"), default=timezone.now)
    actor = models.CharField(_("actor"), max_length=NAME_LENGTH)
    reason = models.TextField(_("reason"), blank=True, default="")
    override = models.TextField(_("reason for the override"), blank=True, default="")
    # Updated in the transactions that remove rows, so that it is right even if an erasure is killed.
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
    """The row that erasures and writers of an account lock, on databases without advisory locks."""

    account = ExactCharField(primary_key=True, max_length=ACCOUNT_LENGTH)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.account)


class PruneRun(models.Model):
    """One run of pruning: the number of removed rows, without ids."""

    id = models.BigAutoField(primary_key=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    actor = models.CharField(_("actor"), max_length=NAME_LENGTH)
    override = models.TextField(_("reason for the override"), blank=True, default="")
    removed = models.JSONField(_("removed"), blank=True, default=dict)
    protected = models.PositiveIntegerField(_("protected"), default=0)

    class Meta:
        verbose_name = _("retention run")
        verbose_name_plural = _("retention runs")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.pk)
