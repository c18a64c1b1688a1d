from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from complycube_sessions.api.cutting import without_oversized_text
from complycube_sessions.api.payloads import (
    RelatedCheckRef,
    parse_check,
    parse_check_page,
    parse_session,
    parse_session_page,
)
from complycube_sessions.api.storable_json import clean_json, load_json
from complycube_sessions.api.values import cut_text, key_text, parse_time
from complycube_sessions.exceptions import ComplyCubePayloadError
from tests.builders import (
    CHECK_IDS,
    CHECK_TYPES,
    SESSION_ID,
    check_payload,
    session_payload,
    vendor_example,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def parsed(**overrides: Any) -> Any:
    return parse_session(session_payload(**overrides), session_id=SESSION_ID, answered_at=NOW)


def test_parse_session__vendor_example() -> None:
    """Every field of the vendor's example stands in its place, and the answer is kept as it came."""
    session = parse_session(vendor_example(), session_id=SESSION_ID)
    assert session.client_id == "5eb1276d96be4a0008713af5"
    assert session.entity_name == "John Doe"
    assert (session.status, session.outcome) == ("complete", "clear")
    assert session.workflow_template_id == "68566be2a37a78622f4f7be3"
    assert session.workflow_template_name == "AML + Liveness + Document Verification flow"
    assert session.workflow_template_description == ""
    assert session.workflow_id == "68566be3a37a78622f4f7be7"
    assert session.workflow_version == 1
    assert session.workflow_description == "Initial version"
    assert (session.compliance_policies, session.policy_assurance, session.tasks) == ([], [], [])
    assert session.last_completed_task_id == "task_id_123"
    assert session.created_at == datetime(2025, 1, 13, 11, 35, 20, 592_000, tzinfo=UTC)
    assert session.completed_at == datetime(2025, 1, 13, 11, 37, 30, 124_000, tzinfo=UTC)
    assert session.updated_at == datetime(2025, 1, 13, 11, 39, 30, 124_000, tzinfo=UTC)
    assert session.related_checks == tuple(
        RelatedCheckRef(check_id, check_type, "...")
        for check_id, check_type in zip(CHECK_IDS, CHECK_TYPES, strict=True)
    )
    assert session.raw == vendor_example()


def test_parse_session__id_alone() -> None:
    """All that is left out is empty, nothing is an error."""
    session = parsed()
    assert session.status == session.outcome == session.entity_name == session.client_id == ""
    assert session.workflow_version is session.created_at is session.completed_at is None
    assert session.tasks == []
    assert session.related_checks == ()


@pytest.mark.parametrize("value", [None, [], {}, True, "x" * 500, 3, 2.5, "\x00", "\ud800"])
@pytest.mark.parametrize("name", [name for name in vendor_example() if name != "id"])
def test_parse_session__any_type_anywhere(name: str, value: object) -> None:
    """A value of another type costs that value, not the session."""
    session = parse_session(
        {**vendor_example(), name: value}, session_id=SESSION_ID, answered_at=NOW
    )
    assert session.id == SESSION_ID
    for other in ("status", "outcome", "client_id", "last_completed_task_id"):
        assert len(getattr(session, other)) <= 255
    assert "\x00" not in json.dumps(session.raw, ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "version"),
    [
        (1, 1),
        ("2", 2),
        (3.0, 3),
        ("v2", None),
        (2.5, None),
        (10**30, None),
        (True, None),
        (None, None),
    ],
)
def test_parse_session__version(value: object, version: int | None) -> None:
    assert parsed(workflowVersion=value).workflow_version == version


@pytest.mark.parametrize("name", ["tasks", "compliancePolicies", "policyAssurance"])
def test_parse_session__shapes_are_kept(name: str) -> None:
    """Undocumented objects are kept as they are; what is no list becomes the only item of one."""
    assert getattr(parsed(**{name: {"a": [1]}}), _snake(name)) == [{"a": [1]}]
    assert getattr(parsed(**{name: [1, None, {"b": {}}]}), _snake(name)) == [1, None, {"b": {}}]


def test_parse_session__related_checks() -> None:
    """Repeated entries are one check, half-empty ones are completed, the others are passed over."""
    entries = [
        {"checkId": "a"},
        {"checkId": "b", "type": "new_check", "taskId": "t"},
        {"checkId": "a", "type": "document_check", "taskId": "t1"},
        {"type": "identity_check"},
        None,
        "c",
        {"checkId": ["d"]},
    ]
    assert parsed(allRelatedChecks=entries).related_checks == (
        RelatedCheckRef("a", "document_check", "t1"),
        RelatedCheckRef("b", "new_check", "t"),
    )


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-01-13T11:35:20.592Z", datetime(2025, 1, 13, 11, 35, 20, 592_000, tzinfo=UTC)),
        ("2025-01-13T11:35:20Z", datetime(2025, 1, 13, 11, 35, 20, tzinfo=UTC)),
        ("2025-01-13T13:35:20+02:00", datetime(2025, 1, 13, 11, 35, 20, tzinfo=UTC)),
        ("2025-01-13T11:35:20", datetime(2025, 1, 13, 11, 35, 20, tzinfo=UTC)),
        ("2025-01-01T14:06:91.913Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2025-01-13", None),
        ("2025-W03-1", None),
        ("yesterday", None),
        ("", None),
        (1736768120, None),
        (None, None),
    ],
)
def test_parse_time(text: object, time: datetime | None) -> None:
    """A time that cannot be read, or that does not exist, is unknown."""
    assert parse_time(text) == time


