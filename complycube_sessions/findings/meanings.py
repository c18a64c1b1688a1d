"""The meaning of the vendor's words, which depends on the place: a word may be bad news in one and not in another."""

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
# The statuses of sessions and checks that may still get an outcome.
_RUNNING: Final = frozenset({"started", "processing", "pending"})


class Place(Enum):
    """The kind of field that a word was found in."""

    OUTCOME = "outcome"  # of a session or a check
    ANALYSIS = "analysis"  # in the breakdown of a check
    MATCH = "match"  # the ``validation`` of a possible match of a screening
    POLICY = "policy"  # of a compliance policy or its assurance


@dataclass(frozen=True)
class Meaning:
    """
    The interpretation of a word: tone (its colour), glyph (its shape), label and an optional note.

    The tones: ``clear``, ``attention``, ``refused``, ``failed``, ``unprocessed``, ``unknown`` (an unknown word
    in a place where it could be an approval), ``undocumented`` (a word in a place where the vendor documents
    none), ``dismissed``, ``waiting`` and ``none``.
    """

    tone: str
    glyph: str
    label: str | Promise
    note: str | Promise = ""

    @property
    def is_clear(self) -> bool:
        """Whether it is good news."""
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
    """Return the meaning of a word in its place; a missing or unknown word is never clear."""
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
    """Return the meaning of an unknown outcome, even if it resembles a known one."""
    return Meaning("unknown", "?", shown, _("Unknown outcome, not approved."))


def session_meaning(outcome: str, status: str = "complete") -> Meaning:
    """Return the meaning of a session's outcome; "no outcome yet" only if one can still follow."""
    if not outcome and status in _RUNNING:
        return Meaning("none", DASH, _("No outcome yet"))
    return meaning(outcome, Place.OUTCOME)


def check_meaning(outcome: str, status: str) -> Meaning:
    """Return the meaning of a check's outcome, or of its status if the check failed or is pending."""
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
    """Return whether a value is a known outcome."""
    return isinstance(value, str) and value in _OUTCOMES
