"""Who decided what: the vendor's audit log of a session, and changes requested from here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import CharField, Exists, F, JSONField, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.models.lengths import ID_LENGTH, NAME_LENGTH, WORD_LENGTH
from complycube_sessions.models.mirrored import MirroredModel
from complycube_sessions.models.sessions import WorkflowSession


class AuditEntry(MirroredModel):
    """One entry of the vendor's audit log about a session or one of its checks."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(
        WorkflowSession, models.CASCADE, related_name="audit_entries", db_index=False
    )
    entry_id = ExactCharField(_("entry id"), max_length=ID_LENGTH)
    # ``workflowSession`` or ``check``, and its id.
    resource_type = ExactCharField(_("resource type"), max_length=WORD_LENGTH)
    resource_id = ExactCharField(_("resource id"), max_length=ID_LENGTH)
    # The team member at the vendor; "" for actions with the API key.
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
    A change requested from the API: written before the request, so that it is not lost if the process is killed.

    It contains only ids. The comment of a validation is sent to the vendor, and not stored here.
    """

    class Action(models.TextChoices):
        VALIDATE = "validate", _("Validate")
        COMPLETE = "complete", _("Complete")
        CANCEL = "cancel", _("Cancel")

    class State(models.TextChoices):
        """``sent`` remains if the process ended before it knew the result."""

        SENT = "sent", _("Sent")
        DONE = "done", _("Done")
        NOT_DONE = "not_done", _("Not done")
        UNKNOWN = "unknown", _("Unknown")

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(WorkflowSession, models.CASCADE, related_name="upstream_changes")
    action = ExactCharField(_("action"), max_length=WORD_LENGTH)
    check_id = ExactCharField(_("check id"), max_length=ID_LENGTH, blank=True, default="")
    match_id = ExactCharField(_("match id"), max_length=ID_LENGTH, blank=True, default="")
    # The requested outcome of a check or match: ``confirmed``, ``rejected`` or ``attention``.
    outcome = ExactCharField(_("outcome"), max_length=WORD_LENGTH, blank=True, default="")
    state = ExactCharField(_("state"), max_length=WORD_LENGTH, default=State.SENT)
    # ``user:`` and the id of an account of the project, or ``project``.
    actor = ExactCharField(_("actor"), max_length=NAME_LENGTH)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now)

    class Meta:
        verbose_name = _("change at ComplyCube")
        verbose_name_plural = _("changes at ComplyCube")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.session_id} {self.action}"


@dataclass(frozen=True, slots=True)
class Decision:
    """
    An entry of the vendor's log, or a change that was requested from here.

    ``by`` is the team member or the actor, ``about`` the check or the resource. For an entry, ``word`` is its
    trigger, ``detail`` its resource type and ``key`` its id; for a change they are the requested outcome, the
    state and the match. ``diff`` is None if it was not requested.
    """

    is_vendors: bool
    at: datetime
    action: str
    about: str
    word: str
    detail: str
    key: str
    by: str
    diff: Any


def decisions_of(session: WorkflowSession, *, with_diff: bool, limit: int) -> list[Decision]:
    """
    Return the decisions about a session, newest first, in one query.

    Args:
        session: The session.
        with_diff: Whether to read the diffs of the log entries, which may be large.
        limit: The maximum number of decisions.
    """
    nothing = Cast(Value(None), JSONField())
    changes = _columns(
        session.upstream_changes.all(),
        at=F("requested_at"),
        about=F("check_id"),
        word=F("outcome"),
        detail=F("state"),
        key=F("match_id"),
        by=F("actor"),
        difference=nothing,
    )
    entries = _columns(
        session.audit_entries.all(),
        at=Coalesce("created_at", "fetched_at"),
        about=F("resource_id"),
        word=F("trigger"),
        detail=F("resource_type"),
        key=F("entry_id"),
        by=F("member_id"),
        difference=F("diff") if with_diff else nothing,
    )
    rows = changes.union(entries, all=True).order_by("-at", "-key")[:limit]
    return [Decision(kind == AuditEntry.__name__, *values) for kind, *values in rows]


def has_decisions() -> Q:
    """Return an expression for queries of sessions: whether ``decisions_of`` would return anything."""
    changes = UpstreamChange.objects.filter(session=OuterRef("pk"))
    return Exists(changes) | Exists(AuditEntry.objects.filter(session=OuterRef("pk")))


def _columns(rows: QuerySet[Any], **columns: Any) -> QuerySet[Any, tuple[Any, ...]]:
    kind = Value(rows.model.__name__, CharField())
    named = rows.order_by().annotate(kind=kind, **columns)
    names = ("kind", "at", "action", "about", "word", "detail", "key", "by", "difference")
    values: QuerySet[Any, tuple[Any, ...]] = named.values_list(*names)
    return values
