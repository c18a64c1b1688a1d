"""What the pages of changes at ComplyCube say: before a change, and when it was not done."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin.error_messages import error_message
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeAuthenticationError,
    ComplyCubeChangeUnderWayError,
    ComplyCubeError,
    ComplyCubeLostAnswerError,
    ComplyCubeNotFoundError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
)
from complycube_sessions.models import UpstreamChange

Action = UpstreamChange.Action

TITLES: Final = {
    Action.VALIDATE: gettext_lazy("Decide on a check at ComplyCube"),
    Action.COMPLETE: gettext_lazy("Complete the session at ComplyCube"),
    Action.CANCEL: gettext_lazy("Cancel the session at ComplyCube"),
}
BUTTONS: Final = {
    Action.VALIDATE: gettext_lazy("Send the decision"),
    Action.COMPLETE: gettext_lazy("Complete the session"),
    Action.CANCEL: gettext_lazy("Cancel the session"),
}
CONSEQUENCES: Final = {
    Action.VALIDATE: gettext_lazy(
        "ComplyCube is told the decision. The outcome of the check follows from it, and that of the session "
        "may."
    ),
    Action.COMPLETE: gettext_lazy(
        "ComplyCube is told that the person is done. It starts the checks of the workflow, which may cost "
        "money. This cannot be undone."
    ),
    Action.CANCEL: gettext_lazy(
        "ComplyCube cancels the session: the person cannot go on with it. This cannot be undone."
    ),
}
OUTCOMES: Final = (
    ("confirmed", gettext_lazy("Confirmed: the check is good, and becomes clear")),
    ("rejected", gettext_lazy("Rejected: the check is not good, and becomes rejected")),
    ("attention", gettext_lazy("Attention: undecided, it needs attention")),
)
MATCH_OUTCOMES: Final = (
    (
        "rejected",
        gettext_lazy(
            "Rejected: somebody else, a false positive. The check becomes clear once every match is "
            "rejected"
        ),
    ),
    (
        "confirmed",
        gettext_lazy("Confirmed: it is this person. The check becomes “Match confirmed”"),
    ),
    ("attention", gettext_lazy("Attention: undecided. The check stays in need of attention")),
)
# What a match's validation means; any other word leaves it undecided.
DECIDED: Final[dict[str, Any]] = {
    "confirmed": gettext_lazy("a hit"),
    "rejected": gettext_lazy("dismissed"),
}
UNDECIDED: Final = gettext_lazy("undecided")
_REFUSALS: Final[tuple[tuple[type[ComplyCubeAPIError], Any], ...]] = (
    (
        ComplyCubeAuthenticationError,
        gettext_lazy("ComplyCube rejects the API key (401). Nothing was changed."),
    ),
    (
        ComplyCubePaymentError,
        gettext_lazy("ComplyCube requires payment first (402). Nothing was changed."),
    ),
    (
        ComplyCubePermissionError,
        gettext_lazy("The API key may not change this (403). Nothing was changed."),
    ),
    (
        ComplyCubeNotFoundError,
        gettext_lazy("ComplyCube does not know what was to be changed (404). Nothing was changed."),
    ),
    (
        ComplyCubeRateLimitError,
        gettext_lazy(
            "ComplyCube accepts no more requests at the moment (429). Nothing was changed. Try again later."
        ),
    ),
)


def refusal(error: Exception) -> str:
    """Return what it means to a person that a change was not done, or is not known to be."""
    if isinstance(error, ComplyCubeLostAnswerError):
        if error.is_done is None:
            return _(
                "ComplyCube's answer was lost. It cannot be told whether the change was done, and it was not "
                "sent again. Look at it in the ComplyCube portal before you decide again."
            )
        return _(
            "ComplyCube's answer was lost. What is found there does not show the change, and it was not "
            "sent again. Refresh the session in a minute before you decide again."
        )
    if isinstance(error, ComplyCubeChangeUnderWayError):
        return _(
            "The same was sent to ComplyCube a moment ago, and it is not known yet what became of it. It was "
            "not sent again. Look at the timeline in a few minutes."
        )
    for kind, text in _REFUSALS:
        if isinstance(error, kind):
            return str(text)
    if isinstance(error, ComplyCubeAPIError):
        text = _(
            "ComplyCube refused the change (%(status)s). Nothing was changed. The session was fetched again: "
            "look at its state."
        )
        return text % {"status": error.status_code}
    known = error_message(error, unknown="")
    if known or not isinstance(error, ComplyCubeError):
        return known or error_message(error)
    # Of a rule of this site: it names ids alone.
    return _("Nothing was changed: %(reason)s") % {"reason": error}
