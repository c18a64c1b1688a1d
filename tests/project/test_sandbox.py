from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from project.sandbox import API_KEY, data, example
from project.sandbox.models import LIST_FIELDS, SandboxCheck, SandboxSession
from project.sandbox.report import report_pdf

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = 60
STORIES = [(example.SESSION, example.checks()), *data.generate(COUNT, "tests", NOW)]
EXAMPLE_ID = "5eb2b61e02df0a0008f1cf2a"
# As the vendor prints it, and not read from the sandbox's own copy of it.
EXAMPLE = json.loads("""
{"id": "5eb2b61e02df0a0008f1cf2a", "clientId": "5eb1276d96be4a0008713af5", "entityName": "John Doe", "status": "complete",
 "workflowTemplateId": "68566be2a37a78622f4f7be3", "workflowId": "68566be3a37a78622f4f7be7",
 "workflowTemplateName": "AML + Liveness + Document Verification flow", "workflowVersion": 1, "workflowDescription": "Initial version",
 "compliancePolicies": [], "tasks": [], "lastCompletedTaskId": "task_id_123",
 "allRelatedChecks": [{"checkId": "689c78f619987c0002774921", "type": "document_check", "taskId": "..."},
                      {"checkId": "689c78f619987c0002774922", "type": "identity_check", "taskId": "..."},
                      {"checkId": "689c78f619987c0002774923", "type": "extensive_screening_check", "taskId": "..."}],
 "outcome": "clear", "createdAt": "2025-01-13T11:35:20.592Z", "completedAt": "2025-01-13T11:37:30.124Z",
 "updatedAt": "2025-01-13T11:39:30.124Z", "policyAssurance": []}
""")


class Api:
    """A client of the sandbox that reads JSON."""

    def __init__(self) -> None:
        self.client = Client(headers={"authorization": API_KEY})

    def get(self, path: str, **query: object) -> Any:
        response = self.client.get(f"/sandbox/v1/{path}", query_params=query)
        assert response.status_code == 200, response.content
        return response.json()

    def status_and_body(self, method: str, path: str, **query: object) -> tuple[int, Any]:
        response = self.client.generic(method, f"/sandbox/v1/{path}", query_params=query)
        return response.status_code, response.json()


@pytest.fixture
def api() -> Api:
    SandboxSession.objects.bulk_create(SandboxSession.from_body(body) for body, _ in STORIES)
    SandboxCheck.objects.bulk_create(
        SandboxCheck.from_body(check) for _, checks in STORIES for check in checks
    )
    return Api()


@pytest.mark.parametrize(
    "header", [None, "", "wrong", f"Bearer {API_KEY}", f"{API_KEY}é", "Basic eA=="]
)
@pytest.mark.parametrize(
    "path", ["workflowSessions", f"workflowSessions/{EXAMPLE_ID}", "checks", "x"]
)
def test_authorization__only_the_bare_key_opens(header: str | None, path: str) -> None:
    """Any other Authorization header gets the documented 401."""
    headers = {} if header is None else {"authorization": header}
    response = Client(headers=headers).get(f"/sandbox/v1/{path}")
    assert response.status_code == 401
    assert response.json() == {
        "type": "unauthorized",
        "message": "The 'Authorization' header is invalid",
    }


def test_get_session__is_the_vendors_example(api: Api) -> None:
    """The example session is equal to the vendor's page."""
    assert api.get(f"workflowSessions/{EXAMPLE_ID}") == EXAMPLE


def test_get_session__unknown_id_is_the_vendors_404(api: Api) -> None:
    """An unknown id answers the error of the vendor's page."""
    assert api.status_and_body("GET", "workflowSessions/5eb2b61e02df0a0008f1cf2b") == (
        404,
        {
            "type": "resource_not_found",
            "message": "Invalid workflow session id '5eb2b61e02df0a0008f1cf2b'",
        },
    )


