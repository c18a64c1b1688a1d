"""
Letting the project change what is stored of an answer: ``COMPLYCUBE_SCRUBBER``.

The scrubber gets a whole answer before anything is read from it, so every column is derived from its result.
It may remove or replace everything except ids, types, times, status and outcome: without those the mirror
could be neither refreshed nor erased.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, Final

from complycube_sessions.exceptions import ComplyCubeScrubberError

SESSION: Final = "session"
CHECK: Final = "check"
AUDIT_ENTRY: Final = "audit_entry"
PROTECTED: Final = (
    "id",
    "clientId",
    "type",
    "status",
    "resourceId",
    "outcome",
    "createdAt",
    "completedAt",
    "updatedAt",
)
Scrubber = Callable[[str, dict[str, Any]], object]


def scrubbed(scrubber: Scrubber | None, kind: str, data: Any, *, subject: str) -> Any:
    """
    Return an answer after the project's scrubber has processed it.

    Args:
        scrubber: Called with ``kind`` and the answer, which it may change in place; it returns the answer to
            store.
        kind: ``session``, ``check`` or ``audit_entry``.
        data: The JSON of the answer; if it is no object, it is returned unchanged for the parser to reject.
        subject: The object of the answer, for the error message.

    Raises:
        ComplyCubeScrubberError: The scrubber raised, changed a protected field, or did not return a JSON
            object.
    """
    if scrubber is None or not isinstance(data, dict):
        return data
    try:
        before = copy.deepcopy(_protected(kind, data))
        cleaned = scrubber(kind, data)
        text = json.dumps(cleaned)
    except Exception as error:  # noqa: BLE001 - the project's code may raise anything, and quote personal data
        raise ComplyCubeScrubberError(_fault(subject, f"raised {type(error).__name__}")) from None
    if not isinstance(cleaned, dict):
        raise ComplyCubeScrubberError(
            _fault(subject, f"returned {type(cleaned).__name__}, no dict")
        )
    after = _protected(kind, cleaned)
    changed = sorted(name for name in before if before[name] != after[name])
    if changed:
        raise ComplyCubeScrubberError(_fault(subject, f"changed {', '.join(changed)}"))
    # A copy, as the scrubber may still change the object that it returned.
    return json.loads(text)


def _protected(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    fields = {name: data.get(name) for name in PROTECTED}
    if kind == CHECK:
        result = data.get("result")
        fields["result.outcome"] = result.get("outcome") if isinstance(result, dict) else None
    return fields


def _fault(subject: str, what: str) -> str:
    return f"COMPLYCUBE_SCRUBBER {what} for {subject}; nothing of the answer is stored."
