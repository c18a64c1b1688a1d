"""What a caller can change in the sandbox, and who is told of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from project.sandbox import API_KEY, events
from project.sandbox.loading import load
from project.sandbox.models import SandboxCheck, SandboxSession, SandboxWebhook

pytestmark = pytest.mark.django_db

COUNT = 40
HOOK = {"url": "https://receiver.example/hook", "enabled": True, "events": ["*"]}
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask() -> Ask:
    """Send a request to a filled sandbox and return the status and the JSON of the answer."""
    load(COUNT)
    client = Client(headers={"authorization": API_KEY})

    def ask(method: str, path: str, sent: object = None, **query: object) -> tuple[int, Any]:
        text = "" if sent is None else json.dumps(sent)
        response = client.generic(
            method, f"/sandbox/v1/{path}", text, "application/json", query_params=query
        )
        return response.status_code, response.json() if response.content else None

    return ask


@pytest.fixture
def sent(
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> Callable[[Callable[[], Any]], list[dict[str, Any]]]:
    """Return what runs a change and returns the events that its webhooks get."""

    def run(change: Callable[[], Any]) -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []
        monkeypatch.setattr(events, "_start", lambda all_: got.extend(event for *_, event in all_))
        with django_capture_on_commit_callbacks(execute=True):
            change()
        return got

    return run


def check_of(outcome: str, *, screening: bool) -> dict[str, Any]:
    rows = SandboxCheck.objects.filter(outcome=outcome)
    kind = {"type__contains": "screening"}
    rows = rows.filter(**kind) if screening else rows.exclude(**kind)
    found = rows.order_by("pk").values_list("body", flat=True)[0]
    body: dict[str, Any] = json.loads(found)
    return body


def screening(ask: Ask, *validations: str) -> tuple[str, list[str]]:
    """Return a screening in need of attention whose matches are so many, all undecided, and their ids."""
    check = check_of("attention", screening=True)
    ids = [f"{number:024x}" for number in range(len(validations))]
    check["result"]["breakdown"]["matches"] = [
        {"id": pk, "name": "x", "validation": word}
        for pk, word in zip(ids, validations, strict=True)
    ]
    SandboxCheck.from_body(check).save()
    return check["id"], ids


@pytest.mark.parametrize(
    ("validation", "outcome"),
    [("confirmed", "clear"), ("rejected", "rejected"), ("attention", "attention")],
)
def test_validate__other_types(ask: Ask, validation: str, outcome: str) -> None:
    """A confirmed check is clear, a rejected one rejected; later answers say so, with a later time."""
    check = check_of("attention", screening=False)
    status, answer = ask("POST", f"checks/{check['id']}/validate", {"outcome": validation})
    assert (status, answer) == (200, {"outcome": outcome})
    after = ask("GET", f"checks/{check['id']}")[1]
    assert after["result"] == {**check["result"], "outcome": outcome}
    assert after["updatedAt"] > check["updatedAt"]
    listed = ask("GET", "checks", clientId=check["clientId"], updatedAfter=check["updatedAt"])[1]
    (item,) = [item for item in listed["items"] if item["id"] == check["id"]]
    assert item["result"] == {"outcome": outcome}


@pytest.mark.parametrize(
    ("before", "validation", "outcome"),
    [
        (["pending"], "rejected", "clear"),
        (["rejected", "pending"], "rejected", "clear"),
        (["pending", "pending"], "rejected", "attention"),
        (["rejected", "pending"], "confirmed", "match_confirmed"),
        (["confirmed", "pending"], "rejected", "match_confirmed"),
        (["rejected", "pending"], "attention", "attention"),
    ],
)
def test_validate__matches(ask: Ask, before: list[str], validation: str, outcome: str) -> None:
    """A screening is clear when every match is dismissed, and a hit when one is confirmed."""
    check_id, ids = screening(ask, *before)
    body = {"outcome": validation, "matchId": ids[-1], "comment": "Not the same person."}
    assert ask("POST", f"checks/{check_id}/validate", body) == (200, {"outcome": outcome})
    result = ask("GET", f"checks/{check_id}")[1]["result"]
    assert result["outcome"] == outcome
    found = [match["validation"] for match in result["breakdown"]["matches"]]
    assert found == [*before[:-1], validation]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "outcome"),
        ({"outcome": "pending"}, "outcome"),
        ({"outcome": ["confirmed"]}, "outcome"),
        ({"outcome": "confirmed"}, "matchId"),
        ({"outcome": "confirmed", "matchId": "nobody"}, "matchId"),
        ({"outcome": "confirmed", "matchId": "0" * 24, "comment": "x" * 4001}, "comment"),
    ],
)
def test_validate__refused(ask: Ask, body: dict[str, Any], param: str) -> None:
    """What the documentation does not allow is refused with the argument at fault, and changes nothing."""
    check_id, _ids = screening(ask, "pending")
    before = ask("GET", f"checks/{check_id}")
    status, answer = ask("POST", f"checks/{check_id}/validate", body)
    assert (status, answer["type"], answer["param"]) == (400, "invalid_request", param)
    assert ask("GET", f"checks/{check_id}") == before


def test_validate__not_complete_unknown_and_broken(ask: Ask) -> None:
    """A check that runs, one that nobody knows and a body that is no JSON are the API's errors."""
    running = SandboxCheck.objects.filter(status="pending")[0].pk
    path = f"checks/{running}/validate"
    assert ask("POST", path, {"outcome": "confirmed"})[0] == 400
    assert ask("POST", "checks/nobody/validate", {"outcome": "confirmed"})[0] == 404
    assert ask("POST", path, [])[1]["message"] == "The body is not a JSON object"
    client = Client(headers={"authorization": API_KEY})
    for text in (b"{", b"\xff", b"[" * 50_000):
        broken = client.post(f"/sandbox/v1/{path}", text, content_type="application/json")
        assert (broken.status_code, broken.json()["type"]) == (400, "invalid_request")


