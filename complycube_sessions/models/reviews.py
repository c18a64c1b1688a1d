"""Case work: reviews of sessions and the decisions of people, stored separately from the mirrored rows."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from complycube_sessions.db.fields import ExactCharField
from complycube_sessions.db.indexes import PartialIndex
from complycube_sessions.db.people import person_key
from complycube_sessions.models.lengths import NAME_LENGTH, WORD_LENGTH
from complycube_sessions.models.session_queries import OPEN_REVIEW_STATES
from complycube_sessions.models.sessions import WorkflowSession

NOTE_LENGTH: Final = 5_000


class Review(models.Model):
    """
    The review of one session, which is decided and may be reopened.

    The session is the primary key, so a session cannot have two reviews.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Unassigned")
        ASSIGNED = "assigned", _("In work")
        AWAITING_CONFIRMATION = "awaiting_confirmation", _("Waiting for a second person")
        DECIDED = "decided", _("Decided")

    class Decision(models.TextChoices):
        APPROVED = "approved", _("Approved")
        DECLINED = "declined", _("Declined")
        MORE_INFORMATION = "more_information", _("More information needed")
        ESCALATED = "escalated", _("Escalated")

    session = models.OneToOneField(
        WorkflowSession, models.CASCADE, primary_key=True, related_name="review"
    )
    state = ExactCharField(
        _("state"), max_length=WORD_LENGTH, choices=State.choices, default=State.OPEN
    )
    assignee = person_key(_("assignee"), db_index=False)
    # "" in a decided review: the session stopped needing a review before anyone decided.
    decision = ExactCharField(
        _("decision"), max_length=WORD_LENGTH, choices=Decision.choices, blank=True, default=""
    )
    reason = models.CharField(_("reason"), max_length=NAME_LENGTH, blank=True, default="")
    decided_by = person_key(_("decided by"))
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    confirmed_by = person_key(_("confirmed by"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True, blank=True)
    opened_at = models.DateTimeField(_("opened"), default=timezone.now)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    reopened_at = models.DateTimeField(_("reopened"), null=True, blank=True)
    reopened_because = models.TextField(_("reopened because"), blank=True, default="")
    # The fingerprint of what the last decision was based on; see reviews/meaning.py.
    seen_fingerprint = models.TextField(_("what the decision was about"), blank=True, default="")
    # Whether the signal still has to be sent.
    owes_decided = models.BooleanField(default=False)
    owes_reopened = models.BooleanField(default=False)

    # Reviews of a deleted assignee become open again; see db/people.py.
    left_by_a_person: ClassVar[dict[str, Any]] = {
        "assignee": (("state", State.ASSIGNED, State.OPEN),)
    }

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        default_permissions = ("view",)
        permissions = [
            ("work_review", "Can take, note on and decide reviews"),
            ("assign_review", "Can assign reviews to others"),
            ("confirm_review", "Can confirm the decisions of others"),
        ]
        indexes = [
            models.Index(fields=["state", "opened_at", "session"], name="ccs_review_state"),
            PartialIndex(
                # The further columns make it a covering index for the figures.
                fields=["opened_at", "session", "assignee", "state"],
                condition=Q(state__in=OPEN_REVIEW_STATES),
                instead=["opened_at", "session", "assignee", "state"],
                name="ccs_review_open",
            ),
            models.Index(
                fields=["assignee", "state", "opened_at", "session"], name="ccs_review_mine"
            ),
            models.Index(
                fields=["decided_at", "session", "state", "decision", "confirmed_at"],
                name="ccs_review_decided",
            ),
            PartialIndex(
                fields=["due_at", "session"],
                condition=Q(state__in=OPEN_REVIEW_STATES),
                instead=["due_at", "session", "state"],
                name="ccs_review_due",
            ),
            PartialIndex(
                fields=["session"],
                condition=Q(owes_decided=True) | Q(owes_reopened=True),
                instead=["owes_decided", "owes_reopened"],
                name="ccs_review_owed",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_open(self) -> bool:
        """Whether it still has to be decided or confirmed."""
        return self.state in OPEN_REVIEW_STATES


class ReviewNote(models.Model):
    """A note on a review. Notes are never edited; a correction is another note."""

    id = models.BigAutoField(primary_key=True)
    review = models.ForeignKey(Review, models.CASCADE, related_name="notes")
    author = person_key(_("author"))
    # The name at that time, as the user account may be deleted.
    author_name = models.CharField(_("name of the author"), max_length=NAME_LENGTH)
    text = models.TextField(_("text"))
    created_at = models.DateTimeField(_("written"), default=timezone.now)

    class Meta:
        verbose_name = _("note on a review")
        verbose_name_plural = _("notes on reviews")
        default_permissions = ()
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return str(self.pk)


class ReviewEvent(models.Model):
    """An action on a review, with its user and time; actions of the app itself have no actor."""

    class Action(models.TextChoices):
        TAKEN = "taken", _("Taken")
        ASSIGNED = "assigned", _("Assigned")
        RELEASED = "released", _("Released")
        NOTED = "noted", _("Noted")
        DECIDED = "decided", _("Decided")
        CONFIRMED = "confirmed", _("Confirmed")
        SENT_BACK = "sent_back", _("Sent back")
        REOPENED = "reopened", _("Reopened")
        WITHDRAWN = "withdrawn", _("No longer needed")

    id = models.BigAutoField(primary_key=True)
    review = models.ForeignKey(Review, models.CASCADE, related_name="events")
    actor = person_key(_("actor"))
    actor_name = models.CharField(
        _("name of the actor"), max_length=NAME_LENGTH, blank=True, default=""
    )
    action = ExactCharField(_("action"), max_length=WORD_LENGTH, choices=Action.choices)
    at = models.DateTimeField(_("at"), default=timezone.now)
    detail = models.TextField(_("detail"), blank=True, default="")

    class Meta:
        verbose_name = _("event of a review")
        verbose_name_plural = _("events of reviews")
        default_permissions = ()
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["action", "at"], name="ccs_review_event_day")]

    def __str__(self) -> str:
        return f"{self.review_id} {self.action}"


class SavedView(models.Model):
    """Named filters of the list of sessions, without the search text."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=80)
    owner = person_key(_("owner"))
    is_shared = models.BooleanField(_("shared"), default=False)
    query = models.CharField(_("filters"), max_length=1_000)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        default_permissions = ()
        indexes = [models.Index(fields=["is_shared", "name"], name="ccs_view_shared")]

    def __str__(self) -> str:
        return str(self.pk)
