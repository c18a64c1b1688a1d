"""Evidence of a session, and the vendor's report, from the session's page."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import pytest
import responses
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import Settings

from complycube_sessions.admin import evidence as evidence_admin
from complycube_sessions.evidence.build import export_evidence
from complycube_sessions.evidence.verify import is_as_exported, verify_evidence
from complycube_sessions.models import SessionEvidence, WorkflowSession
from tests.admin.builders import make_check, make_session, make_staff
from tests.admin.conftest import SENSITIVE, VIEWS, SignIn
from tests.fake_api import KEY
from tests.report_server import CA_BUNDLE, PDF, SECRET, URL, ReportServer, head, whole

EVIDENCE = "evidence_workflowsession"
REPORTS = "https://api.complycube.com/v1/reports"


@pytest.fixture
def lead(sign_in: SignIn) -> Client:
    return sign_in(*VIEWS, SENSITIVE, EVIDENCE)


@pytest.fixture
def session(db: None) -> WorkflowSession:
    session = make_session(entity_name="Ann Secret")
    make_check(session)
    return session


def address(name: str, pk: str) -> str:
    return reverse(f"admin:complycube_sessions_workflowsession_{name}", args=[pk])


def archive_of(client: Client, session: WorkflowSession) -> dict[str, bytes]:
    response = client.post(address("evidence", session.pk))
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def told(client: Client, response: Any) -> list[str]:
    """Return the messages on the page to which an answer leads."""
    assert response.status_code == 302
    page = client.get(response["Location"])
    return [str(message) for message in page.context["messages"]]


def test_evidence__archive(lead: Client, session: WorkflowSession) -> None:
    """The button sends one archive of the JSON and the page, which can be verified as it is."""
    response = lead.post(address("evidence", session.pk))
    assert response["Content-Type"] == "application/zip"
    disposition = response["Content-Disposition"]
    assert re.fullmatch(rf'attachment; filename="evidence-{session.pk}-[\w-]+\.zip"', disposition)
    assert "no-store" in response["Cache-Control"]
    assert is_as_exported(verify_evidence(response.content))
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert sorted(name.rpartition(".")[2] for name in archive.namelist()) == ["html", "json"]


def test_evidence__says_who_exported(lead: Client, session: WorkflowSession) -> None:
    """The files name the person; the database only the account's id."""
    files = archive_of(lead, session)
    document = json.loads(next(data for name, data in files.items() if name.endswith(".json")))
    record = SessionEvidence.objects.get()
    assert record.actor == document["export"]["actor"] == f"user:{lead.session['_auth_user_id']}"
    assert document["export"]["actor_name"].startswith("user-")


def test_evidence__holds_what_the_person_may_see(sign_in: SignIn, session: WorkflowSession) -> None:
    """Who may not see results or changes on the page gets none in the files."""
    files = archive_of(sign_in("view_workflowsession", EVIDENCE), session)
    for data in files.values():
        assert b"raw-secret" not in data
        assert b"contentAnalysis" not in data
    document = json.loads(next(data for name, data in files.items() if name.endswith(".json")))
    assert [entry["what"] for entry in document["left_out"]] == ["sensitive", "history"]


def test_evidence__log_names_ids(lead: Client, session: WorkflowSession) -> None:
    """The admin's log has the session's id and the hash, and no name."""
    archive_of(lead, session)
    entry = LogEntry.objects.get()
    sha256 = SessionEvidence.objects.get().sha256
    assert entry.change_message == f"Exported evidence, SHA-256 {sha256}."
    assert (entry.object_id, entry.object_repr) == (session.pk, f"Exported evidence: {session.pk}")


@pytest.mark.parametrize("middleware", ["open_transactions", "rolled_back_transactions"])
@pytest.mark.django_db(transaction=True)
def test_evidence__inside_a_transaction(
    sign_in: SignIn, settings: Settings, middleware: str
) -> None:
    """Where a middleware holds a transaction open, the files are sent, and their record is stored for good."""
    session = make_session()
    client = sign_in(*VIEWS, SENSITIVE, EVIDENCE)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"tests.middleware.{middleware}"]
    response = client.post(address("evidence", session.pk))
    assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
    if middleware == "open_transactions" or connection.vendor != "sqlite":
        assert is_as_exported(verify_evidence(response.content))


@pytest.mark.parametrize("page", ["evidence", "report"])
def test_unknown_session__goes_to_the_list(lead: Client, page: str) -> None:
    """An id that is not stored is told, and nothing is recorded."""
    assert told(lead, lead.post(address(page, "5eb"))) == ["There is no session “5eb”."]
    assert not SessionEvidence.objects.exists()
    assert not LogEntry.objects.exists()


