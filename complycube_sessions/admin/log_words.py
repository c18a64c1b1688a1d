"""
The lines of the admin's own log in the reader's language.

They are stored in English, with the name of an error's class: whoever looks into one later can search for it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from django.utils.translation import gettext_lazy

from complycube_sessions import exceptions
from complycube_sessions.admin.error_messages import error_message

_PHRASES: Final[tuple[tuple[str, Any], ...]] = (
    ("Review taken", gettext_lazy("Review taken")),
    ("Review released", gettext_lazy("Review released")),
    ("Review assigned", gettext_lazy("Review assigned")),
    ("Review decided", gettext_lazy("Review decided")),
    ("Review sent back", gettext_lazy("Review sent back")),
    ("Note added to the review", gettext_lazy("Note added to the review")),
    ("Decision confirmed", gettext_lazy("Decision confirmed")),
    ("Fetched from ComplyCube", gettext_lazy("Fetched from ComplyCube")),
    ("Refreshed from ComplyCube", gettext_lazy("Refreshed from ComplyCube")),
    ("Refresh from ComplyCube failed", gettext_lazy("Refresh from ComplyCube failed")),
    ("Fetched ComplyCube's report", gettext_lazy("Fetched ComplyCube's report")),
    ("ComplyCube's report failed", gettext_lazy("ComplyCube's report failed")),
    ("Exported evidence, SHA-256", gettext_lazy("Exported evidence, SHA-256")),
    ("Completion at ComplyCube", gettext_lazy("Completion at ComplyCube")),
    ("Cancellation at ComplyCube", gettext_lazy("Cancellation at ComplyCube")),
    ("Decision at ComplyCube on check", gettext_lazy("Decision at ComplyCube on check")),
)
_STATES: Final[dict[str, Any]] = {
    "done": gettext_lazy("done"),
    "not done": gettext_lazy("not done"),
    "not known whether done": gettext_lazy("answer lost; not known whether done"),
}
_STATE: Final = re.compile(r": (done|not done|not known whether done)(?= \(|\.)")
_ERROR: Final = re.compile(r" \((\w+)\)\.$|: (\w+Error)\.$")


def in_words(line: str) -> str:
    """Return a line of the log as its reader should see it; a line that this app did not write as it is."""
    for phrase, words in _PHRASES:
        if line.startswith(phrase):
            rest = _STATE.sub(lambda told: f": {_STATES[told[1]]}", line[len(phrase) :])
            return f"{words}{_ERROR.sub(_reason, rest)}"
    return line


def _reason(told: re.Match[str]) -> str:
    name = told[1] or told[2]
    kind = getattr(exceptions, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return told[0]
    reason = error_message(kind.__new__(kind), unknown="")
    return f": {reason} ({name})" if reason else told[0]
