"""What a word of the vendor's means where it stands: the same word is bad news in one place and none in another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from complycube_sessions.findings.labels import word_in_words
from complycube_sessions.findings.values import short_text

DASH: Final = "\N{EN DASH}"
# The statuses, of a session or a check, from which an outcome can still come.
_RUNNING: Final = frozenset({"started", "processing", "pending"})


class Place(Enum):
    """Where a word stands."""

    OUTCOME = "outcome"  # of a session or a check
    ANALYSIS = "analysis"  # in the breakdown of a check
    MATCH = "match"  # the ``validation`` of a possible match of a screening
    POLICY = "policy"  # of a compliance policy or its assurance


@dataclass(frozen=True)
class Meaning:
    """
    A word as it is read: tone (its colour), glyph (its shape), label and, where it needs one, a note.

    The tones: ``clear``, ``attention``, ``refused``, ``failed``, ``unprocessed``, ``unknown`` (a word that is
    not known where it could be an approval), ``undocumented`` (a word where the vendor documents none),
    ``dismissed``, ``waiting`` and ``none``.
    """

    tone: str
    glyph: str
    label: str | Promise
    note: str | Promise = ""

    @property
    def is_clear(self) -> bool:
        """Whether it may be read as good news."""
        return self.tone == "clear"

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.tone in {"clear", "dismissed"}


_OUTCOMES: Final = {
    "clear": Meaning("clear", "✓", pgettext_lazy("complycube", "Clear")),
    "attention": Meaning("attention", "!", _("Attention")),
    "review": Meaning("attention", "!", _("Review")),
    "decline": Meaning("refused", "✕", _("Decline")),
    "rejected": Meaning("refused", "✕", _("Rejected")),
    "match_confirmed": Meaning("refused", "✕", _("Match confirmed")),
    "not_processed": Meaning("unprocessed", "∅", _("Not processed")),
}
_UNDECIDED: Final = Meaning("attention", "!", _("Undecided"))
_WORDS: Final = {
    Place.OUTCOME: _OUTCOMES,
    Place.ANALYSIS: _OUTCOMES,
    Place.POLICY: _OUTCOMES,
    Place.MATCH: {
        "": _UNDECIDED,
        "attention": _UNDECIDED,
        "pending": _UNDECIDED,
        "confirmed": Meaning("refused", "✕", _("Confirmed hit")),
        "rejected": Meaning(
            "dismissed", "○", _("Dismissed"), _("A person decided that it is somebody else.")
        ),
    },
}
NOT_CLEAR: Final = Meaning("attention", "!", _("Not clear"))
FAILED: Final = Meaning(
    "failed",
    "⚠",
    _("Failed to run"),
    _("The check failed to run. It has no outcome, and none will come."),
)
_RUNS: Final = Meaning("waiting", "…", _("Pending"), _("Still running."))
_NOT_FETCHED: Final = Meaning("none", DASH, _("Not fetched yet"))
_UNPROCESSED: Final = Meaning(
    "unprocessed",
    "∅",
    _("Not processed"),
    _("The check ran, but the submitted data could not be processed."),
)


def meaning(word: str, place: Place) -> Meaning:
    """Return what a word means in its place; one that is missing or not known there is never clear."""
    known = _WORDS[place].get(word)
    if known is not None:
        return known
    if not word:
        return Meaning("none", DASH, _("No outcome"))
    if place is Place.POLICY:
        note = _(
            "ComplyCube does not document this word. It is read neither as approval nor as refusal."
        )
        return Meaning("undocumented", "i", word_in_words(word), note)
    if place is Place.MATCH:
        return Meaning(
            "unknown", "?", short_text(word, 60) or "?", _("Unknown decision, read as undecided.")
        )
    return unknown_outcome(word)


def unknown_outcome(shown: str) -> Meaning:
    """Return what an outcome that is not known means, however much it looks like one that is."""
    return Meaning("unknown", "?", shown, _("Unknown outcome, not approved."))


def session_meaning(outcome: str, status: str = "complete") -> Meaning:
    """Return what the outcome of a session means; "no outcome yet" only while one can still come."""
    if not outcome and status in _RUNNING:
        return Meaning("none", DASH, _("No outcome yet"))
    return meaning(outcome, Place.OUTCOME)


def check_meaning(outcome: str, status: str) -> Meaning:
    """Return what the outcome of a check means, unless it never ran to its end."""
    if status == "failed":
        return FAILED
    if outcome == "not_processed":
        return _UNPROCESSED
    if status == "pending":
        return _RUNS
    if not outcome and not status:
        return _NOT_FETCHED
    return meaning(outcome, Place.OUTCOME)


def is_outcome(value: object) -> bool:
    """Return whether a value is one of the outcomes that are known."""
    return isinstance(value, str) and value in _OUTCOMES
