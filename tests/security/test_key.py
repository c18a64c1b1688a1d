"""The key after every kind of failure: wherever anybody could read it, it is not."""

from __future__ import annotations

import base64
import http.client
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from typing import Any

import pytest
import urllib3
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from complycube_sessions.api.http import MAX_BODY_BYTES
from complycube_sessions.conf import get_account
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubeError,
    ComplyCubePayloadError,
    ComplyCubeSignatureError,
)
from complycube_sessions.models import PendingRefresh, RefreshRun
from complycube_sessions.services import refresh_session
from complycube_sessions.webhooks.receive import parse_event, sign, verify_signature
from project.demo_server import free_port
from tests.admin.builders import make_staff
from tests.builders import SESSION_ID, session_row
from tests.examples import parameters
from tests.security.servers import Hostile, serving

KEY = "live_K3y-that-nobody-may-see"
SECRET = "s3cret-of-the-webhook"
ECHO = '{"type": "{key}", "message": "the key {key} is wrong", "id": "{key}"}'
HTML = "<html><title>{key}</title><body>Authorization: {key}</body></html>"

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.security.urls")]

ANSWERS = {
    "401": Hostile(401, {"X-Echo": "{key}"}, ECHO),
    "402": Hostile(402, {}, ECHO),
    "403": Hostile(403, {}, ECHO),
    "404": Hostile(404, {}, ECHO),
    "429": Hostile(429, {"Retry-After": "{key}"}, ECHO),
    "500": Hostile(500, {"Date": "{key}"}, ECHO),
    "503 in HTML": Hostile(503, {"Content-Type": "text/html"}, HTML),
    "200 in HTML": Hostile(200, {"Content-Type": "text/html"}, HTML),
    "bad JSON": Hostile(200, {}, '{"id": "{key}", '),
    "another id": Hostile(200, {}, ECHO),
    "too large": Hostile(200, {}, "{key}" * (MAX_BODY_BYTES // len(KEY) + 1)),
    "a list": Hostile(200, {}, '["{key}"]'),
    "a broken encoding": Hostile(200, {"Content-Encoding": "gzip"}, "{key}"),
    "redirect": Hostile(302, {"Location": "https://{key}.example/{key}"}, HTML),
    "redirect to a long host": Hostile(307, {"Location": f"https://{'a' * 85}{{key}}/"}, ""),
    "redirect to no address": Hostile(302, {"Location": "http://[{key}"}, ""),
    "status without meaning": Hostile(599, {}, ECHO),
}
ADDRESSES: dict[str, Callable[[], str]] = {
    "refused": lambda: f"http://127.0.0.1:{free_port()}/v1",
    "no such host": lambda: "http://no-such-host.invalid/v1",
    "empty label": lambda: "http://a..b/v1",
    "endless label": lambda: f"http://{'a' * 70}.invalid/v1",
    "not an address": lambda: "wrong",
    "no port": lambda: "http://127.0.0.1:99999/v1",
    "broken brackets": lambda: "http://[::1/v1",
}
KINDS = [*ANSWERS, *ADDRESSES, "TLS", "TLS with nobody"]
QUICK = {"401", "bad JSON", "redirect", "refused"}
# As an error page of Django's, which shows the variables of each function, may print it.
FORMS = (
    KEY,
    SECRET,
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(b":" + KEY.encode()).decode(),
)


def assert_not_in(text: str, where: str) -> None:
    for form in FORMS:
        assert form.casefold() not in text.casefold(), where


@contextmanager
def failing(kind: str) -> Iterator[str]:
    """Yield an address where every request fails in a way."""
    with ExitStack() as stack:
        if kind in ADDRESSES:
            yield ADDRESSES[kind]()
        elif kind == "TLS":
            yield stack.enter_context(serving(Hostile(200, {}, ECHO), tls=True)).url
        elif kind == "TLS with nobody":
            plain = stack.enter_context(serving(Hostile(200, {}, ECHO)))
            yield plain.url.replace("http:", "https:")
        else:
            yield stack.enter_context(serving(ANSWERS[kind])).url


@pytest.fixture(params=parameters(KINDS, quick=QUICK))
def account(request: pytest.FixtureRequest, settings: Settings) -> Iterator[str]:
    """Let everything fail in one way, on a site in the middle of its development."""
    with failing(request.param) as url:
        settings.DEBUG = True
        settings.COMPLYCUBE_ACCOUNTS = {
            "default": {
                "API_KEY": KEY,
                "WEBHOOK_SECRETS": [SECRET],
                "BASE_URL": url,
                "REQUESTS_PER_SECOND": 10_000,
                "MAX_RETRIES": 0,
                "TIMEOUT": 5,
            }
        }
        yield url


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Collect what anyone logs, tracebacks and the libraries' own lines included."""
    text = StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def rows_of_every_table() -> str:
    text = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - its own names
            text.append(repr(cursor.fetchall()))
    return "\n".join(text)


def test_key__error_of_the_service(account: str, log: StringIO) -> None:
    """Neither the error nor its traceback, with the variables of each function, nor the log holds it."""
    with pytest.raises((ComplyCubeError, ComplyCubeConfigurationError)) as caught:
        refresh_session(SESSION_ID)
    error = caught.value
    assert_not_in(f"{error} {error!r} {error.args!r} {vars(error)!r}", "the error")
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(shown.format())
    assert "refresh_session" in text
    assert "session_id" in text
    assert_not_in(text, "the traceback with its variables")
    assert_not_in(log.getvalue(), "the log")


def test_key__command_and_database(account: str, log: StringIO) -> None:
    """Neither the command's output, nor the log, nor any table holds it, whatever the run was to do."""
    out, err = StringIO(), StringIO()
    for arguments in ([], ["--full"], [SESSION_ID], ["--since", "1d"], ["--json", SESSION_ID]):
        try:
            call_command("refresh_workflow_sessions", *arguments, stdout=out, stderr=err)
        except CommandError as error:
            err.write(f"{error} {error!r}")
    assert err.getvalue()
    rows = rows_of_every_table()
    for text in (out.getvalue(), err.getvalue(), log.getvalue(), rows):
        assert_not_in(text, "output, log or database")


@pytest.mark.parametrize("page", ["one", "some", "holding", "unknown"])
def test_key__debug_page(account: str, page: str, log: StringIO) -> None:
    """Django's error page, which prints all variables and settings, and its text version show no key."""
    client = Client(raise_request_exception=False)
    response = client.get(f"/{page}/")
    text = response.content.decode()
    assert response.status_code == 500
    assert "COMPLYCUBE_ACCOUNTS" in text  # it does print the settings …
    assert "/tests/security/urls.py" in text  # … and the functions of the traceback
    assert_not_in(text, "the debug page")
    plain = client.get(f"/{page}/", headers={"accept": "text/plain"}).content.decode()
    assert_not_in(plain, "the debug page as text")
    assert_not_in(log.getvalue(), "the log")


def test_key__mail_to_the_admins(account: str) -> None:
    """The report that Django mails holds no key either."""
    request = RequestFactory().get("/")
    try:
        refresh_session(SESSION_ID)
    except (ComplyCubeError, ComplyCubeConfigurationError) as error:
        reporter = ExceptionReporter(
            request, type(error), error, error.__traceback__, is_email=True
        )
        assert_not_in(reporter.get_traceback_html(), "the mail")
        assert_not_in(reporter.get_traceback_text(), "the mail")
    else:
        pytest.fail("nothing failed")


def test_key__admin(account: str) -> None:
    """A refresh from the admin fails with a message, and no page, row or cookie holds the key."""
    session_row(environment="live", entity_name="Alice")
    client = Client()
    client.force_login(make_staff(superuser=True))
    base = "admin:complycube_sessions_"
    refreshed = client.post(
        reverse(f"{base}workflowsession_refresh", args=[SESSION_ID]), follow=True
    )
    assert refreshed.status_code == 200
    assert b"messagelist" in refreshed.content
    try:
        call_command("refresh_workflow_sessions", SESSION_ID, stdout=StringIO(), stderr=StringIO())
    except CommandError:
        assert_not_in(str(client.cookies), "a cookie")
    pages = [reverse("admin:index"), reverse(f"{base}workflowsession_change", args=[SESSION_ID])]
    pages += [
        reverse(f"{base}{name}_changelist")
        for name in ("workflowsession", "refreshrun", "pendingrefresh", "webhookevent")
    ]
    pages += [
        reverse(f"{base}refreshrun_change", args=[run.pk]) for run in RefreshRun.objects.all()
    ]
    pages += [
        reverse(f"{base}pendingrefresh_change", args=[row.pk])
        for row in PendingRefresh.objects.all()
    ]
    text = refreshed.content.decode()
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        text += response.content.decode()
    assert_not_in(text, "a page of the admin")
    assert_not_in(rows_of_every_table(), "the database")


UNFORESEEN = [
    RuntimeError(KEY),
    MemoryError(KEY),
    RecursionError(KEY),
    ValueError(f"Invalid header value b'{KEY}'"),
    UnicodeEncodeError("ascii", KEY, 0, len(KEY), KEY),
    AttributeError(KEY),
    OSError(KEY),
]


@pytest.mark.parametrize(
    "error",
    parameters(UNFORESEEN, quick=UNFORESEEN[:1]),
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["create_connection", "send"])
def test_key__unforeseen_error_inside_of_a_request(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, log: StringIO
) -> None:
    """Whatever rises in the middle of a request, the admin says so in a message, without the key."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    if place == "send":
        monkeypatch.setattr(http.client.HTTPConnection, "send", fail)
    else:
        monkeypatch.setattr(urllib3.util.connection, "create_connection", fail)
    session_row(environment="live", entity_name="Alice")
    client = Client(raise_request_exception=False)
    client.force_login(make_staff(superuser=True))
    with serving(Hostile(200, {}, ECHO)) as api:
        settings.DEBUG = True
        settings.COMPLYCUBE_ACCOUNTS = {
            "default": {"API_KEY": KEY, "BASE_URL": api.url, "MAX_RETRIES": 0, "TIMEOUT": 5}
        }
        page = reverse("admin:complycube_sessions_workflowsession_refresh", args=[SESSION_ID])
        refreshed = client.post(page, follow=True)
        one = client.get("/one/")

    assert (refreshed.status_code, one.status_code) == (200, 500)
    assert b"messagelist" in refreshed.content
    assert "Request information" in one.content.decode()
    for text in (refreshed.content.decode(), one.content.decode(), log.getvalue()):
        assert_not_in(text, "page or log")
        assert base64.b64encode(KEY[:5].encode()).decode() not in text


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["hmac.new", "hmac.compare_digest", "json.loads"])
def test_secret__unforeseen_error_while_an_event_is_verified(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, log: StringIO
) -> None:
    """An event that could not be verified or read is refused; neither secret nor body is shown."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    body = b'{"id": "1", "type": "check.completed", "payload": {"entityName": "Alice-of-the-body"}}'
    signature = sign(body, SECRET)
    settings.DEBUG = True
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": [SECRET]}}
    monkeypatch.setattr(place, fail)
    response = Client(raise_request_exception=False).generic(
        "POST",
        reverse("complycube_sessions:webhook", args=["default"]),
        body,
        content_type="application/json",
        headers={"ComplyCube-Signature": signature},
    )
    call: Callable[..., object] = parse_event if place == "json.loads" else verify_signature
    arguments: list[object] = [body] if place == "json.loads" else [body, signature, [SECRET]]
    with pytest.raises((ComplyCubeSignatureError, ComplyCubePayloadError)) as caught:
        call(*arguments)
    monkeypatch.undo()

    assert (response.status_code, response.content) == (400, b"")
    functions = caught.value.__traceback__ and caught.value.__traceback__.tb_next
    shown = traceback.TracebackException(
        caught.type, caught.value, functions, capture_locals=True
    ).format()
    for text in (log.getvalue(), "".join(shown)):
        assert_not_in(text, "the log or the traceback")
        assert "Alice" not in text
    assert caught.value.__context__ is None


def test_secret__that_no_bytes_can_be_made_of(settings: Settings) -> None:
    """A secret from the environment with bytes that are no text verifies nothing, and shows nothing."""
    secret = f"{SECRET}\udcff"
    settings.DEBUG = True
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": [secret]}}
    response = Client(raise_request_exception=False).generic(
        "POST", reverse("complycube_sessions:webhook", args=["default"]), b"{}"
    )
    assert (response.status_code, response.content) == (400, b"")


def test_key__repr(settings: Settings) -> None:
    """Neither the account nor anything that holds it shows it."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": [SECRET]}}
    account: Any = get_account()
    for shown in (repr(account), str(account), f"{account}", repr([account])):
        assert "Account(" in shown
        assert_not_in(shown, "repr")