def test_validate__session_follows(ask: Ask) -> None:
    """When its last open check is clear, so is the session, and its policies are met."""
    session = next(
        body
        for text in SandboxSession.objects.filter(outcome="attention").values_list(
            "body", flat=True
        )
        if (body := json.loads(text))["policyAssurance"][0]["outcome"] != "met"
        and not SandboxCheck.objects.filter(pk__in=ids_of(body)).exclude(status="complete").exists()
    )
    for check_id in ids_of(session):
        check = ask("GET", f"checks/{check_id}")[1]
        matches = check["result"]["breakdown"].get("matches", [])
        if "screening" in check["type"]:
            for match in matches:
                body = {"outcome": "rejected", "matchId": match["id"]}
                assert ask("POST", f"checks/{check_id}/validate", body)[0] == 200
        elif check["result"]["outcome"] != "clear":
            assert ask("POST", f"checks/{check_id}/validate", {"outcome": "confirmed"})[0] == 200
    after = ask("GET", f"workflowSessions/{session['id']}")[1]
    assert (after["status"], after["outcome"]) == ("complete", "clear")
    assert {policy["outcome"] for policy in after["policyAssurance"]} == {"clear"}
    assert {task["outcome"] for task in after["tasks"] if "outcome" in task} == {"clear"}
    assert after["updatedAt"] > session["updatedAt"]


def ids_of(session: dict[str, Any]) -> list[str]:
    return [check["checkId"] for check in session["allRelatedChecks"]]


