"""What can be asked of the vendor, and whether a fetched object shows that it was done. Pure."""

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
# What a check that is no screening becomes; "confirmed" is good news there.
CHECK_OUTCOMES: Final = {
    "confirmed": RelatedCheck.Outcome.CLEAR,
    "rejected": RelatedCheck.Outcome.REJECTED,
    "attention": RelatedCheck.Outcome.ATTENTION,
}
_Status = WorkflowSession.Status
# The statuses that a session can have only once the change was done, by whomever.
REACHED: Final = {
    UpstreamChange.Action.COMPLETE: {_Status.PROCESSING, _Status.COMPLETE},
    UpstreamChange.Action.CANCEL: {_Status.CANCELLED},
}


@dataclass(frozen=True, slots=True)
class RequestedChange:
    """
    A change that somebody asks for.

    ``check_id`` and ``outcome`` are set for a validation, ``match_id`` where it is of a screening's match.
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
    Return where a validation is as the vendor documents it.

    Raises:
        ComplyCubeInvalidChangeError: It is not; the message says what is wrong.
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
    """Return whether a session of that status was completed or cancelled; None where it does not tell."""
    if status in REACHED[UpstreamChange.Action(action)]:
        return True
    return False if status in _Status.values else None


@dataclass(frozen=True, slots=True)
class CheckState:
    """What of a check tells whether it was validated."""

    outcome: str
    result: Any
    updated_at: datetime | None


def check_shows(change: RequestedChange, before: CheckState, now: CheckState) -> bool | None:
    """
    Return whether a check shows the validation; None where it does not tell.

    Args:
        change: The validation.
        before: The check as it was stored before.
        now: As it was fetched after.
    """
    if change.match_id:
        was, is_now = verdict(before.result, change.match_id), verdict(now.result, change.match_id)
        wanted: str = change.outcome
        if is_now is None:
            return None
    else:
        was, is_now, wanted = before.outcome, now.outcome, CHECK_OUTCOMES[change.outcome]
    if is_now != wanted:
        return False
    # It may have been so all the while.
    is_news = was != is_now or before.updated_at != now.updated_at
    return True if is_news else None


def verdict(result: Any, match_id: str) -> str | None:
    """Return what was decided on a match of a screening, or None where the result has no such match."""
    for match in matches_of(result):
        if match["id"] == match_id:
            return str(match.get("validation") or "")
    return None


def matches_of(result: Any) -> list[dict[str, Any]]:
    """Return the matches of a screening's result that have an id, in their order; any result is read."""
    breakdown = result.get("breakdown") if isinstance(result, Mapping) else None
    matches = breakdown.get("matches") if isinstance(breakdown, Mapping) else None
    if not isinstance(matches, list):
        return []
    found = [match for match in matches if isinstance(match, dict)]
    return [match for match in found if isinstance(match.get("id"), str) and match["id"]]
