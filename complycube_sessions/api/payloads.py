"""
JSON of the API in, frozen dataclasses out.

The parsers are tolerant: a field that is missing, null or of another type becomes ``""``, ``None`` or
``()``, and unknown words are kept. Only a body that is not the requested object is an error. SQLite,
PostgreSQL and MariaDB can store all values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any, Final, Generic, Literal, TypeVar

from complycube_sessions.api.cutting import without_files, without_oversized_text
from complycube_sessions.api.ids import ID_LENGTH, printable_id, validate_id
from complycube_sessions.api.storable_json import clean_json
from complycube_sessions.api.values import (
    as_list,
    cut_text,
    key_text,
    known_time,
    parse_time,
    plain_text,
    vendor_clock,
    whole_number,
)
from complycube_sessions.exceptions import ComplyCubeInvalidIdError, ComplyCubePayloadError

NAME_LENGTH: Final = 255
WORD_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class RelatedCheckRef:
    """One entry of ``allRelatedChecks``."""

    check_id: str
    type: str
    task_id: str


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session as a list page shows it: enough to see whether it has changed."""

    id: str
    client_id: str
    entity_name: str
    status: str
    outcome: str
    workflow_template_id: str
    workflow_template_name: str
    workflow_id: str
    workflow_version: int | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionPayload(SessionSummary):
    """One workflow session as ``GET /workflowSessions/{id}`` shows it."""

    workflow_template_description: str
    workflow_description: str
    compliance_policies: list[Any]
    policy_assurance: list[Any]
    tasks: list[Any]
    last_completed_task_id: str
    completed_at: datetime | None
    related_checks: tuple[RelatedCheckRef, ...]
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckPayload:
    """
    One check; ``result`` is None if this kind of response has no breakdown.

    ``raw`` is the response, reduced to the outcome in its ``result``: so a list item and a ``GET`` response
    are equal, and only ``result`` holds the breakdown.
    """

    id: str
    client_id: str
    type: str
    status: str
    outcome: str
    created_at: datetime | None
    updated_at: datetime | None
    result: dict[str, Any] | None
    document_id: str = ""
    monitored: bool | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    is_listed: bool = False


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ListPage(Generic[Item]):
    """
    One page of a list.

    ``unreadable`` maps a stable name of each item that cannot be read to the reason.
    """

    items: tuple[Item, ...]
    page: int
    pages: int
    total_items: int
    unreadable: dict[str, str]


def parse_session(
    data: Any, *, session_id: str, answered_at: datetime | None = None
) -> SessionPayload:
    """
    Return the session of an answer to ``GET /workflowSessions/{id}``.

    Args:
        data: The JSON of the response, of any shape.
        session_id: The requested id; a response about another session is rejected.
        answered_at: The vendor's clock; times more than a day ahead of it count as unknown.

    Raises:
        ComplyCubePayloadError: The body is no object, or not this session's.

    Source:
        API reference, "Get a workflow session".
    """
    source = _own_object(data, session_id, "workflow session")
    raw = without_files(source)
    clock = vendor_clock(answered_at)
    return SessionPayload(
        **_summary(source, session_id, clock),
        workflow_template_description=plain_text(raw.get("workflowTemplateDescription")),
        workflow_description=plain_text(raw.get("workflowDescription")),
        compliance_policies=as_list(raw.get("compliancePolicies")),
        policy_assurance=as_list(raw.get("policyAssurance")),
        tasks=as_list(raw.get("tasks")),
        last_completed_task_id=key_text(source.get("lastCompletedTaskId"), NAME_LENGTH),
        completed_at=known_time(source.get("completedAt"), clock),
        related_checks=_related_checks(source.get("allRelatedChecks")),
        raw=raw,
    )


def parse_check(data: Any, *, check_id: str, answered_at: datetime | None = None) -> CheckPayload:
    """
    Return the check of an answer to ``GET /checks/{id}``, without images and oversized text.

    Raises:
        ComplyCubePayloadError: The body is no object, or not this check's.

    Source:
        API reference, "Get a check".
    """
    source = _own_object(data, check_id, "check")
    breakdown = source.get("result")
    result = without_oversized_text(breakdown) if isinstance(breakdown, dict) else {}
    return _check(source, check_id, vendor_clock(answered_at), result=result)


def parse_session_page(
    data: Any, *, answered_at: datetime | None = None
) -> ListPage[SessionSummary]:
    """
    Return one page of ``GET /workflowSessions``.

    Raises:
        ComplyCubePayloadError: The body is not the documented envelope.

    Source:
        API reference, "List workflow sessions".
    """
    clock = vendor_clock(answered_at)
    items, unreadable = readable_items(data)
    return ListPage(
        tuple(
            SessionSummary(**_summary(clean_json(raw), item_id, clock)) for item_id, raw in items
        ),
        **envelope(data),
        unreadable=unreadable,
    )


def parse_check_page(
    data: Any,
    *,
    answered_at: datetime | None = None,
    scrub: Callable[[dict[str, Any], str], Any] = lambda item, check_id: item,
) -> ListPage[CheckPayload]:
    """
    Return one page of ``GET /checks``; listed checks have no breakdown.

    Args:
        data: The JSON of the answer.
        answered_at: The vendor's clock; times more than a day ahead of it count as unknown.
        scrub: Called with each check and its id; returns the check to keep. If it returns None, only the
            fields that no scrubber may change are kept.

    Raises:
        ComplyCubePayloadError: The body is not the documented envelope.

    Source:
        API reference, "List checks".
    """
    clock = vendor_clock(answered_at)
    items, unreadable = readable_items(data)
    checks: list[CheckPayload] = []
    for check_id, item in items:
        scrubbed = scrub(item, check_id)
        source = clean_json(item if scrubbed is None else scrubbed)
        check = _check(source, check_id, clock, result=None, is_listed=True)
        if scrubbed is None:
            check = replace(check, document_id="", monitored=None, raw={})
        checks.append(check)
    return ListPage(tuple(checks), **envelope(data), unreadable=unreadable)