def test_audit_logs__who_decided(ask: Ask) -> None:
    """A validation is in the log of its check; what people decided earlier names the team member."""
    check_id, ids = screening(ask, "pending")
    body = {"outcome": "confirmed", "matchId": ids[0]}
    ask("POST", f"checks/{check_id}/validate", body)
    found = ask("GET", "auditLogs", resourceType="check", resourceId=check_id)[1]
    entry = found["items"][0]
    assert found["totalItems"] == 1
    assert ask("GET", f"auditLogs/{entry['id']}") == (200, entry)
    assert (entry["trigger"], entry["action"]) == ("validateCheck", "update")
    assert "memberId" not in entry
    assert entry["diff"] == [
        {
            "action": "update",
            "path": ["result", "breakdown", "matches", 0, "validation"],
            "old": "pending",
            "new": "confirmed",
        },
        {
            "action": "update",
            "path": ["result", "outcome"],
            "old": "attention",
            "new": "match_confirmed",
        },
    ]
    earlier = ask("GET", "auditLogs", trigger="validateCheck", pageSize=1000)[1]["items"]
    assert all(item["memberId"] for item in earlier if item["id"] != entry["id"])
    assert len(earlier) > 1
    assert ask("GET", "auditLogs", resouceType="check")[1]["totalItems"] == 0


def test_audit_logs__pages(ask: Ask) -> None:
    """The log has pages, newest first, and none of it is told to who has no key."""
    first = ask("GET", "auditLogs", pageSize=10)[1]
    times = [item["createdAt"] for item in first["items"]]
    assert (len(times), first["page"]) == (10, 1)
    assert times == sorted(times, reverse=True)
    assert first["totalItems"] > COUNT
    assert Client().get("/sandbox/v1/auditLogs").status_code == 401


def test_events__of_a_validation(ask: Ask, sent: Callable[..., list[dict[str, Any]]]) -> None:
    """The webhooks get the check's events with its outcome, and the session's when its outcome moved."""
    ask("POST", "webhooks", HOOK)
    check_id, ids = screening(ask, "pending")
    body = {"outcome": "confirmed", "matchId": ids[0]}
    got = sent(lambda: ask("POST", f"checks/{check_id}/validate", body))
    assert [event["type"] for event in got] == [
        "check.updated",
        "check.completed.match_confirmed",
        "workflow.session.updated",
    ]
    assert got[0]["payload"]["id"] == check_id
    assert got[0]["payload"]["outcome"] == "match_confirmed"
    assert got[2]["payload"]["outcome"] == "match_confirmed"


@pytest.mark.parametrize(
    ("action", "status"), [("complete", "processing"), ("cancel", "cancelled")]
)
def test_events__of_a_session(
    ask: Ask, sent: Callable[..., list[dict[str, Any]]], action: str, status: str
) -> None:
    """A session that was moved on is told to those webhooks that ask for it, and is in the log."""
    ask("POST", "webhooks", {**HOOK, "events": [f"workflow.session.{status}"]})
    ask("POST", "webhooks", {**HOOK, "enabled": False})
    ask("POST", "webhooks", {**HOOK, "events": ["client.created"]})
    session_id = SandboxSession.objects.filter(status="started")[0].pk
    got = sent(lambda: ask("POST", f"workflowSessions/{session_id}/{action}"))
    assert [event["type"] for event in got] == [f"workflow.session.{status}"]
    assert got[0]["payload"]["id"] == session_id
    log = ask("GET", "auditLogs", resourceType="workflowSession", resourceId=session_id)[1]
    assert log["items"][0]["trigger"] == f"{action}WorkflowSession"


def test_clients__are_those_of_the_sessions(ask: Ask) -> None:
    """Each session has its client, who can be changed and deleted."""
    ids = set(SandboxSession.objects.values_list("client_id", flat=True))
    listed = ask("GET", "clients", pageSize=1000)[1]
    assert {item["id"] for item in listed["items"]} == ids
    one = listed["items"][0]
    assert ask("GET", f"clients/{one['id']}") == (200, one)
    changed = ask("POST", f"clients/{one['id']}", {"email": "new@example.org"})[1]
    assert changed == {**one, "email": "new@example.org", "updatedAt": changed["updatedAt"]}
    assert ask("GET", "clients", email="new@example.org")[1]["items"] == [changed]
    assert ask("DELETE", f"clients/{one['id']}") == (204, None)
    assert ask("GET", f"clients/{one['id']}")[1]["message"] == f"Invalid client id '{one['id']}'"


