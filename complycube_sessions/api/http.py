"""
Requests with the key of one account: the budget, timeouts, retries and bounds of an answer.

Nothing here touches the database. One client serves many threads; each has its own connections.
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
    What a request brought.

    ``began_at`` is by the clock here; ``answered_at`` is the vendor's ``Date``, which has whole
    seconds, or None where there was none that can be read.
    """

    value: Value
    began_at: datetime
    answered_at: datetime | None
    elapsed: timedelta
    size_bytes: int


class _Session(requests.Session):
    """A session that knows of no redirects: requests would prepare the next request, key and all."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class HTTPClient:
    """
    Sends requests, and repeats those that change nothing as ``Retries`` says.

    Args:
        account: Key, address and limits.
        throttle: The budget of the account's key.
        backoff: Waits the given seconds; replaced where a wait has to end early.
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
        # 403 stops a run only when nothing else was ever answered.
        self.answered_other_than_403 = False

    def give_up(self) -> None:
        """Repeat no request from now on: nobody has a use for its answer."""
        self._retries.give_up()

    @property
    def latency_seconds(self) -> float:
        """How long an answer takes of late: the median, so that a long list page is not mistaken for it."""
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
        Return what an address answers.

        Args:
            path: Behind the account's ``base_url``.
            subject: What is asked for, for errors.
            parse: Given the JSON of the answer and the vendor's time.
            retried: The errors after which it is asked again.
        """
        return self._retries.run(lambda: self._send_once(path, subject, parse), retried)

    def post(self, path: str, *, subject: str, body: Mapping[str, str]) -> None:
        """
        Ask for a change, once: whether a lost answer means that it was done, only the object can tell.

        What the answer says beside its status is not read; it may be 204, and without a body.

        Args:
            path: Behind the account's ``base_url``.
            subject: What is changed, for errors.
            body: Sent as JSON; nothing is sent where it is empty.

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
        hear = sealed(partial(as_unanswered, subject))(self._heard)
        with self._span("GET" if change is None else "POST", path):
            value, answered_at, size_bytes = hear(session, request, subject, parse)
        elapsed = timedelta(seconds=time.monotonic() - began)
        return Answer(value, began_at, answered_at, elapsed, size_bytes)

    def _span(self, method: str, path: str) -> AbstractContextManager[None]:
        """Return the span of a request, whose address is told without ids."""
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

    def _heard(
        self,
        session: requests.Session,
        request: requests.PreparedRequest,
        subject: str,
        parse: Callable[[Any, datetime | None], Value],
    ) -> tuple[Value, datetime | None, int]:
        """Send a request; return what its whole, bounded answer says, the vendor's time and its size."""
        began, is_change = time.monotonic(), request.method == "POST"
        with session.send(
            request, timeout=self._account.timeout_seconds, stream=True, allow_redirects=False
        ) as response:
            status, headers, body = (
                response.status_code,
                response.headers,
                # That a change was done says the status, whatever is wrong with the rest.
                _read_error(response) if is_change else _read(response, subject),
            )
        self._note(time.monotonic() - began, status)
        tracing.note({"http.response.status_code": status})
        if is_change and 200 <= status < 300:
            body = b"null"
        elif status != 200:
            raise api_error(status, headers, body, subject, self._account.api_key)
        answered_at = parse_http_date(headers.get("Date"))
        understand = sealed(as_unreadable)(lambda: parse(load_json(body), answered_at))
        try:
            return understand(), answered_at, len(body)
        except ComplyCubePayloadError as error:
            # An answer may repeat the key.
            text = without_key(f"{subject}: {error}", self._account.api_key)
            raise ComplyCubePayloadError(text) from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            # Otherwise a .netrc entry replaces the key, and proxies of the environment see it.
            session.trust_env = False
            for scheme in ("http://", "https://"):
                session.mount(scheme, BoundedAdapter())
            session.headers["User-Agent"] = USER_AGENT
            # What an answer wants to be sent back would be in the way of the requests that follow.
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
    """Read a body, bounded in size; its time is bounded by the connection."""
    if response.status_code != 200:
        return _read_error(response)
    text = f"{subject}: the answer is larger than {MAX_BODY_BYTES} bytes."
    return b"".join(pieces(response.raw, MAX_BODY_BYTES, ComplyCubePayloadError(text)))


def _read_error(response: requests.Response) -> bytes:
    """Return the first bytes of an error's body; the status counts, even where the body is broken."""
    try:
        return bytes(response.raw.read1(READ_BYTES, decode_content=True) or b"")
    except (urllib3.exceptions.HTTPError, OSError):
        return b""
