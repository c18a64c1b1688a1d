"""
JSON of the API in, frozen dataclasses out.

Tolerant wherever the vendor leaves room: a field that is missing, null or of another type becomes
``""``, ``None`` or ``()``, an unknown word stays as it is. Only a body that is not the thing that was
asked for is an error. All values can be stored by SQLite, PostgreSQL and MariaDB alike.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, Generic, Literal, TypeVar

from complycube_sessions.api.cutting import without_files, without_oversized_text
from complycube_sessions.exceptions import ComplyCubeInvalidIdError, ComplyCubePayloadError

ID_LENGTH: Final = 128
NAME_LENGTH: Final = 255
WORD_LENGTH: Final = 64
# MariaDB refuses JSON that is nested deeper than 31 levels; one limit keeps all copies equal.
MAX_DEPTH: Final = 30
# Python reads JSON with recursion, to a depth that differs between its versions.
MAX_READ_DEPTH: Final = 100
MAX_READ_BRACKETS: Final = 1_000_000
MAX_DIGITS: Final = 300
FIRST_INEXACT_FLOAT: Final = 2.0**53
MAX_CLOCK_AHEAD: Final = timedelta(days=1)
BIGINT_MAX: Final = 2**63 - 1

# An id is opaque, but it becomes part of an address: nothing that could end or climb the path.
_SAFE_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.~:=+@-]{0,127}")
# A text, whole or cut off, or a bracket outside of any text.
_JSON_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# NUL is refused by PostgreSQL, lone surrogates cannot be encoded by any driver.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
# `fromisoformat` also takes week dates and bare dates, which are no times.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*", re.ASCII)


class NumberMark(str):
    """The mark in place of a number that no database holds: to be stored and read, never to compare by."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RelatedCheckRef:
    """One entry of ``allRelatedChecks``."""

    check_id: str
    type: str
    task_id: str