def test_clients__documented_refusal(ask: Ask) -> None:
    """A person without details is the error of the vendor's page."""
    assert ask("POST", "clients", {"type": "person", "email": "a@example.org"}) == (
        400,
        {
            "type": "invalid_request",
            "message": "'personDetails' must be provided when client type is `person`",
            "param": "personDetails",
        },
    )
    person = {"type": "person", "email": "a@example.org", "personDetails": ["Ann"]}
    assert ask("POST", "clients", person)[1]["param"] == "personDetails"
    made = {"type": "company", "email": "a@example.org", "companyDetails": {"name": "Quill & Co"}}
    status, client = ask("POST", "clients/", made)
    assert (status, client["entityName"]) == (200, "Quill & Co")


def test_webhooks__secret_is_told_once(ask: Ask) -> None:
    """A webhook is made, listed, changed and deleted; its secret stands in the first answer alone."""
    status, made = ask("POST", "webhooks", {**HOOK, "description": "Mine"})
    secret = made.pop("secret")
    assert (status, len(secret)) == (200, 32)
    assert ask("GET", f"webhooks/{made['id']}") == (200, made)
    assert ask("GET", "webhooks", enabled="true")[1]["items"] == [made]
    # As the vendor's Python package writes a boolean, which the API does not understand.
    assert ask("GET", "webhooks", enabled="True")[1]["items"] == []
    changed = ask("POST", f"webhooks/{made['id']}", {"enabled": False})[1]
    assert changed == {**made, "enabled": False, "updatedAt": changed["updatedAt"]}
    assert SandboxWebhook.objects.get().secret == secret
    assert ask("DELETE", f"webhooks/{made['id']}") == (204, None)
    assert ask("GET", f"webhooks/{made['id']}")[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://receiver.example/"},
        {"url": "//["},
        {"url": None},
        {"enabled": "yes"},
        {"events": ["check.completed", 7]},
    ],
)
def test_webhooks__refused(ask: Ask, wrong: dict[str, Any]) -> None:
    """An address without TLS, and values of a wrong type, are no webhook."""
    status, answer = ask("POST", "webhooks", {**HOOK, **wrong})
    assert (status, answer["param"]) == (400, next(iter(wrong)))


def test_webhooks__at_most_twenty(ask: Ask) -> None:
    """The vendor allows twenty."""
    found = [ask("POST", "webhooks", HOOK)[0] for _ in range(21)]
    assert found == [200] * 20 + [400]


@pytest.mark.parametrize("slash", ["", "/"])
def test_reports__of_clients_and_checks(ask: Ask, slash: str) -> None:
    """A report of a client or a check comes as base64 in the answer, with its type."""
    check = check_of("attention", screening=False)
    for query in ({"checkId": check["id"]}, {"clientId": check["clientId"]}):
        status, answer = ask("GET", f"reports{slash}", **query)
        assert (status, answer["contentType"]) == (200, "application/pdf")
        content = base64.b64decode(answer["data"], validate=True)
        assert content.startswith(b"%PDF-")
        assert check["id"].encode() in content
    session_id = SandboxSession.objects.all()[0].pk
    assert set(ask("GET", f"reports{slash}", workflowSessionId=session_id)[1]) == {"data"}
    assert ask("GET", f"reports{slash}", checkId="nobody")[0] == 404
    assert ask("GET", f"reports{slash}", clientId="nobody")[0] == 404


def test_load__fills_what_an_older_sandbox_lacks(ask: Ask) -> None:
    """A sandbox that has sessions alone gets its clients; a client who was deleted stays away."""
    from project.sandbox.models import SandboxAuditLog, SandboxClient

    SandboxClient.objects.all().delete()
    SandboxAuditLog.objects.all().delete()
    load(COUNT)
    assert SandboxClient.objects.count() > COUNT // 2
    assert SandboxAuditLog.objects.count() > COUNT
    gone = SandboxClient.objects.all()[0].pk
    ask("DELETE", f"clients/{gone}")
    load(COUNT)
    assert not SandboxClient.objects.filter(pk=gone).exists()