@pytest.mark.parametrize("path", ["workflowSessions", "checks"])
@pytest.mark.parametrize("strange", ["%00", "a" * 3000, "%F0%9F%98%80", "%ff", "..%5C", "%20"])
def test_get__strange_id_is_a_404(api: Api, path: str, strange: str) -> None:
    """An id that cannot be one is unknown, never a fault of the server."""
    status, body = api.status_and_body("GET", f"{path}/{strange}")
    assert (status, body["type"]) == (404, "resource_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing/here"), ("DELETE", f"workflowSessions/{EXAMPLE_ID}"), ("POST", "checks")],
)
def test_unknown_path__is_a_json_404(api: Api, method: str, path: str) -> None:
    """What the sandbox does not have answers the API's error shape."""
    status, body = api.status_and_body(method, path)
    assert (status, body["type"]) == (404, "resource_not_found")


@pytest.mark.parametrize("path", ["workflowSessions", "nothing"])
def test_date__is_in_every_answer(api: Api, path: str) -> None:
    """Each answer, an error too, tells the server's time."""
    response = api.client.get(f"/sandbox/v1/{path}")
    told = parsedate_to_datetime(response["Date"])
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=30)


def test_list_sessions__envelope_order_and_default_page(api: Api) -> None:
    """The newest session comes first, and the envelope counts all."""
    body = api.get("workflowSessions")
    created = [item["createdAt"] for item in body.pop("items")]
    assert body == {"page": 1, "pageSize": 100, "totalItems": COUNT + 1, "pages": 1}
    assert len(created) == COUNT + 1
    assert created == sorted(created, reverse=True)


def test_list_sessions__items_have_the_eleven_fields(api: Api) -> None:
    """A list item is a session without its long fields."""
    item = api.get("workflowSessions", clientId=EXAMPLE["clientId"])["items"][0]
    assert len(LIST_FIELDS) == 11
    assert item == {name: EXAMPLE[name] for name in LIST_FIELDS}


def test_list_sessions__fields_without_value_are_left_out(api: Api) -> None:
    """A session that runs has no outcome, not an empty one."""
    items = api.get("workflowSessions", status="started")["items"]
    assert items
    assert not any("outcome" in item for item in items)


def test_list_sessions__pages_are_disjoint_and_whole(api: Api) -> None:
    """Reading page after page shows each session once, equal creation times or not."""
    moment = "2026-02-01T10:00:00.000Z"
    for session in SandboxSession.objects.all():
        twin = {**json.loads(session.body), "createdAt": moment}
        SandboxSession.from_body(twin).save()
    pages = [api.get("workflowSessions", page=page, pageSize=7) for page in range(1, 10)]
    ids = [item["id"] for page in pages for item in page["items"]]
    assert {page["pages"] for page in pages} == {9}
    assert [len(page["items"]) for page in pages] == [7] * 8 + [5]
    assert len(set(ids)) == len(ids) == COUNT + 1


def test_list_sessions__page_beyond_the_last_is_empty(api: Api) -> None:
    """A page past the end has no items, and still counts them."""
    body = api.get("workflowSessions", page=999_999_999_999)
    assert (body["items"], body["totalItems"]) == ([], COUNT + 1)


@pytest.mark.parametrize("size", [1, 1000])
def test_list_sessions__page_size_within_limits(api: Api, size: int) -> None:
    """From 1 to 1000 sessions come in one page."""
    body = api.get("workflowSessions", pageSize=size)
    assert body["pageSize"] == size
    assert len(body["items"]) == min(size, COUNT + 1)


@pytest.mark.parametrize("param", ["page", "pageSize"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "x", "", "1.5", "9" * 5000, "\N{ARABIC-INDIC DIGIT ONE}"]
)
@pytest.mark.parametrize("path", ["workflowSessions", "checks"])
def test_list__malformed_paging_is_refused(api: Api, path: str, param: str, value: str) -> None:
    """A page or a page size that makes no sense is a 400 that names the parameter."""
    status, body = api.status_and_body("GET", path, **{param: value})
    assert (status, body["type"], body["param"]) == (400, "invalid_request", param)