@dataclass(frozen=True, slots=True)
class SessionPayload:
    """One workflow session as ``GET /workflowSessions/{id}`` shows it."""

    id: str
    client_id: str
    entity_name: str
    status: str
    outcome: str
    workflow_template_id: str
    workflow_template_name: str
    workflow_template_description: str
    workflow_id: str
    workflow_version: int | None
    workflow_description: str
    compliance_policies: list[Any]
    policy_assurance: list[Any]
    tasks: list[Any]
    last_completed_task_id: str
    created_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime | None
    related_checks: tuple[RelatedCheckRef, ...]
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckPayload:
    """
    One check; ``result`` is None where the answer is one that never carries the breakdown.

    ``raw`` is the answer with no more of its result than the outcome, so that a list and an answer to
    GET tell the same, and a breakdown stands in ``result`` alone.
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


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """What a list page tells of a session: enough to see whether it moved."""

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


Item = TypeVar("Item", SessionSummary, CheckPayload)


@dataclass(frozen=True, slots=True)
class ListPage(Generic[Item]):
    """
    One page of a list.

    ``unreadable`` holds a reason for each item that cannot be read, by a name that stays the same.
    """

    items: tuple[Item, ...]
    page: int
    pages: int
    total_items: int
    unreadable: dict[str, str]


def validate_id(value: object) -> str:
    """
    Return the id if it may become a part of an address.

    Raises:
        ComplyCubeInvalidIdError: It is not text, is empty or too long, or holds other characters than
            letters, digits and ``_ . ~ : = + @ -``, or ``..``.
    """
    if isinstance(value, str) and _SAFE_ID.fullmatch(value) and ".." not in value:
        return value
    raise ComplyCubeInvalidIdError(
        f"{printable_id(value)} is not a possible id: it must have 1 to {ID_LENGTH} letters, digits or "
        "_ . ~ : = + @ -, as the ComplyCube portal shows it."
    )


def printable_id(value: object) -> str:
    """Return something short and harmless that names an id in a message."""
    text = value if isinstance(value, str) else type(value).__name__
    return ascii(text[:ID_LENGTH])


def load_json(body: bytes) -> Any:
    """
    Return the JSON of a body; numbers that no database holds become marked text.

    Raises:
        ComplyCubePayloadError: The body is empty, not UTF-8, not JSON or nested without measure.
    """
    try:
        text = body.decode("utf-8-sig")
        try:
            return _parse_json(text)
        except RecursionError:
            return _parse_json(_without_depth(text))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        # The error's own text would show a piece of the body, which may be personal.
        raise ComplyCubePayloadError(_not_json(body, type(error).__name__)) from None


def parse_session(
    data: Any, *, session_id: str, answered_at: datetime | None = None
) -> SessionPayload:
    """
    Return the session of an answer to ``GET /workflowSessions/{id}``.

    Args:
        data: The JSON of the answer, of whatever shape it came in.
        session_id: The id that was asked for; an answer about another one is refused.
        answered_at: The vendor's clock; times more than a day ahead of it count as unknown.

    Raises:
        ComplyCubePayloadError: The body is no object, or not this session's.

    Source:
        API reference, "Get a workflow session".
    """
    told = _own_object(data, session_id, "workflow session")
    raw = without_files(told)
    clock = _clock(answered_at)
    return SessionPayload(
        id=session_id,
        # Two long ids that begin alike are two ids: what is compared is read before anything is cut.
        client_id=key_text(told.get("clientId"), ID_LENGTH),
        entity_name=cut_text(told.get("entityName"), NAME_LENGTH),
        status=key_text(told.get("status"), WORD_LENGTH),
        outcome=key_text(told.get("outcome"), WORD_LENGTH),
        workflow_template_id=key_text(told.get("workflowTemplateId"), ID_LENGTH),
        workflow_template_name=cut_text(told.get("workflowTemplateName"), NAME_LENGTH),
        workflow_template_description=_text(raw.get("workflowTemplateDescription")),
        workflow_id=key_text(told.get("workflowId"), ID_LENGTH),
        workflow_version=_whole_number(told.get("workflowVersion")),
        workflow_description=_text(raw.get("workflowDescription")),
        compliance_policies=_list(raw.get("compliancePolicies")),
        policy_assurance=_list(raw.get("policyAssurance")),
        tasks=_list(raw.get("tasks")),
        last_completed_task_id=key_text(told.get("lastCompletedTaskId"), NAME_LENGTH),
        created_at=_known_time(told.get("createdAt"), clock),
        completed_at=_known_time(told.get("completedAt"), clock),
        updated_at=_known_time(told.get("updatedAt"), clock),
        related_checks=_related_checks(told.get("allRelatedChecks")),
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
    told = _own_object(data, check_id, "check")
    found = told.get("result")
    result = without_oversized_text(found) if isinstance(found, dict) else {}
    return _check(told, check_id, _clock(answered_at), result=result)


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
    clock = _clock(answered_at)

    def summary(raw: dict[str, Any], session_id: str) -> SessionSummary:
        return SessionSummary(
            id=session_id,
            client_id=key_text(raw.get("clientId"), ID_LENGTH),
            entity_name=cut_text(raw.get("entityName"), NAME_LENGTH),
            status=key_text(raw.get("status"), WORD_LENGTH),
            outcome=key_text(raw.get("outcome"), WORD_LENGTH),
            workflow_template_id=key_text(raw.get("workflowTemplateId"), ID_LENGTH),
            workflow_template_name=cut_text(raw.get("workflowTemplateName"), NAME_LENGTH),
            workflow_id=key_text(raw.get("workflowId"), ID_LENGTH),
            workflow_version=_whole_number(raw.get("workflowVersion")),
            created_at=_known_time(raw.get("createdAt"), clock),
            updated_at=_known_time(raw.get("updatedAt"), clock),
        )

    items, unreadable = _items(data)
    return ListPage(
        tuple(summary(clean_json(raw), item_id) for item_id, raw in items),
        **_envelope(data),
        unreadable=unreadable,
    )


def parse_check_page(
    data: Any,
    *,
    answered_at: datetime | None = None,
    scrub: Callable[[dict[str, Any], str], Any] = lambda item, check_id: item,
) -> ListPage[CheckPayload]:
    """
    Return one page of ``GET /checks``, whose checks carry no breakdown.

    Args:
        data: The JSON of the answer.
        answered_at: The vendor's clock; times more than a day ahead of it count as unknown.
        scrub: Given each check and its id; what it returns is kept as the answer. None: it cannot be
            kept, and no more is told than what no scrubber may change.

    Raises:
        ComplyCubePayloadError: The body is not the documented envelope.

    Source:
        API reference, "List checks".
    """
    clock = _clock(answered_at)
    items, unreadable = _items(data)
    checks: list[CheckPayload] = []
    for check_id, item in items:
        scrubbed = scrub(item, check_id)
        told = clean_json(item if scrubbed is None else scrubbed)
        check = _check(told, check_id, clock, result=None, is_listed=True)
        if scrubbed is None:
            check = replace(check, document_id="", monitored=None, raw={})
        checks.append(check)
    return ListPage(tuple(checks), **_envelope(data), unreadable=unreadable)


def parse_time(value: object) -> datetime | None:
    """Return an ISO 8601 time as aware UTC, or None where it cannot be read or does not exist."""
    if not isinstance(value, str) or not _TIME.fullmatch(value.strip()):
        return None
    try:
        return in_utc(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None


def in_utc(time: datetime) -> datetime | None:
    """Return a time as aware UTC, or None at the ends of the calendar, where nothing can be added to it."""
    try:
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if 1900 <= time.year < 9999 else None


def clean_json(value: Any, *, depth: int = 0) -> Any:
    """Return JSON that all supported databases store: see the module's text and ``MAX_DEPTH``."""
    if isinstance(value, str):
        return value if isinstance(value, NumberMark) else clean_text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return f"[{value}]"
        # PostgreSQL gives 1e23 back as 10 ** 23, which that float is not: it would differ for ever.
        return int(value) if abs(value) >= FIRST_INEXACT_FLOAT else value
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return f"[cut: nested deeper than {MAX_DEPTH} levels]" if value else value
    if isinstance(value, dict):
        return {clean_text(str(k)): clean_json(v, depth=depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [clean_json(item, depth=depth + 1) for item in value]
    return value


def clean_text(text: str) -> str:
    """Return text without NUL and lone surrogates, each replaced by U+FFFD."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def cut_text(value: object, length: int) -> str:
    """Return text for people that fits a column of ``length``; a cut ends in ``…``."""
    text = _text(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def key_text(value: object, length: int) -> str:
    """
    Return text to compare by that fits a column; a cut ends in a hash, so that it stays distinct.

    Of a number that no database holds nothing is left that could tell it from another: it is ``""``.
    """
    text = "" if isinstance(value, NumberMark) else _text(value)
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: length - 18]}…~{digest}"


def _own_object(data: Any, asked_id: str, kind: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ComplyCubePayloadError(
            f"The answer for {asked_id} is {_kind(data)}, not a {kind} object."
        )
    if data.get("id") != asked_id:
        answered = "no id" if data.get("id") is None else f"the id {printable_id(data['id'])}"
        raise ComplyCubePayloadError(f"The answer for {asked_id} has {answered}.")
    return dict(clean_json(data))


def _items(data: Any) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, str]]:
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
    """Return what tells an item from others, is the same when the list shows it again, and is plain."""
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


def _envelope(data: Any) -> dict[Literal["page", "pages", "total_items"], int]:
    if not isinstance(data, dict):
        raise ComplyCubePayloadError(f"The list is {_kind(data)}, not an object with items.")
    items = data.get("items")
    if items is not None and not isinstance(items, list):
        raise ComplyCubePayloadError(f"The items of the list are {_kind(items)}.")
    total = _whole_number(data.get("totalItems"))
    if total is None or total < 0:
        raise ComplyCubePayloadError("The list does not tell how many items there are.")
    page = _whole_number(data.get("page")) or 1
    return {"page": page, "pages": _whole_number(data.get("pages")) or 0, "total_items": total}


def _check(
    told: dict[str, Any],
    check_id: str,
    clock: datetime,
    *,
    result: dict[str, Any] | None,
    is_listed: bool = False,
) -> CheckPayload:
    found = told.get("result")
    outcome = {k: v for k, v in found.items() if k == "outcome"} if isinstance(found, dict) else {}
    monitored = told.get("enableMonitoring")
    return CheckPayload(
        id=check_id,
        client_id=key_text(told.get("clientId"), ID_LENGTH),
        type=key_text(told.get("type"), WORD_LENGTH),
        status=key_text(told.get("status"), WORD_LENGTH),
        outcome=key_text(outcome.get("outcome"), WORD_LENGTH),
        created_at=_known_time(told.get("createdAt"), clock),
        updated_at=_known_time(told.get("updatedAt"), clock),
        result=result,
        document_id=key_text(told.get("documentId"), ID_LENGTH),
        monitored=monitored if isinstance(monitored, bool) else None,
        raw=without_oversized_text({**told, "result": outcome} if "result" in told else told),
        is_listed=is_listed,
    )


def _related_checks(value: object) -> tuple[RelatedCheckRef, ...]:
    """Return one reference a check, in the order of their first mention; half-empty ones are completed."""
    found: dict[str, RelatedCheckRef] = {}
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, dict) or not (
            check_id := key_text(entry.get("checkId"), ID_LENGTH)
        ):
            continue
        before = found.get(check_id)
        found[check_id] = RelatedCheckRef(
            check_id,
            (before and before.type) or key_text(entry.get("type"), WORD_LENGTH),
            (before and before.task_id) or key_text(entry.get("taskId"), NAME_LENGTH),
        )
    return tuple(found.values())


def _known_time(value: object, clock: datetime) -> datetime | None:
    time = parse_time(value)
    return None if time is None or time > clock + MAX_CLOCK_AHEAD else time


def _clock(answered_at: datetime | None) -> datetime:
    return answered_at or datetime.now(UTC)


def _text(value: object) -> str:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def _whole_number(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= BIGINT_MAX else None


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _parse_json(text: str) -> Any:
    return json.loads(
        text, parse_int=_parse_int, parse_constant=lambda name: NumberMark(f"[{name}]")
    )


def _without_depth(text: str) -> str:
    """
    Return JSON text in which whatever is nested deeper than ``MAX_READ_DEPTH`` is null.

    ``clean_json`` puts its mark in place of that and of a little more.
    """
    if text.count("[") + text.count("{") > MAX_READ_BRACKETS:
        raise ComplyCubePayloadError("The answer is nested too deep to be read.")
    kept: list[str] = []
    depth = start = 0
    for token in _JSON_STRUCTURE.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == MAX_READ_DEPTH + 1:
                kept += [text[start : token.start()], "null"]
        elif token[0] in "]}":
            if depth == MAX_READ_DEPTH + 1:
                start = token.end()
            depth -= 1
    return "".join(kept) if depth > MAX_READ_DEPTH else "".join([*kept, text[start:]])


def _parse_int(digits: str) -> int | NumberMark:
    if len(digits) <= MAX_DIGITS:
        return int(digits)
    return NumberMark(f"[number of {len(digits)} digits]")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}.get(
        type(value), "a number"
    )


def _not_json(body: bytes, name: str) -> str:
    if not body.strip():
        return "The answer is empty."
    what = "HTML" if body.lstrip()[:1] == b"<" else "not JSON"
    return f"The answer is {what} ({len(body)} bytes, {name})."
