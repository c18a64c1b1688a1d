"""The vendor's Python package against the sandbox: it finds there what it expects of the vendor."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from project.sandbox import API_KEY
from project.sandbox.deliver import build_event
from project.sandbox.models import SandboxCheck, SandboxSession
from tests.vendor_packages.conftest import SESSIONS

pytestmark = pytest.mark.django_db(transaction=True)

# It has no types.
ComplyCubeAPIError: Any = import_module("complycube.error").ComplyCubeAPIError
EventVerifier: Any = import_module("complycube.eventverifier").EventVerifier


@pytest.fixture
def client(sandbox: str) -> Iterator[Any]:
    client = import_module("complycube").ComplyCubeClient(api_key=API_KEY)
    client.base_url = sandbox
    yield client
    client.client_session.close()


def screening_with_a_match() -> dict[str, Any]:
    rows = SandboxCheck.objects.filter(outcome="attention", type__contains="screening")
    bodies = [json.loads(body) for body in rows.values_list("body", flat=True)]
    return next(body for body in bodies if body["result"]["breakdown"].get("matches"))


def test_python__sessions(client: Any) -> None:
    """Lists, pages that follow each other by themselves, one session, complete, and the error of an unknown id."""
    listed = client.workflow_sessions.list(pageSize=10)
    assert (len(listed), listed.total_items, listed.pages) == (10, SESSIONS + 1, 13)
    everything = [session.id for session in client.workflow_sessions.auto_list()]
    assert set(everything) == set(SandboxSession.objects.values_list("pk", flat=True))
    assert len(everything) == SESSIONS + 1
    started = next(iter(client.workflow_sessions.list(status="started"))).id
    assert client.workflow_sessions.complete(started).status == "processing"
    session = client.workflow_sessions.get(started)
    assert session.status == "processing"
    assert session.all_related_checks[0].check_id
    with pytest.raises(ComplyCubeAPIError, match="Invalid workflow session id 'nobody'"):
        client.workflow_sessions.get("nobody")


def test_python__checks(client: Any) -> None:
    """Lists by nested filters, one check, and the validation of a document and of a match."""
    found = list(client.checks.auto_list(result={"outcome": "attention"}))
    assert found
    assert {check.result.outcome for check in found} == {"attention"}
    document = next(check for check in found if "screening" not in check.type)
    assert client.checks.validate(document.id, outcome="confirmed").outcome == "clear"
    assert client.checks.get(document.id).result.outcome == "clear"
    screening = screening_with_a_match()
    match = screening["result"]["breakdown"]["matches"][0]["id"]
    outcome = client.checks.validate(screening["id"], outcome="confirmed", matchId=match).outcome
    assert outcome == "match_confirmed"
    with pytest.raises(ComplyCubeAPIError, match="matchId"):
        client.checks.validate(screening["id"], outcome="confirmed")


def test_python__audit_logs(client: Any) -> None:
    """What was decided is in the log, by filter and by id."""
    screening = screening_with_a_match()
    match = screening["result"]["breakdown"]["matches"][0]["id"]
    client.checks.validate(screening["id"], outcome="rejected", matchId=match)
    (entry,) = client.auditlogs.list(resourceType="check", resourceId=screening["id"])
    assert (entry.trigger, entry.action) == ("validateCheck", "update")
    one = client.auditlogs.get(entry.id)
    assert one.resource_id == screening["id"]
    assert one.diff[0].new == "rejected"
    assert one.member_id is None
    assert len(list(client.auditlogs.auto_list())) > SESSIONS


def test_python__clients(client: Any) -> None:
    """Clients are made, changed, listed and deleted."""
    details = {"firstName": "Amelia", "lastName": "Whitcombe"}
    made = client.clients.create("person", "amelia@example.org", personDetails=details)
    assert (made.entity_name, made.person_details.first_name) == ("Amelia Whitcombe", "Amelia")
    assert client.clients.update(made.id, mobile="+440000").mobile == "+440000"
    assert client.clients.get(made.id).mobile == "+440000"
    assert made.id in {found.id for found in client.clients.auto_list(pageSize=50)}
    assert client.clients.delete(made.id) == (None, 204)
    with pytest.raises(ComplyCubeAPIError, match="Invalid client id"):
        client.clients.get(made.id)


def test_python__webhooks(client: Any) -> None:
    """Webhooks are made with their secret, which verifies what the sandbox signs, and deleted."""
    made = client.webhooks.create("https://receiver.example/", True, ["*"], description="Mine")
    assert len(made.secret) == 32
    assert [hook.id for hook in client.webhooks.list()] == [made.id]
    assert not hasattr(next(iter(client.webhooks.list())), "secret")
    assert client.webhooks.update(made.id, enabled=False).enabled is False
    body = json.dumps(build_event("check.updated", {"id": "c"})).encode()
    signature = hmac.new(made.secret.encode(), body, hashlib.sha256).hexdigest()
    event = EventVerifier(made.secret).construct_event(body, signature)
    assert (event.type, event.payload.id) == ("check.updated", "c")
    assert client.webhooks.delete(made.id) == (None, 204)
    assert len(client.webhooks.list()) == 0


def test_python__reports(client: Any) -> None:
    """Reports of a client and of a check come as base64."""
    check = next(iter(client.checks.list(status="complete")))
    for report in (
        client.reports.generate_check_report(check["id"] if isinstance(check, dict) else check.id),
        client.reports.generate_client_report(check.client_id),
    ):
        assert report.content_type == "application/pdf"
        assert base64.b64decode(report.data).startswith(b"%PDF-")
