from __future__ import annotations

import http.client
import json
import logging
import socket
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
import requests
import responses
import urllib3

from complycube_sessions.api import client as client_module
from complycube_sessions.api.client import ComplyCubeClient, time_filter
from complycube_sessions.api.http import MAX_BODY_BYTES
from complycube_sessions.api.retries import backoff_seconds
from complycube_sessions.api.throttle import Throttle
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeAuthenticationError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubeInvalidIdError,
    ComplyCubeNotFoundError,
    ComplyCubePayloadError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)
from tests.builders import SESSION_ID, UNKNOWN_ID, vendor_example

KEY = "test_a-key-that-is-secret"
ADDRESS = f"https://api.complycube.com/v1/workflowSessions/{SESSION_ID}"


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> ComplyCubeClient:
    """Return a client that notes its waits in place of waiting."""
    account = Account(name="default", api_key=KEY, requests_per_second=10_000, max_retries=2)
    throttle = Throttle(account.requests_per_second)
    monkeypatch.setattr(throttle, "pause", waits.append)
    return ComplyCubeClient(account, throttle, backoff=waits.append)


def test_get_session__request(client: ComplyCubeClient, mocked: responses.RequestsMock) -> None:
    """The bare key stands in the header, the answer is the parsed session."""
    mocked.get(ADDRESS, json=vendor_example(), headers={"Date": "Mon, 13 Jan 2025 12:00:00 GMT"})
    answer = client.get_session(SESSION_ID)
    assert answer.value.entity_name == "John Doe"
    assert answer.answered_at == datetime(2025, 1, 13, 12, tzinfo=UTC)
    assert mocked.calls[0].request.headers["Authorization"] == KEY
    assert client.requests_sent == 1


@pytest.mark.parametrize(
    "bad_id",
    [
        "",
        " ",
        "../checks/1",
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "a b",
        "é",
        ".",
        "..",
        "a..b",
        "a\n",
        "x" * 129,
    ],
)
def test_get_session__unsafe_id(
    client: ComplyCubeClient, mocked: responses.RequestsMock, bad_id: str
) -> None:
    """An id that would change the address is refused before any request."""
    with pytest.raises(ComplyCubeInvalidIdError, match="letters, digits"):
        client.get_session(bad_id)
    assert len(mocked.calls) == 0


@pytest.mark.parametrize(
    ("status", "error_class", "tries"),
    [
        (204, ComplyCubeAPIError, 1),
        (301, ComplyCubeAPIError, 1),
        (400, ComplyCubeAPIError, 1),
        (401, ComplyCubeAuthenticationError, 1),
        (402, ComplyCubePaymentError, 1),
        (403, ComplyCubePermissionError, 1),
        (404, ComplyCubeNotFoundError, 1),
        (413, ComplyCubeAPIError, 1),
        (422, ComplyCubeAPIError, 1),
        (429, ComplyCubeRateLimitError, 3),
        (500, ComplyCubeServerError, 3),
        (502, ComplyCubeServerError, 3),
        (503, ComplyCubeServerError, 3),
        (504, ComplyCubeServerError, 3),
    ],
)
def test_errors__by_status(
    client: ComplyCubeClient,
    mocked: responses.RequestsMock,
    status: int,
    error_class: type[ComplyCubeAPIError],
    tries: int,
) -> None:
    """The status decides the class; 429 and 5xx are tried again, the others are not."""
    mocked.get(ADDRESS, status=status, json={"type": "unauthorized", "message": "Words"})
    with pytest.raises(error_class) as caught:
        client.get_session(SESSION_ID)
    assert type(caught.value) is error_class
    assert caught.value.status_code == status
    assert len(mocked.calls) == tries


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError(f"{KEY} Max retries exceeded"),
        requests.Timeout(KEY),
        requests.ReadTimeout(KEY),
        requests.exceptions.SSLError(KEY),
        requests.exceptions.ProxyError(KEY),
        requests.exceptions.ChunkedEncodingError(KEY),
        requests.exceptions.ContentDecodingError(KEY),
        ConnectionResetError(KEY),
        urllib3.exceptions.ProtocolError(KEY),
        socket.gaierror(KEY),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_errors__no_answer(
    client: ComplyCubeClient, mocked: responses.RequestsMock, waits: list[float], failure: Exception
) -> None:
    """A broken connection is tried again, then named by its class; its own text stays out."""
    mocked.get(ADDRESS, body=failure)
    with pytest.raises(ComplyCubeConnectionError, match=type(failure).__name__) as caught:
        client.get_session(SESSION_ID)
    assert len(mocked.calls) == 3
    assert len(waits) == 2
    assert KEY not in "".join(traceback.format_exception(caught.value))


