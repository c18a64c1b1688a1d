"""The vendor's audit log: a page of JSON in, frozen dataclasses out, as tolerant as ``payloads``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from complycube_sessions.api.cutting import without_oversized_text
from complycube_sessions.api.ids import ID_LENGTH
from complycube_sessions.api.payloads import WORD_LENGTH, ListPage, envelope, readable_items
from complycube_sessions.api.storable_json import clean_json
from complycube_sessions.api.values import as_list, key_text, known_time, vendor_clock
from complycube_sessions.exceptions import ComplyCubeScrubberError

# The diff of one entry may contain whole results.
MAX_DIFF_CHARACTERS: Final = 64_000


@dataclass(frozen=True, slots=True)
class AuditPayload:
    """One entry; ``member_id`` is ``""`` for actions with the API key."""

    id: str
    resource_type: str
    resource_id: str
    member_id: str
    action: str
    trigger: str
    diff: list[Any]
    created_at: datetime | None


def parse_audit_page(
    data: Any,
    *,
    resource_type: str,
    resource_id: str,
    answered_at: datetime | None = None,
    scrub: Callable[[dict[str, Any], str], Any] = lambda item, entry_id: item,
) -> ListPage[AuditPayload]:
    """
    Return one page of ``GET /auditLogs``; unreadable entries are named, and do not affect the others.

    Args:
        data: The JSON of the response.
        resource_type: The type of the requested resource.
        resource_id: The id of the requested resource; entries about another one are not read.
        answered_at: The vendor's clock; times more than a day ahead of it count as unknown.
        scrub: Called with each entry and its id; returns the entry to keep.

    Raises:
        ComplyCubePayloadError: The body is not the documented envelope.

    Source:
        API reference, "Audit logs".
    """
    clock = vendor_clock(answered_at)
    items, unreadable = readable_items(data)
    entries = []
    for entry_id, item in items:
        try:
            entry = clean_json(scrub(item, entry_id))
        except ComplyCubeScrubberError as error:
            unreadable[entry_id] = str(error)
            continue
        # If the API ignored the filter, it would return entries of other resources.
        if key_text(entry.get("resourceId", resource_id), ID_LENGTH) != resource_id:
            unreadable[entry_id] = "The entry is about something else than was asked for."
            continue
        entries.append(
            AuditPayload(
                id=entry_id,
                resource_type=resource_type,
                resource_id=resource_id,
                member_id=key_text(entry.get("memberId"), ID_LENGTH),
                action=key_text(entry.get("action"), WORD_LENGTH),
                trigger=key_text(entry.get("trigger"), WORD_LENGTH),
                diff=_bounded(as_list(entry.get("diff"))),
                created_at=known_time(entry.get("createdAt"), clock),
            )
        )
    return ListPage(tuple(entries), **envelope(data), unreadable=unreadable)


def _bounded(diff: list[Any]) -> list[Any]:
    """Return as many diff items as fit, without files and oversized text, with a mark for the rest."""
    kept: list[Any] = []
    size = 0
    for number, item in enumerate(without_oversized_text(diff)):
        size += len(json.dumps(item))
        if size > MAX_DIFF_CHARACTERS:
            return [*kept, f"[cut: {len(diff) - number} more]"]
        kept.append(item)
    return kept
