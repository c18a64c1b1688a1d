from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import DatabaseError
from django.test import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django import Settings

from complycube_sessions import tracing
from complycube_sessions.api.http import route_of
from complycube_sessions.exceptions import ComplyCubeNotFoundError
from complycube_sessions.services import (
    process_webhook_events,
    refresh_session,
    refresh_sessions,
)
from complycube_sessions.testing import signed_webhook
from tests.builders import UNKNOWN_ID
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Record the spans of this test alone: the provider of a process can be set only once."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def everything(exporter: InMemorySpanExporter) -> str:
    return "".join(span.to_json() for span in exporter.get_finished_spans())


def test_spans__of_a_run(spans: InMemorySpanExporter, api: FakeAPI) -> None:
    """A run is one trace, threads included: fetches in it, requests in them, batches beside; no id and no name."""
    session_id = api.add_session(1)
    refresh_sessions()
    (run,) = named(spans, "complycube.refresh")
    assert run.attributes
    assert run.parent is None
    assert run.attributes["complycube.account"] == "default"
    assert run.attributes["complycube.state"] == "succeeded"
    assert run.attributes["complycube.fetched"] == 1
    (fetch,) = named(spans, "complycube.fetch_session")
    (request,) = named(spans, "GET /workflowSessions/{id}")
    (store,) = named(spans, "complycube.store")
    assert fetch.parent == store.parent == run.context
    assert request.parent == fetch.context
    assert request.kind is trace.SpanKind.CLIENT
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "/workflowSessions/{id}",
        "server.address": "api.complycube.com",
        "complycube.account": "default",
        "http.response.status_code": 200,
    }
    session = api.sessions[session_id]
    for word in (session_id, session["clientId"], session["entityName"], KEY):
        assert word not in everything(spans)


def test_spans__of_an_error(spans: InMemorySpanExporter, api: FakeAPI) -> None:
    """An error is told by its class: its text names the session."""
    with pytest.raises(ComplyCubeNotFoundError):
        refresh_session(UNKNOWN_ID)
    (span,) = named(spans, "complycube.refresh_session")
    assert dict(span.attributes or {}) == {"error.type": "ComplyCubeNotFoundError"}
    assert span.status.status_code is trace.StatusCode.ERROR
    assert UNKNOWN_ID not in everything(spans)


def test_spans__of_a_webhook_event(
    spans: InMemorySpanExporter, api: FakeAPI, client: Client, settings: Settings
) -> None:
    """An event that came has a span, and so has the processing of the inbox."""
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": ["secret"]}}
    session_id = api.add_session(1)
    client.post(**signed_webhook({"payload": {"id": session_id}}, "secret"))
    process_webhook_events()
    (event,) = named(spans, "complycube.webhook_event")
    (processing,) = named(spans, "complycube.process_events")
    assert json.loads(event.to_json())["attributes"] == {
        "complycube.account": "default",
        "complycube.event_type": "workflow.session.completed",
    }
    assert processing.attributes
    assert processing.attributes["complycube.taken"] == 1
    assert session_id not in everything(spans)


def test_spans__without_the_package(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the package is missing, nothing is wrapped: the same job, the same function, no span."""
    monkeypatch.setattr(tracing, "IS_TRACED", False)

    def job() -> int:
        raise DatabaseError

    assert tracing.carried(job) is job
    assert tracing.traced("name")(job) is job
    assert tracing.span("one") is tracing.span("two", {"a": 1}, is_client=True)
    with tracing.span("one"):
        tracing.note({"a": 1})
    assert spans.get_finished_spans() == ()


def test_route__without_ids() -> None:
    """An address is told by its template."""
    assert route_of("/workflowSessions?page=1&clientId=5eb1") == "/workflowSessions"
    assert route_of("/checks/5eb1/validate") == "/checks/{id}/validate"
    assert route_of("/reports/?workflowSessionId=5eb1") == "/reports"
