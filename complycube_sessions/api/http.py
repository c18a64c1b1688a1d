"""
Requests with the key of one account: budget, timeouts, retries and bounds on the response.

This module does not use the database. One client serves many threads, each with its own connections.
"""

from __future__ import annotations

import json
import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Generic, TypeVar

import requests
import urllib3

from complycube_sessions import tracing
from complycube_sessions.api.errors import (
    api_error,
    as_unanswered,
    as_unreadable,
    as_unusable,
    parse_http_date,
    without_key,
)
from complycube_sessions.api.retries import TRANSIENT_ERRORS, Retries
from complycube_sessions.api.sealing import sealed
from complycube_sessions.api.storable_json import load_json
from complycube_sessions.api.throttle import Throttle
from complycube_sessions.api.transport import READ_BYTES, USER_AGENT, BoundedAdapter, pieces
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import (
    ComplyCubeError,
    ComplyCubePayloadError,
    ComplyCubeRateLimitError,
)

logger = logging.getLogger("complycube_sessions.api")

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
LATENCIES: Final = 9

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """
    The result of a request.

    ``began_at`` is by our clock; ``answered_at`` is the vendor's ``Date`` header, which has whole seconds, or
    None if it is missing or cannot be read.
    """

    value: Value
    began_at: datetime
    answered_at: datetime | None
    elapsed: timedelta
    size_bytes: int


