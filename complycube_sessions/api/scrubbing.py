"""
The project's own say in what of an answer is stored: ``COMPLYCUBE_SCRUBBER``.

The scrubber gets a whole answer before anything is read from it, so that every column follows from what
it leaves. It may take out or replace all but what tells who, which, when and in what state: without that
the mirror could neither be kept in step nor erased.
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
    Return an answer as the project's scrubber leaves it.

    Args:
        scrubber: Called with ``session``, ``check`` or ``audit_entry`` and the answer, which it may change in place; it
            returns the answer to store.
        kind: ``session``, ``check`` or ``audit_entry``.
        data: The JSON of the answer; one that is no object is left to the parser to refuse.
        subject: Whose answer, for the error.

    Raises:
        ComplyCubeScrubberError: The scrubber raised, or returned something else than JSON of an object
            with the protected fields as they were.
    """
    if scrubber is None or not isinstance(data, dict):
        return data
    try:
        before = copy.deepcopy(_protected(kind, data))
        cleaned = scrubber(kind, data)
        text = json.dumps(cleaned)
    except Exception as error:  # noqa: BLE001 - it is the project's; its words may be a person's
        raise ComplyCubeScrubberError(_fault(subject, f"raised {type(error).__name__}")) from None
    if not isinstance(cleaned, dict):
        raise ComplyCubeScrubberError(
            _fault(subject, f"returned {type(cleaned).__name__}, no dict")
        )
    after = _protected(kind, cleaned)
    changed = sorted(name for name in before if before[name] != after[name])
    if changed:
        raise ComplyCubeScrubberError(_fault(subject, f"changed {', '.join(changed)}"))
    # Not the object that the scrubber returned, which it may still change.
    return json.loads(text)


def _protected(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    fields = {name: data.get(name) for name in PROTECTED}
    if kind == CHECK:
        result = data.get("result")
        fields["result.outcome"] = result.get("outcome") if isinstance(result, dict) else None
    return fields


def _fault(subject: str, what: str) -> str:
    return f"COMPLYCUBE_SCRUBBER {what} for {subject}; nothing of the answer is stored."