def errors_of(module: ModuleType) -> list[Exception]:
    """Return an error of each class that a module defines, whose words hold the key."""
    kinds = {kind for kind in vars(module).values() if isinstance(kind, type)}
    own = {k for k in kinds if issubclass(k, Exception) and k.__module__ == module.__name__}
    found: list[Exception] = []
    for kind in sorted(own, key=lambda kind: kind.__name__):
        if not issubclass(kind, Warning):
            error = kind.__new__(kind)
            error.args = (KEY,)
            found.append(error)
    return found


def shown(error: BaseException) -> str:
    """Return what an error page shows of an error, but for the variables of the test itself."""
    assert error.__traceback__ is not None
    functions = error.__traceback__.tb_next
    whole = traceback.TracebackException(type(error), error, functions, capture_locals=True)
    return "".join(whole.format())


SETTINGS_FAULTS = {
    "URLRequired",
    "MissingSchema",
    "InvalidSchema",
    "InvalidURL",
    "InvalidProxyURL",
    "LocationValueError",
    "LocationParseError",
    "URLSchemeUnknown",
    "ProxySchemeUnknown",
    "ProxySchemeUnsupported",
}


@pytest.mark.parametrize(
    "failure",
    [
        *errors_of(requests.exceptions),
        *errors_of(urllib3.exceptions),
        *(kind(KEY) for kind in (RuntimeError, MemoryError, RecursionError, ValueError, TypeError)),
        UnicodeEncodeError("ascii", KEY, 0, 1, KEY),
        http.client.BadStatusLine(KEY),
        zlib.error(KEY),
        OSError(f"{KEY}: a CA certificate bundle is needed"),
    ],
    ids=lambda failure: f"{type(failure).__module__}.{type(failure).__name__}",
)
def test_errors__every_class(
    client: ComplyCubeClient, mocked: responses.RequestsMock, failure: Exception
) -> None:
    """What no request can be made of is a fault of the settings; all else is one answer's, tried again."""
    name = type(failure).__name__
    is_settings = name in SETTINGS_FAULTS or type(failure) is OSError
    wanted = ComplyCubeConfigurationError if is_settings else ComplyCubeConnectionError
    mocked.get(ADDRESS, body=failure)
    with pytest.raises((ComplyCubeError, ComplyCubeConfigurationError)) as caught:
        client.get_session(SESSION_ID)
    assert type(caught.value) is wanted
    assert len(mocked.calls) == (1 if is_settings else 3)
    assert KEY not in shown(caught.value)
    assert caught.value.__context__ is None


class TimeLimitError(Exception):
    """What a task engine raises in the middle of whatever its worker does."""


@pytest.mark.parametrize("limit", [TimeLimitError("10 s"), KeyboardInterrupt(), SystemExit(1)])
def test_errors__time_limit_of_a_worker(
    client: ComplyCubeClient,
    mocked: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    limit: BaseException,
) -> None:
    """What is no error of a request reaches the one who raised it, without the frames that hold the key."""

    def interrupted(*args: object, **kwargs: object) -> None:
        raise limit

    monkeypatch.setattr(responses.RequestsMock, "_on_request", interrupted)
    with pytest.raises(type(limit)) as caught:
        client.get_session(SESSION_ID)
    assert caught.value is limit
    assert KEY not in shown(caught.value)


@pytest.mark.parametrize("failure", [RuntimeError, MemoryError, RecursionError, ValueError])
def test_errors__while_an_answer_is_read(
    client: ComplyCubeClient,
    mocked: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[Exception],
) -> None:
    """An answer on which the parser fails costs one record, and nobody sees it on an error page."""

    def fail(*args: object, **kwargs: object) -> None:
        raise failure("Alice")

    monkeypatch.setattr(client_module, "parse_session", fail)
    mocked.get(ADDRESS, json={"id": SESSION_ID, "entityName": "Alice"})
    with pytest.raises(ComplyCubePayloadError, match=failure.__name__) as caught:
        client.get_session(SESSION_ID)
    assert "Alice" not in shown(caught.value)


def test_errors__cookies_are_not_kept(
    client: ComplyCubeClient, mocked: responses.RequestsMock
) -> None:
    """What one answer wants to be sent back is no part of the next request."""
    mocked.get(ADDRESS, json=vendor_example(), headers={"Set-Cookie": "a=b; Path=/"})
    client.get_session(SESSION_ID)
    client.get_session(SESSION_ID)
    assert "Cookie" not in mocked.calls[1].request.headers


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"null", "null"),
        (b"[]", "a list"),
        (b'"x"', "a text"),
        (b"3", "a number"),
        (b"<html>Alice</html>", "HTML"),
        (b'{"id": "5eb2', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{}", "no id"),
        (b'{"id": "another"}', "another"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 1_000_001, "nested too deep"),
    ],
)
def test_errors__not_the_session(
    client: ComplyCubeClient, mocked: responses.RequestsMock, body: bytes, words: str
) -> None:
    """A body that is not the session that was asked for is an error that names the id, not the body."""
    mocked.get(ADDRESS, body=body)
    with pytest.raises(ComplyCubePayloadError, match=words) as caught:
        client.get_session(SESSION_ID)
    assert SESSION_ID in str(caught.value)
    assert "Alice" not in str(caught.value)