def test_page__line_and_buttons(lead: Client, session: WorkflowSession) -> None:
    """The page offers both files, and tells how often evidence was exported and when last."""
    before = lead.get(address("change", session.pk)).content.decode()
    assert address("evidence", session.pk) in before
    assert address("report", session.pk) in before
    assert "Evidence exported" not in before
    export_evidence(session.pk)
    once = lead.get(address("change", session.pk)).content.decode()
    assert "Evidence exported 1 time, last:" in once
    export_evidence(session.pk)
    assert "exported 2 times" in lead.get(address("change", session.pk)).content.decode()


def test_page__without_the_permission(reviewer: Client, session: WorkflowSession) -> None:
    """A reviewer sees neither the buttons nor the line."""
    export_evidence(session.pk)
    html = reviewer.get(address("change", session.pk)).content.decode()
    assert address("evidence", session.pk) not in html
    assert address("report", session.pk) not in html
    assert "Evidence exported" not in html


def test_report__not_without_sensitive(sign_in: SignIn, session: WorkflowSession) -> None:
    """The vendor's report cannot be cut, so it needs the right to see what is sensitive."""
    client = sign_in(*VIEWS, EVIDENCE)
    assert address("report", session.pk) not in client.get(
        address("change", session.pk)
    ).content.decode()  # fmt: skip
    assert client.post(address("report", session.pk)).status_code == 403


@pytest.mark.parametrize("page", ["evidence", "report"])
def test_files__not_without_the_session(
    sign_in: SignIn, session: WorkflowSession, page: str
) -> None:
    """Who may not see sessions gets no file of one."""
    assert sign_in(SENSITIVE, EVIDENCE).post(address(page, session.pk)).status_code == 403


@pytest.fixture
def vendor(
    mocked: responses.RequestsMock, files: ReportServer, settings: Any
) -> responses.RequestsMock:
    """Let the API name an address at the server of the tests."""
    account = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": {**account, "CA_BUNDLE": CA_BUNDLE}}
    mocked.get(REPORTS, json={"data": URL})
    return mocked


def test_report__is_streamed_and_not_stored(
    lead: Client, session: WorkflowSession, vendor: responses.RequestsMock, files: ReportServer
) -> None:
    """The vendor's PDF comes as it is; the key goes to the API alone."""
    response = lead.post(address("report", session.pk))
    assert response.status_code == 200
    assert response.streaming
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Length"] == str(len(PDF))
    disposition = f'attachment; filename="complycube-report-{session.pk}.pdf"'
    assert response["Content-Disposition"] == disposition
    assert "no-store" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response.getvalue() == PDF
    (call,) = vendor.calls
    assert call.request.headers["Authorization"] == KEY
    assert call.request.path_url == f"/v1/reports?workflowSessionId={session.pk}"
    assert KEY.encode() not in b"".join(files.requests)
    entry = LogEntry.objects.get()
    assert (entry.change_message, entry.object_id) == ("Fetched ComplyCube's report.", session.pk)


@pytest.mark.vendors("postgresql", "mysql")  # SQLite takes no second connection that writes
@pytest.mark.django_db(transaction=True)
def test_report__inside_a_transaction(
    sign_in: SignIn, settings: Settings, vendor: responses.RequestsMock, files: ReportServer
) -> None:
    """Where a middleware holds a transaction open, the report is asked for beside it."""
    session = make_session()
    client = sign_in(*VIEWS, SENSITIVE, EVIDENCE)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.middleware.open_transactions"]
    response: Any = client.post(address("report", session.pk))
    assert response.status_code == 200
    assert response.getvalue() == PDF