def test_list_sessions__page_size_over_the_limit_is_refused(api: Api) -> None:
    """More than 1000 a page is not on offer."""
    status, body = api.status_and_body("GET", "workflowSessions", pageSize=1001)
    assert (status, body["param"]) == (400, "pageSize")


@pytest.mark.parametrize("path", ["workflowSessions", "checks"])
@pytest.mark.parametrize("field", ["created", "updated"])
def test_list__windows_are_strict(api: Api, path: str, field: str) -> None:
    """After and before leave out the given moment itself."""
    times = sorted(item[f"{field}At"] for item in api.get(path, pageSize=1000)["items"])
    middle = times[len(times) // 2]
    after = api.get(path, pageSize=1000, **{f"{field}After": middle})
    before = api.get(path, pageSize=1000, **{f"{field}Before": middle})
    assert sorted(item[f"{field}At"] for item in after["items"]) == [t for t in times if t > middle]
    assert sorted(item[f"{field}At"] for item in before["items"]) == [
        t for t in times if t < middle
    ]
    assert after["totalItems"] == len(after["items"]) > 0
    assert before["totalItems"] == len(before["items"]) > 0


def test_list_sessions__window_understands_an_offset(api: Api) -> None:
    """An offset names the same moment as Z."""
    body = api.get("workflowSessions", createdBefore="2025-01-13T12:35:20.593+01:00")
    assert [item["id"] for item in body["items"]] == [EXAMPLE_ID]


@pytest.mark.parametrize(
    "name",
    [
        "clientId",
        "entityName",
        "status",
        "outcome",
        "workflowTemplateId",
        "workflowTemplateName",
        "workflowId",
        "workflowVersion",
    ],
)
def test_list_sessions__filters_by_equality(api: Api, name: str) -> None:
    """A filter returns the sessions with that very value, and no other."""
    everything = api.get("workflowSessions", pageSize=1000)["items"]
    value = next(item for item in everything if item["id"] == EXAMPLE_ID)[name]
    expected = {item["id"] for item in everything if item.get(name) == value}
    found = {item["id"] for item in api.get("workflowSessions", **{name: value})["items"]}
    assert EXAMPLE_ID in found
    assert found == expected
    assert len(found) < len(everything)


def test_list_sessions__filters_are_joined_by_and(api: Api) -> None:
    """Two filters narrow each other."""
    body = api.get("workflowSessions", outcome="clear", createdBefore="2025-12-01T00:00:00.000Z")
    assert [item["id"] for item in body["items"]] == [EXAMPLE_ID]


@pytest.mark.parametrize("path", ["workflowSessions", "checks"])
@pytest.mark.parametrize(
    "query",
    [
        {"sort": "updatedAt"},
        {"outcomes": "clear"},
        {"status": ""},
        {"status": "COMPLETE"},
        {"status": "com\0plete"},
        {"status": ["complete", "started"]},
        {"updatedAfter": "yesterday"},
        {"updatedAfter": "2025-01-13"},
        {"updatedAfter": "2025-01-13T11:35:20"},
        {"updatedAfter": "2025-01-13T14:06:91.913Z"},
        {"updatedAfter": "0001-01-01T00:00:00+23:00"},
        {"createdBefore": "2025-01-13T11:35:20 01:00"},
        {"clientId": "x" * 5000},
        {"workflowVersion": "one"},
        {"workflowVersion": "9" * 30},
    ],
)
def test_list__unknown_filter_or_value_answers_nothing(
    api: Api, path: str, query: dict[str, Any]
) -> None:
    """What the API does not understand gives 200 without items, as at the vendor's."""
    assert api.get(path, **query) == {
        "page": 1,
        "pageSize": 100,
        "totalItems": 0,
        "pages": 0,
        "items": [],
    }


def test_list_sessions__empty_id_is_the_list(api: Api) -> None:
    """GET by id with an empty id is a list, which is a trap for callers."""
    assert api.get("workflowSessions/")["totalItems"] == COUNT + 1


def test_list_sessions__two_queries_a_page(api: Api) -> None:
    """One count and one page, however many sessions there are."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        api.get("workflowSessions", pageSize=50, status="complete")
    assert len(queries) == 2


def test_get_check__has_its_breakdown(api: Api) -> None:
    """A check by id shows what it found in detail."""
    check = api.get("checks/689c78f619987c0002774923")
    assert check["type"] == "extensive_screening_check"
    assert check["clientId"] == EXAMPLE["clientId"]
    assert check["status"] == "complete"
    assert check["result"]["outcome"] == "clear"
    assert check["result"]["breakdown"]["summary"]["pep"]["level1"] == "clear"


def test_get_check__unknown_id(api: Api) -> None:
    """An unknown check is a 404 of the documented type."""
    status, body = api.status_and_body("GET", "checks/689c78f619987c0002774999")
    assert (status, body["type"]) == (404, "resource_not_found")


def test_list_checks__result_holds_only_the_outcome(api: Api) -> None:
    """The list tells how a check ended, and a check that has not ended has no result."""
    items = api.get("checks", pageSize=1000)["items"]
    assert len(items) == SandboxCheck.objects.count()
    complete = [item for item in items if item["status"] == "complete"]
    others = [item for item in items if item["status"] != "complete"]
    assert complete
    assert {tuple(item["result"]) for item in complete} == {("outcome",)}
    assert others
    assert not any("result" in item for item in others)


@pytest.mark.parametrize(
    "name",
    [
        "clientId",
        "type",
        "status",
        "documentId",
        "addressId",
        "livePhotoId",
        "liveVideoId",
        "result.outcome",
    ],
)
def test_list_checks__filters_by_equality(api: Api, name: str) -> None:
    """Each documented filter of checks returns those with that very value."""

    def value_of(item: dict[str, Any]) -> Any:
        return item.get("result", {}).get("outcome") if "." in name else item.get(name)

    everything = api.get("checks", pageSize=1000)["items"]
    value = next(value_of(item) for item in everything if value_of(item))
    expected = {item["id"] for item in everything if value_of(item) == value}
    found = {item["id"] for item in api.get("checks", pageSize=1000, **{name: value})["items"]}
    assert found == expected
    assert 0 < len(found) < len(everything)


def test_complete_session__starts_its_checks(api: Api) -> None:
    """A started session goes on to processing, with a pending check for each step."""
    started = api.get("workflowSessions", status="started")["items"][0]
    assert api.status_and_body("POST", f"workflowSessions/{started['id']}/complete") == (
        200,
        {"status": "processing"},
    )
    session = api.get(f"workflowSessions/{started['id']}")
    assert session["status"] == "processing"
    assert session["updatedAt"] > started["updatedAt"]
    assert session["allRelatedChecks"]
    for related in session["allRelatedChecks"]:
        check = api.get(f"checks/{related['checkId']}")
        assert (check["type"], check["status"]) == (related["type"], "pending")
    listed = api.get(
        "workflowSessions", updatedAfter=started["updatedAt"], clientId=started["clientId"]
    )
    assert session["id"] in {
        item["id"] for item in listed["items"] if item["status"] == "processing"
    }


def test_cancel_session__cancels_a_started_one(api: Api) -> None:
    """A started session can be cancelled, and then no more."""
    started = api.get("workflowSessions", status="started")["items"][0]["id"]
    assert api.status_and_body("POST", f"workflowSessions/{started}/cancel") == (
        200,
        {"status": "cancelled"},
    )
    assert api.get(f"workflowSessions/{started}")["status"] == "cancelled"
    status, body = api.status_and_body("POST", f"workflowSessions/{started}/cancel")
    assert (status, body["type"]) == (400, "invalid_request")


@pytest.mark.parametrize("action", ["complete", "cancel"])
def test_leave_started__refuses_a_complete_session(api: Api, action: str) -> None:
    """A session that ended does not move, and stays equal."""
    status, body = api.status_and_body("POST", f"workflowSessions/{EXAMPLE_ID}/{action}")
    assert (status, body["type"]) == (400, "invalid_request")
    assert api.get(f"workflowSessions/{EXAMPLE_ID}") == EXAMPLE


@pytest.mark.parametrize("action", ["complete", "cancel"])
def test_leave_started__unknown_session(api: Api, action: str) -> None:
    """Moving an unknown session is the vendor's 404."""
    status, body = api.status_and_body("POST", f"workflowSessions/unknown/{action}")
    assert status == 404
    assert body["message"] == "Invalid workflow session id 'unknown'"


def test_load_sandbox__fills_and_leaves_alone() -> None:
    """Loading twice changes nothing, not even a session that moved meanwhile."""
    call_command("load_sandbox", count=20, stdout=StringIO())
    session = SandboxSession.objects.filter(status="started").get()
    Api().status_and_body("POST", f"workflowSessions/{session.pk}/cancel")
    checks = SandboxCheck.objects.count()
    output = StringIO()
    call_command("load_sandbox", count=20, stdout=output)
    assert output.getvalue() == "The sandbox has 21 sessions, 0 of them new.\n"
    assert SandboxCheck.objects.count() == checks
    assert SandboxSession.objects.get(pk=session.pk).status == "cancelled"
    call_command("load_sandbox", count=25, stdout=output)
    assert output.getvalue().endswith("The sandbox has 26 sessions, 5 of them new.\n")


def test_report__address_opens_without_the_key(api: Api) -> None:
    """A report is made for the key, and its address gives the PDF to whoever has it."""
    answer = api.get("reports", workflowSessionId=EXAMPLE_ID)
    assert set(answer) == {"data"}
    assert answer["data"].startswith("http://testserver/sandbox/v1/reports/")
    response = Client().get(answer["data"].removeprefix("http://testserver"))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/pdf"
    assert response.content.startswith(b"%PDF-1.4\n")
    assert response.content.endswith(b"%%EOF\n")
    for shown in (b"John Doe", EXAMPLE_ID.encode(), b"document_check"):
        assert shown in response.content


def test_report__table_of_the_pdf_is_right() -> None:
    """Each object is where the table says, so that no reader has to repair the file."""
    checks = [{"type": "(a\\", "status": "Ł", "id": str(n)} for n in range(100)]
    content = report_pdf({"entityName": "Łukasz (x)"}, checks)
    assert content.count(b"/Type /Page ") == 3
    xref = int(re.findall(rb"startxref\n(\d+)", content)[0])
    lines = content[xref:].split(b"\n")
    assert lines[:2] == [b"xref", b"0 10"]
    for number, line in enumerate(lines[3:12], start=1):
        place = int(line[:10])
        assert content[place:].startswith(b"%d 0 obj" % number)


def test_report__address_expires(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes, and with any change, the address opens nothing."""
    path = api.get("reports", workflowSessionId=EXAMPLE_ID)["data"].removeprefix(
        "http://testserver"
    )
    assert Client().get(path.replace(".pdf", "x.pdf")).status_code == 403
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 599)
    assert Client().get(path).status_code == 200
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + 602)
    assert Client().get(path).status_code == 403


def test_report__not_made(api: Api) -> None:
    """No id, an unknown one and no key answer the API's errors."""
    assert api.status_and_body("GET", "reports")[0] == 400
    assert api.status_and_body("GET", "reports", workflowSessionId="5eb")[0] == 404
    assert Client().get("/sandbox/v1/reports").status_code == 401