def test_errors__message_is_cut(client: ComplyCubeClient, mocked: responses.RequestsMock) -> None:
    """Of an error body only its type and the start of its message are told, on one line."""
    message = "Invalid\n" + "x" * 1000
    mocked.get(
        ADDRESS, status=400, json={"type": "invalid_request", "message": message, "name": "Alice"}
    )
    with pytest.raises(ComplyCubeAPIError) as caught:
        client.get_session(SESSION_ID)
    assert "invalid_request: Invalid x" in str(caught.value)
    assert len(str(caught.value)) < 350
    assert "Alice" not in str(caught.value)


def test_errors__404_says_what_the_vendor_says(
    client: ComplyCubeClient, mocked: responses.RequestsMock
) -> None:
    """The vendor's own message reaches whoever asked."""
    message = f"Invalid workflow session id '{UNKNOWN_ID}'"
    mocked.get(
        ADDRESS.replace(SESSION_ID, UNKNOWN_ID),
        status=404,
        json={"type": "resource_not_found", "message": message},
    )
    with pytest.raises(ComplyCubeNotFoundError, match=message):
        client.get_session(UNKNOWN_ID)


def test_body__larger_than_the_bound(
    client: ComplyCubeClient, mocked: responses.RequestsMock
) -> None:
    """A body without end is refused at the bound."""
    mocked.get(ADDRESS, body=b" " * (MAX_BODY_BYTES + 1))
    with pytest.raises(ComplyCubePayloadError, match="larger than"):
        client.get_session(SESSION_ID)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "9" * 400}, 999_999_999),
        (
            {
                "Retry-After": "Mon, 13 Jan 2025 12:00:30 GMT",
                "Date": "Mon, 13 Jan 2025 12:00:00 GMT",
            },
            30,
        ),
    ],
)
def test_rate_limit__retry_after(
    client: ComplyCubeClient,
    mocked: responses.RequestsMock,
    waits: list[float],
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    """A 429 pauses the key for what ``Retry-After`` asks, up to a minute and some jitter."""
    mocked.get(ADDRESS, status=429, headers=headers)
    with pytest.raises(ComplyCubeRateLimitError) as caught:
        client.get_session(SESSION_ID)
    assert caught.value.retry_after_seconds == seconds
    assert len(waits) == 2
    if seconds is not None:
        assert min(seconds, 60) <= waits[0] <= min(seconds, 60) + 0.1


@pytest.mark.parametrize("attempt", range(12))
def test_backoff__grows_and_is_capped(attempt: int) -> None:
    """The wait is drawn from nothing up to twice the last one's bound, and never over a minute."""
    error = ComplyCubeServerError("x", status_code=500)
    drawn = [backoff_seconds(error, attempt) for _ in range(50)]
    assert 0 <= min(drawn) <= max(drawn) <= min(60, 2**attempt)
    assert len(set(drawn)) > 1


def test_redirect__is_not_followed(
    client: ComplyCubeClient, mocked: responses.RequestsMock
) -> None:
    """The key is not carried to another host."""
    mocked.get(ADDRESS, status=302, headers={"Location": "https://evil.example/?token=1"})
    with pytest.raises(ComplyCubeAPIError, match=r"redirect to 'evil\.example'; not followed"):
        client.get_session(SESSION_ID)
    assert len(mocked.calls) == 1


def test_session__ignores_the_environment(
    client: ComplyCubeClient,
    mocked: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """Neither a .netrc entry replaces the key, nor does a proxy of the environment see it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    mocked.get(ADDRESS, json=vendor_example())
    client.get_session(SESSION_ID)
    call = mocked.calls[0].request
    assert call.headers["Authorization"] == KEY
    assert not call.req_kwargs["proxies"]  # type: ignore[attr-defined]
    assert call.req_kwargs["verify"] is True  # type: ignore[attr-defined]


def test_session__proxies_and_ca_bundle(mocked: responses.RequestsMock) -> None:
    """Proxies and certificates are those of the account."""
    account = Account(
        name="a",
        api_key=KEY,
        requests_per_second=1000,
        proxies={"https": "http://proxy.example:3128"},
        ca_bundle="/etc/ca.pem",
    )
    mocked.get(ADDRESS, json=vendor_example())
    ComplyCubeClient(account).get_session(SESSION_ID)
    kwargs = mocked.calls[0].request.req_kwargs  # type: ignore[attr-defined]
    assert kwargs["proxies"] == {"https": "http://proxy.example:3128"}
    assert kwargs["verify"] == "/etc/ca.pem"


def test_logs__never_show_the_key(
    client: ComplyCubeClient, mocked: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    """A retry is logged with the id and the status, without key or body."""
    mocked.get(ADDRESS, status=500, body=f"{KEY} Alice")
    with caplog.at_level(logging.DEBUG), pytest.raises(ComplyCubeError) as caught:
        client.get_session(SESSION_ID)
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("complycube_sessions")]
    assert len(ours) == 2
    assert SESSION_ID in ours[0]
    text = "".join([*ours, repr(client), repr(caught.value), str(caught.value)])
    assert KEY not in text
    assert "Alice" not in text


@pytest.mark.parametrize("method", ["list_sessions", "list_checks"])
def test_lists__request(
    client: ComplyCubeClient, mocked: responses.RequestsMock, method: str
) -> None:
    """A page asks for 1,000 items, with its filters encoded."""
    path = {"list_sessions": "workflowSessions", "list_checks": "checks"}[method]
    mocked.get(
        f"https://api.complycube.com/v1/{path}",
        json={"page": 2, "pageSize": 1000, "totalItems": 1001, "pages": 2, "items": [{"id": "x"}]},
    )
    call: Callable[..., Any] = getattr(client, method)
    after = time_filter(datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC))
    page = call(page=2, filters={"updatedAfter": after}).value
    assert [item.id for item in page.items] == ["x"]
    assert (page.page, page.pages, page.total_items) == (2, 2, 1001)
    assert mocked.calls[0].request.url.endswith(  # type: ignore[union-attr]
        f"/{path}?page=2&pageSize=1000&updatedAfter=2026-01-02T03%3A04%3A05.678Z"
    )


@pytest.mark.parametrize(
    "body", [None, [], {}, {"items": {}, "totalItems": 1}, {"items": [], "totalItems": "many"}]
)
def test_lists__not_an_envelope(
    client: ComplyCubeClient, mocked: responses.RequestsMock, body: object
) -> None:
    """What is not the documented envelope is an error, never an empty list."""
    mocked.get("https://api.complycube.com/v1/workflowSessions", body=json.dumps(body))
    with pytest.raises(ComplyCubePayloadError, match="list of sessions"):
        client.list_sessions(page=1, filters={})


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
    ],
    ids=["status line", "headers", "body", "size of a chunk"],
)
def test_answer__total_time_is_bounded(mocked: responses.RequestsMock, begin: bytes) -> None:
    """An answer that trickles without ever being silent for long ends at twice the timeout."""
    mocked.stop()
    listener = socket.create_server(("127.0.0.1", 0))
    account = Account(
        name="a",
        api_key=KEY,
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        timeout_seconds=0.3,
        max_retries=0,
        requests_per_second=1000,
    )
    import threading  # only this test needs a thread

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(begin)
                for _ in range(200):
                    connection.sendall(b" ")
                    time.sleep(0.02)
            except OSError:
                pass

    thread = threading.Thread(target=trickle)
    thread.start()
    began = time.monotonic()
    with pytest.raises(ComplyCubeConnectionError, match="no complete answer"):
        ComplyCubeClient(replace(account)).get_session(SESSION_ID)
    assert time.monotonic() - began < 3
    thread.join()
    listener.close()
    mocked.start()


def test_report_url__request(client: ComplyCubeClient, mocked: responses.RequestsMock) -> None:
    """A report is asked for by the session's id, and its address is hidden in what is shown."""
    mocked.get("https://api.complycube.com/v1/reports", json={"data": "https://a.test/x?s=secret"})
    answer = client.get_session_report_url(SESSION_ID)
    assert answer.value.url == "https://a.test/x?s=secret"
    assert "secret" not in repr(answer)
    request = mocked.calls[0].request
    assert request.path_url == f"/v1/reports?workflowSessionId={SESSION_ID}"
    assert request.headers["Authorization"] == KEY


@pytest.mark.parametrize(
    "body", [{}, [], 5, "https://a.test/", {"data": None}, {"data": ""}, {"data": {"url": "x"}}]
)
def test_report_url__no_address(
    client: ComplyCubeClient, mocked: responses.RequestsMock, body: object
) -> None:
    """An answer of another shape is an error that does not repeat it."""
    mocked.get("https://api.complycube.com/v1/reports", json=body)
    with pytest.raises(ComplyCubePayloadError, match=r"names no address of a report\.$"):
        client.get_session_report_url(SESSION_ID)


def test_report_url__unsafe_id(client: ComplyCubeClient, mocked: responses.RequestsMock) -> None:
    """An id that would change the address is refused before any request."""
    with pytest.raises(ComplyCubeInvalidIdError):
        client.get_session_report_url("a&clientId=b")
    assert len(mocked.calls) == 0