def _own_object(data: Any, asked_id: str, kind: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ComplyCubePayloadError(
            f"The answer for {asked_id} is {_kind(data)}, not a {kind} object."
        )
    if data.get("id") != asked_id:
        answered = "no id" if data.get("id") is None else f"the id {printable_id(data['id'])}"
        raise ComplyCubePayloadError(f"The answer for {asked_id} has {answered}.")
    return dict(clean_json(data))


def readable_items(data: Any) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, str]]:
    """Return the readable items by id, and a reason for each that is not."""
    found = data.get("items") if isinstance(data, dict) else None
    readable: list[tuple[str, dict[str, Any]]] = []
    unreadable: dict[str, str] = {}
    for item in found if isinstance(found, list) else ():
        try:
            readable.append((validate_id(item["id"]), item))
        except (ComplyCubeInvalidIdError, TypeError, KeyError, IndexError):
            name = _distinct(_name_of_unreadable(item), unreadable)
            unreadable[name] = _why_unreadable(item)
    return readable, unreadable


def _name_of_unreadable(item: object) -> str:
    """Return a short name that identifies an item, and is the same whenever the list shows it."""
    found = item.get("id") if isinstance(item, dict) else None
    content = clean_json(found if isinstance(found, str) and found else item)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"item {digest[:12]}"


def _why_unreadable(item: object) -> str:
    if not isinstance(item, dict):
        return f"The list holds {_kind(item)} in place of an object."
    found, created_at = item.get("id"), parse_time(item.get("createdAt"))
    when = f", created at {created_at.isoformat()}," if created_at else ""
    if isinstance(found, str) and found:
        what = f"the impossible id {printable_id(found)}"
    else:
        what = "no id" if found is None or found == "" else f"{_kind(found)} in place of an id"
    return f"The list holds an item{when} with {what}, so it cannot be fetched."


def _distinct(name: str, others: Collection[str]) -> str:
    names = (f"{name} ({number})" if number > 1 else name for number in count(1))
    return next(found for found in names if found not in others)


def envelope(data: Any) -> dict[Literal["page", "pages", "total_items"], int]:
    if not isinstance(data, dict):
        raise ComplyCubePayloadError(f"The list is {_kind(data)}, not an object with items.")
    items = data.get("items")
    if items is not None and not isinstance(items, list):
        raise ComplyCubePayloadError(f"The items of the list are {_kind(items)}.")
    total = whole_number(data.get("totalItems"))
    if total is None or total < 0:
        raise ComplyCubePayloadError("The list does not tell how many items there are.")
    page = whole_number(data.get("page")) or 1
    return {"page": page, "pages": whole_number(data.get("pages")) or 0, "total_items": total}


def _summary(source: dict[str, Any], session_id: str, clock: datetime) -> dict[str, Any]:
    """Return the fields of a ``SessionSummary``, which both list items and single sessions contain."""
    return {
        "id": session_id,
        # Ids are read from the uncut source: two long ids with the same beginning must stay distinct.
        "client_id": key_text(source.get("clientId"), ID_LENGTH),
        "entity_name": cut_text(source.get("entityName"), NAME_LENGTH),
        "status": key_text(source.get("status"), WORD_LENGTH),
        "outcome": key_text(source.get("outcome"), WORD_LENGTH),
        "workflow_template_id": key_text(source.get("workflowTemplateId"), ID_LENGTH),
        "workflow_template_name": cut_text(source.get("workflowTemplateName"), NAME_LENGTH),
        "workflow_id": key_text(source.get("workflowId"), ID_LENGTH),
        "workflow_version": whole_number(source.get("workflowVersion")),
        "created_at": known_time(source.get("createdAt"), clock),
        "updated_at": known_time(source.get("updatedAt"), clock),
    }


def _check(
    source: dict[str, Any],
    check_id: str,
    clock: datetime,
    *,
    result: dict[str, Any] | None,
    is_listed: bool = False,
) -> CheckPayload:
    given = source.get("result")
    outcome = {k: v for k, v in given.items() if k == "outcome"} if isinstance(given, dict) else {}
    monitored = source.get("enableMonitoring")
    return CheckPayload(
        id=check_id,
        client_id=key_text(source.get("clientId"), ID_LENGTH),
        type=key_text(source.get("type"), WORD_LENGTH),
        status=key_text(source.get("status"), WORD_LENGTH),
        outcome=key_text(outcome.get("outcome"), WORD_LENGTH),
        created_at=known_time(source.get("createdAt"), clock),
        updated_at=known_time(source.get("updatedAt"), clock),
        result=result,
        document_id=key_text(source.get("documentId"), ID_LENGTH),
        monitored=monitored if isinstance(monitored, bool) else None,
        raw=without_oversized_text({**source, "result": outcome} if "result" in source else source),
        is_listed=is_listed,
    )


def _related_checks(value: object) -> tuple[RelatedCheckRef, ...]:
    """Return one reference per check, in the order of first mention; repeated entries fill in missing fields."""
    by_id: dict[str, RelatedCheckRef] = {}
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, dict) or not (
            check_id := key_text(entry.get("checkId"), ID_LENGTH)
        ):
            continue
        before = by_id.get(check_id)
        by_id[check_id] = RelatedCheckRef(
            check_id,
            (before and before.type) or key_text(entry.get("type"), WORD_LENGTH),
            (before and before.task_id) or key_text(entry.get("taskId"), NAME_LENGTH),
        )
    return tuple(by_id.values())


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}.get(
        type(value), "a number"
    )
