"""Requested changes, and whether a fetched object shows that they were done. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from complycube_sessions.exceptions import ComplyCubeInvalidChangeError
from complycube_sessions.models import RelatedCheck, UpstreamChange, WorkflowSession

MAX_COMMENT: Final = 4000
SCREENINGS: Final = frozenset(
    {RelatedCheck.Type.STANDARD_SCREENING, RelatedCheck.Type.EXTENSIVE_SCREENING}
)
# The outcomes of a validated check that is no screening; "confirmed" is good news there.
CHECK_OUTCOMES: Final = {
    "confirmed": RelatedCheck.Outcome.CLEAR,
    "rejected": RelatedCheck.Outcome.REJECTED,
    "attention": RelatedCheck.Outcome.ATTENTION,
}
_Status = WorkflowSession.Status
# The statuses that a session can only have after the change was done, by anyone.
REACHED: Final = {
    UpstreamChange.Action.COMPLETE: {_Status.PROCESSING, _Status.COMPLETE},
    UpstreamChange.Action.CANCEL: {_Status.CANCELLED},
}


@dataclass(frozen=True, slots=True)
class RequestedChange:
    """
    A requested change.

    ``check_id`` and ``outcome`` are set for a validation, ``match_id`` for the validation of a match.
    """

    action: UpstreamChange.Action
    session_id: str
    check_id: str = ""
    match_id: str = ""
    outcome: str = ""

    def __str__(self) -> str:
        about = [self.session_id, self.check_id, self.match_id, self.outcome]
        return f"{self.action} of {' '.join(filter(None, about))}"


def ensure_valid(change: RequestedChange, comment: str, check_type: str) -> None:
    """
    Raise if a validation does not conform to the vendor's documentation.

    Raises:
        ComplyCubeInvalidChangeError: The message says what is wrong.
    """
    if change.outcome not in CHECK_OUTCOMES:
        raise ComplyCubeInvalidChangeError(f"The outcome must be {', '.join(CHECK_OUTCOMES)}.")
    if len(comment) > MAX_COMMENT:
        raise ComplyCubeInvalidChangeError(
            f"The comment has {len(comment)} characters; the API takes {MAX_COMMENT}."
        )
    if check_type in SCREENINGS and not change.match_id:
        raise ComplyCubeInvalidChangeError(
            f"{change.check_id} is a screening: name the match that is decided on."
        )
    if check_type not in SCREENINGS and change.match_id:
        raise ComplyCubeInvalidChangeError(
            f"{change.check_id} is no screening, and has no matches to decide on."
        )


def session_shows(action: str, status: str) -> bool | None:
    """Return whether a session of that status was completed or cancelled; None for an unknown status."""
    if status in REACHED[UpstreamChange.Action(action)]:
        return True
    return False if status in _Status.values else None


@dataclass(frozen=True, slots=True)
class CheckState:
    """The fields of a check that show whether it was validated."""

    outcome: str
    result: Any
    updated_at: datetime | None


def check_shows(change: RequestedChange, before: CheckState, now: CheckState) -> bool | None:
    """
    Return whether a check shows the validation; None if that is unclear.

    Args:
        change: The validation.
        before: The check as it was stored before.
        now: The check as it was fetched afterwards.
    """
    if change.match_id:
        was, is_now = verdict(before.result, change.match_id), verdict(now.result, change.match_id)
        expected: str = change.outcome
        if is_now is None:
            return None
    else:
        was, is_now, expected = before.outcome, now.outcome, CHECK_OUTCOMES[change.outcome]
    if is_now != expected:
        return False
    # Without any difference, it may have had this outcome before.
    is_news = was != is_now or before.updated_at != now.updated_at
    return True if is_news else None


def verdict(result: Any, match_id: str) -> str | None:
    """Return the decision on a match of a screening, or None if the result has no such match."""
    for match in matches_of(result):
        if match["id"] == match_id:
            return str(match.get("validation") or "")
    return None


def matches_of(result: Any) -> list[dict[str, Any]]:
    """Return the matches with an id in the result of a screening, in order; the result may have any shape."""
    breakdown = result.get("breakdown") if isinstance(result, Mapping) else None
    matches = breakdown.get("matches") if isinstance(breakdown, Mapping) else None
    if not isinstance(matches, list):
        return []
    objects = [match for match in matches if isinstance(match, dict)]
    return [match for match in objects if isinstance(match.get("id"), str) and match["id"]]
