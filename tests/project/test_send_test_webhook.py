from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
import responses
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import Settings
from requests import PreparedRequest

from complycube_sessions.models import WebhookEvent
from project.sandbox import samples
from project.sandbox.loading import load
from project.sandbox.models import SandboxCheck, SandboxClient, SandboxSession
from tests.builders import vendor_example
from tests.fake_api import KEY
from tests.webhook_requests import SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site(settings: Settings, mocked: responses.RequestsMock) -> None:
    """Let requests to the demo site reach the receiver in this process."""
    settings.DEMO_PORT = 8000
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": [SECRET]}}
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        signed = {"ComplyCube-Signature": request.headers["ComplyCube-Signature"]}
        sent: Any = request.body
        response = Client().post(
            str(request.path_url), sent, content_type="application/json", headers=signed
        )
        return response.status_code, {}, response.content

    mocked.add_callback(
        responses.POST, "http://127.0.0.1:8000/complycube/webhook/default/", callback=answer
    )


def send(*args: Any, **options: Any) -> str:
    out = StringIO()
    call_command("send_test_webhook", *args, stdout=out, **options)
    return out.getvalue()


def test_send_test_webhook__signs_and_sends() -> None:
    """A real event of a sandbox session arrives at the receiver; a repeat changes nothing."""
    row = SandboxSession.from_body(vendor_example())
    row.save()
    assert send(repeat=2) == f"workflow.session.updated of {row.pk}: answered 200.\n" * 2
    event = WebhookEvent.objects.get()
    assert (event.type, event.resource_id) == ("workflow.session.updated", row.pk)


def test_send_test_webhook__each_type() -> None:
    """Each type tells what the vendor tells with it: a check's id and outcome, and never a session's."""
    load()
    for event_type in samples.TYPES:
        assert_as_the_vendor_tells(event_type)


def assert_as_the_vendor_tells(event_type: str) -> None:
    event = samples.sample_event(event_type)
    payload = event["payload"]
    family, _, state = event_type.partition(".")
    if family == "check":
        check = SandboxCheck.objects.get(pk=payload["id"])
        assert event["resourceType"] == "check"
        assert payload["status"] == check.status
        assert payload.get("outcome", "") == check.outcome
        assert (check.status == "complete") == ("outcome" in payload)
        words = state.split(".")
        assert check.outcome == words[1] if len(words) > 1 else True
    elif family == "workflow":
        session = SandboxSession.objects.get(pk=payload["id"])
        assert event["resourceType"] == "workflowSession"
        assert (payload["status"], payload.get("outcome", "")) == (session.status, session.outcome)
    elif family == "client":
        assert SandboxClient.objects.filter(pk=payload["id"]).exists()
        assert (set(payload) == {"id"}) == (state == "deleted")
    else:
        assert event["resourceType"] == family
        assert set(payload) == {"id"}


def test_send_test_webhook__check_of_a_session() -> None:
    """With a session, the event is one of its checks."""
    load()
    session = SandboxSession.objects.filter(status="complete", outcome="attention")[0]
    wanted = {check["checkId"] for check in json.loads(session.body)["allRelatedChecks"]}
    out = send(session.pk, event_type="check.completed")
    assert WebhookEvent.objects.get().resource_id in wanted
    assert out.startswith("check.completed of ")
    assert WebhookEvent.objects.get().outcome
    with pytest.raises(CommandError, match=r"of the session .* could have the event check.failed"):
        send(session.pk, event_type="check.failed")
    with pytest.raises(CommandError, match="Known are"):
        send(event_type="check.nonsense")


def test_send_test_webhook__refused(settings: Settings) -> None:
    """A refusal, a missing secret and a missing session are told."""
    with pytest.raises(CommandError, match="no such session"):
        send()
    SandboxSession.from_body(vendor_example()).save()
    with pytest.raises(CommandError, match="does not answer"):
        send(url="http://127.0.0.1:1/")
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY}}
    with pytest.raises(CommandError, match="COMPLYCUBE_WEBHOOK_SECRET"):
        send()