def test_parse_session__time_ahead_of_the_vendors_clock() -> None:
    """A time more than a day ahead of the answer's own date is unknown."""
    session = parsed(updatedAt="2099-01-01T00:00:00.000Z", createdAt="2026-01-01T23:00:00.000Z")
    assert session.updated_at is None
    assert session.created_at == datetime(2026, 1, 1, 23, tzinfo=UTC)
    assert session.raw["updatedAt"] == "2099-01-01T00:00:00.000Z"


def test_load_json__numbers_that_no_database_holds() -> None:
    """Numbers that are none, or longer than any use, become marked text."""
    value = load_json(b'{"a": NaN, "b": -Infinity, "c": ' + b"9" * 5000 + b', "d": 1e999, "e": 12}')
    assert clean_json(value) == {
        "a": "[NaN]",
        "b": "[-Infinity]",
        "c": "[number of 5000 digits]",
        "d": "[inf]",
        "e": 12,
    }


def test_parse_session__client_that_is_a_huge_number() -> None:
    """Two such clients do not become one: what is left of the number tells neither."""
    body = b'{"id": "a", "clientId": ' + b"9" * 401 + b', "outcome": NaN}'
    session = parse_session(load_json(body), session_id="a")
    assert (session.client_id, session.outcome) == ("", "")
    assert session.raw == {"id": "a", "clientId": "[number of 401 digits]", "outcome": "[NaN]"}


def test_clean_json__depth() -> None:
    """What is nested deeper than every database takes is cut, with a mark."""
    value: Any = "deep"
    for _ in range(200):
        value = [value]
    text = json.dumps(clean_json(value))
    assert "cut: nested deeper than 30 levels" in text
    assert text.count("[") == 31


def test_clean_json__text() -> None:
    """NUL and lone surrogates are replaced in values and keys, all else is kept."""
    assert clean_json({"a\x00": "\ud800x", "é": "😀"}) == {"a\ufffd": "\ufffdx", "é": "😀"}


def test_cut_text__ends_in_a_mark() -> None:
    assert cut_text("x" * 255, 255) == "x" * 255
    assert cut_text("x" * 256, 255) == "x" * 254 + "…"


def test_key_text__stays_distinct() -> None:
    """Long ids with the same beginning do not become one."""
    one, other = key_text("x" * 200 + "1", 128), key_text("x" * 200 + "2", 128)
    assert one != other
    assert len(one) == len(other) == 128


def test_parse_check__result_without_images() -> None:
    """Base64 data and oversized text are cut out with a mark that says so."""
    image, essay = "aGVsbG8h" * 1000, "long words " * 2000
    result = {"outcome": "attention", "breakdown": {"img": image, "note": essay, "ok": "clear"}}
    check = parse_check(check_payload(result=result), check_id=CHECK_IDS[0])
    assert check.outcome == "attention"
    assert check.result is not None
    assert check.result["breakdown"]["img"] == "[cut: base64 data, 8000 characters]"
    assert check.result["breakdown"]["note"].endswith("[cut: 22000 characters in all]")
    assert check.result["breakdown"]["ok"] == "clear"
    assert without_oversized_text("data:image/png;base64," + image).startswith("[cut: base64")


@pytest.mark.parametrize(
    "result", [None, "clear", [], 3, {"outcome": None}, {"outcome": ["clear"]}]
)
def test_parse_check__odd_result(result: object) -> None:
    """A result of another shape gives no outcome, which is never clear."""
    check = parse_check(check_payload(result=result), check_id=CHECK_IDS[0])
    assert check.outcome == ""


def test_pages__one_bad_item_costs_one_item() -> None:
    """Items without an id that can be used are named, the others are read."""
    items = [{"id": "good"}, None, {"id": "a/b"}, {}, {"id": 7}, {"id": "fine", "updatedAt": 3}]
    page = parse_session_page({"totalItems": 6, "pages": 1, "items": items}, answered_at=NOW)
    assert [item.id for item in page.items] == ["good", "fine"]
    assert len(page.unreadable) == 4
    checks = parse_check_page({"totalItems": 6, "items": items}, answered_at=NOW)
    assert [check.id for check in checks.items] == ["good", "fine"]
    assert checks.items[0].result is None


@pytest.mark.parametrize(
    "envelope", [{"totalItems": 0}, {"totalItems": 0, "items": None, "pages": 0}]
)
def test_pages__empty(envelope: dict[str, Any]) -> None:
    """``items`` may be missing where there are none."""
    page = parse_session_page(envelope)
    assert (page.items, page.total_items, page.pages) == ((), 0, 0)


@pytest.mark.parametrize("data", [{"id": "x"}, None, [], "text", 5])
def test_parse_check__not_the_check(data: object) -> None:
    with pytest.raises(ComplyCubePayloadError, match=CHECK_IDS[0]):
        parse_check(data, check_id=CHECK_IDS[0])


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
