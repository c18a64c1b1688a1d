from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from complycube_sessions.api.payloads import (
    parse_check,
    parse_check_page,
    parse_session,
    parse_session_page,
)
from complycube_sessions.api.storable_json import clean_json, load_json
from complycube_sessions.api.values import parse_time
from complycube_sessions.conf import get_account
from complycube_sessions.exceptions import ComplyCubePayloadError
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.models import RelatedCheck, SessionChange, WorkflowSession
from tests.builders import by_hand
from tests.examples import examples

SESSION_ID, CHECK_ID = "5eb2b61e02df0a0008f1cf2a", "5eb2b61e02df0a0008f1cf2b"
FETCHED_AT = datetime(2026, 3, 1, tzinfo=UTC)
modest = settings(
    max_examples=examples(20, 400),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
storing = settings(modest, max_examples=examples(10, 80))

texts = st.text(st.characters(exclude_categories=[])) | st.sampled_from(
    ["\x00", "\ud800", "clear", "2025-01-01T14:06:91.913Z", "2026-01-01T00:00:00.000Z", "x" * 300]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | texts
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)
FIELDS = (
    "clientId",
    "entityName",
    "status",
    "outcome",
    "workflowTemplateId",
    "workflowTemplateName",
    "workflowTemplateDescription",
    "workflowId",
    "workflowVersion",
    "workflowDescription",
    "compliancePolicies",
    "policyAssurance",
    "tasks",
    "lastCompletedTaskId",
    "allRelatedChecks",
    "createdAt",
    "completedAt",
    "updatedAt",
    "type",
    "result",
)
related = st.lists(
    st.fixed_dictionaries(
        {}, optional={"checkId": values | st.just(CHECK_ID), "type": values, "taskId": values}
    )
    | values,
    max_size=4,
)
objects = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(FIELDS, values), "allRelatedChecks": values | related}
)


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def sessions(source: Any) -> Any:
    return parse_session(source, session_id=SESSION_ID)


def checks(source: Any) -> Any:
    return parse_check(source, check_id=CHECK_ID)


@modest
@given(
    st.binary() | texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | values.map(body)
)
@pytest.mark.parametrize("parse", [sessions, checks, parse_session_page, parse_check_page])
def test_parse__any_bytes(parse: Callable[[Any], Any], content: bytes) -> None:
    """Whatever comes is a payload or a named payload error, nothing else."""
    try:
        parse(load_json(content))
    except ComplyCubePayloadError as error:
        assert str(error)  # noqa: PT017 - either way is right


@modest
@given(st.lists(objects | values, max_size=5), values, values, values)
def test_parse__any_page(items: list[Any], page: Any, pages: Any, total: Any) -> None:
    """A page of anything has its items read or named, none passed over."""
    content = {"items": items, "page": page, "pages": pages, "totalItems": total}
    for parse in (parse_session_page, parse_check_page):
        try:
            found: Any = parse(load_json(body(content)))
        except ComplyCubePayloadError:
            continue
        assert len(found.items) + len(found.unreadable) <= len(items)
        assert bool(items) == bool(found.items or found.unreadable)


@modest
@given(objects)
def test_parse_session__fits_its_columns(source: dict[str, Any]) -> None:
    """Every value of a session fits the column that it goes to, and its id is the one asked for."""
    payload = sessions(load_json(body({**source, "id": SESSION_ID})))

    row = WorkflowSession(
        account="default",
        fetched_at=FETCHED_AT,
        **{
            f.name: getattr(payload, f.name)
            for f in WorkflowSession._meta.concrete_fields
            if hasattr(payload, f.name)
        },
    )
    row.clean_fields()
    assert payload.id == SESSION_ID
    names = [reference.check_id for reference in payload.related_checks]
    assert len(names) == len(set(names))
    assert all(0 < len(name) <= 128 for name in names)


@modest
@given(values)
def test_clean_json__twice_is_once(value: Any) -> None:
    """What was made storable stays as it is, and can be written and read as strict JSON."""
    cleaned = clean_json(load_json(body(value)))

    assert clean_json(cleaned) == cleaned
    text = json.dumps(cleaned, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode("utf-8")) == cleaned
    assert "\x00" not in text


@storing
@given(objects, objects)
@pytest.mark.django_db
def test_store__whatever_was_parsed(source: dict[str, Any], check: dict[str, Any]) -> None:
    """All that the parser lets through the database takes, reads back equal, and keeps unchanged."""
    named = [{"checkId": CHECK_ID, "type": "document_check", "taskId": "1"}]
    session = sessions(
        load_json(body({**source, "id": SESSION_ID, "allRelatedChecks": named, "status": "x"}))
    )
    found = checks(load_json(body({**check, "id": CHECK_ID})))
    copy = FetchedSession(SESSION_ID, session, FETCHED_AT, (FetchedCheck(found, FETCHED_AT),))
    with by_hand():
        WorkflowSession.objects.all().delete()

    first = store_batch(get_account(), [copy])
    row, stored = WorkflowSession.objects.get(), RelatedCheck.objects.get()
    again = store_batch(get_account(), [copy])

    assert first.failed == again.failed == {}
    for field in ("raw", "tasks", "entity_name", "outcome", "workflow_version", "updated_at"):
        assert getattr(row, field) == getattr(session, field), field
    assert (stored.outcome, stored.result) == (found.outcome, found.result)
    assert again.effects == {SESSION_ID: "unchanged"}
    assert not SessionChange.objects.exists()


@modest
@given(texts | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat()))
def test_parse_time__any_text(text: str) -> None:
    """A text is an aware time in UTC that every database holds, or no time."""
    time = parse_time(text)

    assert time is None or time.utcoffset() is not None
    if time is not None:
        assert time.tzinfo is UTC
        assert 1900 <= time.year < 9999