def test_report__inside_a_transaction_that_cannot_be_left(
    lead: Client, session: WorkflowSession, settings: Settings, mocked: responses.RequestsMock
) -> None:
    """Where nothing can be stored beside it, nobody is asked, and the page says why."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.middleware.open_transactions"]
    (text,) = told(lead, lead.post(address("report", session.pk)))
    assert "holds a database transaction open" in text
    assert not mocked.calls


@pytest.mark.django_db(transaction=True)
def test_report__under_asgi(
    session: WorkflowSession, vendor: responses.RequestsMock, files: ReportServer
) -> None:
    """An asynchronous server gets the pieces one by one too."""
    user = make_staff(*VIEWS, SENSITIVE, EVIDENCE)

    async def ask() -> tuple[bool, int, bytes]:
        client = AsyncClient()
        await client.aforce_login(user)
        response: Any = await client.post(address("report", session.pk))
        pieces = [piece async for piece in response]
        return response.is_async, len(pieces), b"".join(pieces)

    is_async, count, content = async_to_sync(ask)()
    assert is_async
    assert count > 3
    assert content == PDF


def test_report__connection_ends_with_the_response(
    lead: Client, session: WorkflowSession, vendor: responses.RequestsMock, files: ReportServer
) -> None:
    """A download that the reader ends early ends the vendor's too."""
    ended = []

    def reply() -> Any:
        try:
            yield head(Content_Type="application/pdf") + b"%PDF-1.4"
            yield from files.trickle(b"x" * 100_000)
        finally:
            ended.append(True)
            files.ended.set()

    files.reply = reply
    response = lead.post(address("report", session.pk))
    assert "Content-Length" not in response
    response.close()
    assert files.ended.wait(5)
    assert ended == [True]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "ComplyCube rejects the API key (401)."),
        (402, "ComplyCube requires payment before it answers (402)."),
        (403, "The API key has no permission to create reports (403)."),
        (404, "ComplyCube does not know this session, or has no report on it (404)."),
        (429, "ComplyCube accepts no more requests at the moment (429)."),
        (503, "ComplyCube had an internal error."),
    ],
)
def test_report__api_refuses(
    lead: Client,
    session: WorkflowSession,
    mocked: responses.RequestsMock,
    status: int,
    said: str,
) -> None:
    """Each refusal of the API is told in words, after one request and no waiting."""
    mocked.get(REPORTS, status=status, headers={"Retry-After": "60"})
    (message,) = told(lead, lead.post(address("report", session.pk)))
    assert message.startswith(said)
    assert len(mocked.calls) == 1
    assert LogEntry.objects.get().change_message.startswith(
        "ComplyCube's report failed: ComplyCube"
    )


def test_report__api_is_down(lead: Client, session: WorkflowSession) -> None:
    """No answer of the API is told as such."""
    assert told(lead, lead.post(address("report", session.pk))) == [
        "ComplyCube's report could not be fetched. Try again later."
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (whole(status=403), "is not a PDF that can be fetched safely"),
        (whole(b"", 302, Location="https://10.0.0.1/"), "is not a PDF that can be fetched safely"),
        (whole(b"<html>"), "is not a PDF that can be fetched safely"),
        (b"", "could not be fetched"),
    ],
)
def test_report__address_gives_no_report(
    lead: Client,
    session: WorkflowSession,
    vendor: responses.RequestsMock,
    files: ReportServer,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    said: str,
) -> None:
    """What is no report is told before anything is sent; neither page nor logs name the address."""
    caplog.set_level("DEBUG")
    files.reply = lambda: [answer]
    (message,) = told(lead, lead.post(address("report", session.pk)))
    assert said in message
    kept = message + caplog.text + LogEntry.objects.get().change_message
    assert SECRET not in kept
    assert KEY not in kept
    if "safely" in said:
        assert f"{session.pk}: " in caplog.text


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "https://127.0.0.1/x", "https://[::1]/", "file:///etc"]
)
def test_report__address_is_hostile(
    lead: Client,
    session: WorkflowSession,
    mocked: responses.RequestsMock,
    files: ReportServer,
    url: str,
) -> None:
    """An answer that names an inner address opens nothing."""
    mocked.get(REPORTS, json={"data": f"{url}?{SECRET}"})
    (message,) = told(lead, lead.post(address("report", session.pk)))
    assert "fetched safely" in message
    assert files.requests == []


def test_report__row_of_another_key(
    lead: Client, mocked: responses.RequestsMock, session: WorkflowSession
) -> None:
    """A session of the other environment is not asked for with this key."""
    other = make_session(environment="live")
    (message,) = told(lead, lead.post(address("report", other.pk)))
    assert "another account or environment" in message
    assert len(mocked.calls) == 0


def test_report__account_without_settings(lead: Client, db: None) -> None:
    """A session whose account is not configured any more is told so."""
    gone = make_session(account="gone")
    (message,) = told(lead, lead.post(address("report", gone.pk)))
    assert message.startswith("The account has no usable API key.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["evidence", "report"])
def test_views__outside_of_transactions(
    settings: Any, monkeypatch: pytest.MonkeyPatch, sign_in: SignIn, page: str
) -> None:
    """With ``ATOMIC_REQUESTS`` on, neither waits for anything inside a transaction."""
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    open_ones: list[bool] = []

    def note(*args: Any, **kwargs: Any) -> Any:
        open_ones.append(transaction.get_connection().in_atomic_block)
        raise WorkflowSession.DoesNotExist

    monkeypatch.setattr(evidence_admin, "export_evidence", note)
    monkeypatch.setattr(evidence_admin, "open_session_report", note)
    session = make_session()
    client = sign_in(*VIEWS, SENSITIVE, EVIDENCE)
    client.raise_request_exception = False
    client.post(address(page, session.pk))
    assert open_ones == [False]
