"""Records of exported evidence."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.models.lengths import ID_LENGTH, NAME_LENGTH, WORD_LENGTH


class SessionEvidence(models.Model):
    """
    The record of an export of evidence, with the hashes that identify its files.

    It contains only ids and outlives the session; ``session_id`` is ``""`` once the person was erased.
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