class _Session(requests.Session):
    """A session that ignores redirects: requests would prepare the next request, including the key."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class HTTPClient:
    """
    Sends requests, and retries those that change nothing as ``Retries`` describes.

    Args:
        account: The key, base URL and limits.
        throttle: The request budget of the account's key.
        backoff: Waits the given seconds; replaced by callers that have to end a wait early.
    """

    def __init__(
        self,
        account: Account,
        throttle: Throttle | None = None,
        *,
        backoff: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self.throttle = throttle or Throttle(account.requests_per_second)
        self._retries = Retries(account, self.throttle, backoff)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self.requests_sent = 0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        # A 403 stops a run only if the API has never answered anything else.
        self.answered_other_than_403 = False

    def give_up(self) -> None:
        """Retry no request from now on: the responses are no longer needed."""
        self._retries.give_up()

    @property
    def latency_seconds(self) -> float:
        """The recent response time: the median, so that one slow list page does not count much."""
        with self._lock:
            return statistics.median(self._latencies) if self._latencies else 0.0

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def get(
        self,
        path: str,
        *,
        subject: str,
        parse: Callable[[Any, datetime | None], Value],
        retried: tuple[type[ComplyCubeError], ...] = TRANSIENT_ERRORS,
    ) -> Answer[Value]:
        """
        Send a GET request and return the parsed response.

        Args:
            path: The path after the account's ``base_url``.
            subject: The requested object, for error messages.
            parse: Called with the JSON of the response and the vendor's time.
            retried: The errors after which to retry.
        """
        return self._retries.run(lambda: self._send_once(path, subject, parse), retried)

    def post(self, path: str, *, subject: str, body: Mapping[str, str]) -> None:
        """
        Send a POST request once; it is not retried, as the change may be done even if the response is lost.

        Only the status of the response is read; it may be 204 without a body.

        Args:
            path: The path after the account's ``base_url``.
            subject: The object to change, for error messages.
            body: Sent as JSON; if it is empty, no body is sent.

        Raises:
            ComplyCubeConnectionError, ComplyCubeServerError: The change may be done all the same.
            ComplyCubeError: Any other error of ``exceptions.py``; the change was not done.
        """
        try:
            self._send_once(path, subject, lambda data, at: None, change=body)
        except ComplyCubeRateLimitError as error:
            self._retries.pause_all(error)
            raise

    def _send_once(
        self,
        path: str,
        subject: str,
        parse: Callable[[Any, datetime | None], Value],
        *,
        change: Mapping[str, str] | None = None,
    ) -> Answer[Value]:
        session = self._session()
        self.throttle.acquire()
        began_at, began = datetime.now(UTC), time.monotonic()
        with self._lock:
            self.requests_sent += 1
        request = sealed(as_unusable)(self._prepared)(session, path, change)
        exchange = sealed(partial(as_unanswered, subject))(self._exchange)
        with self._span("GET" if change is None else "POST", path):
            value, answered_at, size_bytes = exchange(session, request, subject, parse)
        elapsed = timedelta(seconds=time.monotonic() - began)
        return Answer(value, began_at, answered_at, elapsed, size_bytes)

    def _span(self, method: str, path: str) -> AbstractContextManager[None]:
        """Return the span of a request; its URL template contains no ids."""
        template = route_of(path)
        attributes = {
            "http.request.method": method,
            "url.template": template,
            "server.address": self._account.host,
            "complycube.account": self._account.name,
        }
        return tracing.span(f"{method} {template}", attributes, is_client=True)

    def _prepared(
        self, session: requests.Session, path: str, change: Mapping[str, str] | None
    ) -> requests.PreparedRequest:
        headers = {"Authorization": self._account.api_key}
        url = self._account.base_url + path
        if change is None:
            return session.prepare_request(requests.Request("GET", url, headers=headers))
        headers["Content-Type"] = "application/json"
        body = json.dumps(change) if change else None
        return session.prepare_request(requests.Request("POST", url, headers=headers, data=body))

    def _exchange(
        self,
        session: requests.Session,
        request: requests.PreparedRequest,
        subject: str,
        parse: Callable[[Any, datetime | None], Value],
    ) -> tuple[Value, datetime | None, int]:
        """Send a request; return the parsed response, the vendor's time and the size of the body."""
        began, is_change = time.monotonic(), request.method == "POST"
        with session.send(
            request, timeout=self._account.timeout_seconds, stream=True, allow_redirects=False
        ) as response:
            status, headers, body = (
                response.status_code,
                response.headers,
                # For a change only the status matters, even if the body is broken.
                _read_error(response) if is_change else _read(response, subject),
            )
        self._note(time.monotonic() - began, status)
        tracing.note({"http.response.status_code": status})
        if is_change and 200 <= status < 300:
            body = b"null"
        elif status != 200:
            raise api_error(status, headers, body, subject, self._account.api_key)
        answered_at = parse_http_date(headers.get("Date"))
        parse_body = sealed(as_unreadable)(lambda: parse(load_json(body), answered_at))
        try:
            return parse_body(), answered_at, len(body)
        except ComplyCubePayloadError as error:
            # The response may repeat the key.
            text = without_key(f"{subject}: {error}", self._account.api_key)
            raise ComplyCubePayloadError(text) from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            # Otherwise a .netrc entry would replace the key, and proxies of the environment would see it.
            session.trust_env = False
            for scheme in ("http://", "https://"):
                session.mount(scheme, BoundedAdapter())
            session.headers["User-Agent"] = USER_AGENT
            # Accept no cookies: they would be sent with later requests.
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
            session.proxies = dict(self._account.proxies or {})
            session.verify = self._account.ca_bundle or True
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def _note(self, seconds: float, status: int) -> None:
        with self._lock:
            self._latencies.append(seconds)
            self.answered_other_than_403 |= status != 403


def route_of(path: str) -> str:
    """Return a path of the API with ``{id}`` in place of an id, and without its query."""
    resource, *rest = path.partition("?")[0].strip("/").split("/")
    named = ["{id}", *rest[1:]] if rest else []
    return "/".join(["", resource, *named])


def _read(response: requests.Response, subject: str) -> bytes:
    """Read a body of bounded size; the connection bounds the time."""
    if response.status_code != 200:
        return _read_error(response)
    text = f"{subject}: the answer is larger than {MAX_BODY_BYTES} bytes."
    return b"".join(pieces(response.raw, MAX_BODY_BYTES, ComplyCubePayloadError(text)))


def _read_error(response: requests.Response) -> bytes:
    """Return the first bytes of an error's body; the status counts, even if the body is broken."""
    try:
        return bytes(response.raw.read1(READ_BYTES, decode_content=True) or b"")
    except (urllib3.exceptions.HTTPError, OSError):
        return b""
