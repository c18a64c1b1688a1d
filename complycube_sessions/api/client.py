"""
Requests to the ComplyCube API: the key, the budget, timeouts, retries, and errors by name.

Nothing here touches the database. One client serves many threads; each has its own connections.
"""

from __future__ import annotations

import logging
import random
import re
import statistics
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3

from complycube_sessions.api.payloads import (
    CheckPayload,
    ListPage,
    SessionPayload,
    SessionSummary,
    in_utc,
    load_json,
    parse_check,
    parse_check_page,
    parse_session,
    parse_session_page,
    validate_id,
)
from complycube_sessions.api.report import ReportUrl
from complycube_sessions.api.scrubbing import CHECK, SESSION, scrubbed
from complycube_sessions.api.sealing import sealed
from complycube_sessions.api.throttle import Throttle
from complycube_sessions.api.transport import BoundedAdapter
from complycube_sessions.conf import Account, conf
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeAuthenticationError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubeNotFoundError,
    ComplyCubePayloadError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeScrubberError,
    ComplyCubeServerError,
)

logger = logging.getLogger("complycube_sessions.api")

PAGE_SIZE: Final = 1000
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
READ_BYTES: Final = 64 * 1024
MAX_MESSAGE: Final = 200
FIRST_BACKOFF_SECONDS: Final = 1.0
MAX_BACKOFF_SECONDS: Final = 60.0
# With the jitter that comes on top of what a `Retry-After` asks for.
LONGEST_BACKOFF_SECONDS: Final = 1.1 * MAX_BACKOFF_SECONDS
LATENCIES: Final = 9
USER_AGENT: Final = "django-complycube-sessions"

FAULTS_OF_A_MOMENT: Final = (
    ComplyCubeConnectionError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)
# A record that cannot be read costs itself; a page costs a thousand, and is worth another request.
FAULTS_OF_A_PAGE: Final = (*FAULTS_OF_A_MOMENT, ComplyCubePayloadError)

# What no request can be made of, though it is found out only when it is to be sent. A header may as well
# be one of the answer.
UNSENDABLE: Final = (
    requests.exceptions.URLRequired,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.URLSchemeUnknown,
    urllib3.exceptions.ProxySchemeUnsupported,
)
_UNUSABLE: Final = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)
_EXPECTED: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

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


class ComplyCubeClient:
    """
    The calls of the API that the mirror needs, each a method.

    All methods raise the errors of ``exceptions.py``; 429, 5xx and broken connections only after
    ``max_retries`` tries with exponential backoff and full jitter.

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
        self._backoff = backoff
        self._scrubber = conf.COMPLYCUBE_SCRUBBER
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self.requests_sent = 0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        # 403 stops a run only when nothing else was ever answered.
        self.answered_other_than_403 = False
        # Set by whoever has no more use for answers: no request is repeated from then on.
        self.gives_up = False

    @property
    def latency_seconds(self) -> float:
        """How long an answer takes of late: the median, so that a long list page is not mistaken for it."""
        with self._lock:
            return statistics.median(self._latencies) if self._latencies else 0.0

    def get_session(self, session_id: str) -> Answer[SessionPayload]:
        """
        Fetch one workflow session.

        Raises:
            ComplyCubeInvalidIdError: The id cannot be a part of an address; nothing was sent.
            ComplyCubeNotFoundError: The API does not know it with this key.
            ComplyCubePayloadError: The answer is not this session.

        Source:
            API reference, "Get a workflow session".
        """
        path = f"/workflowSessions/{quote(validate_id(session_id), safe='')}"
        return self._get(
            path,
            subject=session_id,
            parse=lambda data, at: parse_session(
                self._scrubbed(SESSION, data, session_id), session_id=session_id, answered_at=at
            ),
        )

    def get_check(self, check_id: str) -> Answer[CheckPayload]:
        """
        Fetch one check with its breakdown.

        Raises:
            ComplyCubeInvalidIdError: The id cannot be a part of an address; nothing was sent.
            ComplyCubeNotFoundError: The API does not know it with this key.
            ComplyCubePayloadError: The answer is not this check.

        Source:
            API reference, "Get a check".
        """
        path = f"/checks/{quote(validate_id(check_id), safe='')}"
        return self._get(
            path,
            subject=check_id,
            parse=lambda data, at: parse_check(
                self._scrubbed(CHECK, data, check_id), check_id=check_id, answered_at=at
            ),
        )

    def list_sessions(
        self, *, page: int, filters: Mapping[str, str]
    ) -> Answer[ListPage[SessionSummary]]:
        """
        Fetch one page of up to 1,000 sessions, newest created first.

        Args:
            page: 1 for the first page.
            filters: The API's own parameters, such as ``updatedAfter``; see ``time_filter``.

        Source:
            API reference, "List workflow sessions".
        """
        return self._get(
            _list_path("/workflowSessions", page, filters),
            subject=f"page {page} of the list of sessions",
            parse=lambda data, at: parse_session_page(data, answered_at=at),
            retried=FAULTS_OF_A_PAGE,
        )

    def list_checks(
        self, *, page: int, filters: Mapping[str, str]
    ) -> Answer[ListPage[CheckPayload]]:
        """
        Fetch one page of up to 1,000 checks without their breakdowns, newest created first.

        Args:
            page: 1 for the first page.
            filters: The API's own parameters, such as ``clientId``.

        Source:
            API reference, "List checks".
        """
        faults: list[str] = []

        def scrub(check: dict[str, Any], check_id: str) -> Any:
            try:
                return self._scrubbed(CHECK, check, check_id)
            except ComplyCubeScrubberError as error:
                faults.append(str(error))
                return None

        answer = self._get(
            _list_path("/checks", page, filters),
            subject=f"page {page} of the list of checks",
            parse=lambda data, at: parse_check_page(data, answered_at=at, scrub=scrub),
            retried=FAULTS_OF_A_PAGE,
        )
        if faults:  # status and outcome, which no scrubber changes, must not wait for its repair
            logger.warning(
                "%s So it is for %s checks of a page of the list; only what the list tells of their "
                "state is stored.",
                faults[0],
                len(faults),
                extra={"account": self._account.name},
            )
        return answer

    def get_session_report_url(self, session_id: str) -> Answer[ReportUrl]:
        """
        Have the vendor make a report of a session, and return the address of the PDF.

        It is good for ten minutes and for whoever knows it; ``open_report`` is the way to ask it.

        Raises:
            ComplyCubeInvalidIdError: The id cannot be a part of an address; nothing was sent.
            ComplyCubeNotFoundError: The API does not know it with this key.
            ComplyCubePayloadError: The answer names no address.

        Source:
            API reference, "Generate a workflow session report".
        """
        query = urlencode({"workflowSessionId": validate_id(session_id)}, quote_via=quote)
        return self._get(
            f"/reports?{query}",
            subject=f"report of {session_id}",
            parse=lambda data, at: _report_url(data),
        )

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def _scrubbed(self, kind: str, data: Any, subject: str) -> Any:
        return scrubbed(self._scrubber, kind, data, subject=subject)

    def _get(
        self,
        path: str,
        *,
        subject: str,
        parse: Callable[[Any, datetime | None], Value],
        retried: tuple[type[ComplyCubeError], ...] = FAULTS_OF_A_MOMENT,
    ) -> Answer[Value]:
        attempt = 0
        while True:
            try:
                return self._get_once(path, subject, parse)
            except retried as error:
                if self.gives_up or attempt >= self._account.max_retries:
                    raise
                if not self._waits_after(error, attempt):
                    raise
                attempt += 1

    def _waits_after(self, error: ComplyCubeError, attempt: int) -> bool:
        """Wait before the next try; return whether there is the patience for it."""
        seconds = backoff_seconds(error, attempt)
        if isinstance(error, ComplyCubeRateLimitError):
            self.throttle.pause(seconds)
        if not self.throttle.patience.lasts(seconds):
            return False
        logger.info(
            "%s; trying again in %.1f s.",
            error,
            seconds,
            extra={
                "account": self._account.name,
                "status_code": getattr(error, "status_code", None),
                "wait_seconds": seconds,
            },
        )
        if not isinstance(error, ComplyCubeRateLimitError):
            self.throttle.patience.spend(seconds)
            self._backoff(seconds)
        return True

    def _get_once(
        self, path: str, subject: str, parse: Callable[[Any, datetime | None], Value]
    ) -> Answer[Value]:
        session = self._session()
        self.throttle.acquire()
        began_at, began = datetime.now(UTC), time.monotonic()
        with self._lock:
            self.requests_sent += 1
        request = sealed(_as_unusable)(self._prepared)(session, path)
        hear = sealed(partial(_as_unanswered, subject))(self._heard)
        value, answered_at, size_bytes = hear(session, request, subject, parse)
        elapsed = timedelta(seconds=time.monotonic() - began)
        return Answer(value, began_at, answered_at, elapsed, size_bytes)

    def _prepared(self, session: requests.Session, path: str) -> requests.PreparedRequest:
        headers = {"Authorization": self._account.api_key}
        url = self._account.base_url + path
        return session.prepare_request(requests.Request("GET", url, headers=headers))

    def _heard(
        self,
        session: requests.Session,
        request: requests.PreparedRequest,
        subject: str,
        parse: Callable[[Any, datetime | None], Value],
    ) -> tuple[Value, datetime | None, int]:
        """Send a request; return what its whole, bounded answer says, the vendor's time and its size."""
        began = time.monotonic()
        with session.send(
            request, timeout=self._account.timeout_seconds, stream=True, allow_redirects=False
        ) as response:
            status, headers, body = (
                response.status_code,
                response.headers,
                _read(response, subject),
            )
        self._note(time.monotonic() - began, status)
        if status != 200:
            raise _api_error(status, headers, body, subject, self._account.api_key)
        answered_at = _date(headers.get("Date"))
        understand = sealed(_as_unreadable)(lambda: parse(load_json(body), answered_at))
        try:
            return understand(), answered_at, len(body)
        except ComplyCubePayloadError as error:
            # An answer may repeat the key.
            text = _without_key(f"{subject}: {error}", self._account.api_key)
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


def _as_unusable(error: Exception) -> Exception:
    """Return the error of a request that cannot be made, of which only the settings can be the cause."""
    if isinstance(error, _UNUSABLE):
        return ComplyCubeConfigurationError(
            f"No request can be made with BASE_URL or PROXIES of the account ({type(error).__name__})."
        )
    return _as_unanswered("The request", error)


def _as_unanswered(subject: str, error: Exception) -> Exception:
    """Return the error of a request that was made: what its answer breaks is a fault of that answer."""
    if isinstance(error, UNSENDABLE):
        return _as_unusable(error)
    # The class itself: a subclass may be an answer's, and quote it.
    if type(error) is OSError and "CA certificate bundle" in str(error):
        return ComplyCubeConfigurationError("The CA_BUNDLE of the account names no readable file.")
    name = type(error).__name__
    if not isinstance(error, _EXPECTED):
        # Where it rose; its words and its variables may hold the key.
        places = traceback.extract_tb(error.__traceback__)
        place = f"{places[-1].filename}:{places[-1].lineno}" if places else "nowhere"
        logger.error("%s: %s at %s.", subject, name, place, extra={"error": name})
    return ComplyCubeConnectionError(f"{subject}: no complete answer ({name}).")


def _as_unreadable(error: Exception) -> Exception:
    return ComplyCubePayloadError(f"The answer cannot be read ({type(error).__name__}).")


def backoff_seconds(error: ComplyCubeError, attempt: int) -> float:
    """
    Return how long to wait before the next try.

    Args:
        error: What the last try ended in; its ``Retry-After`` is honoured up to a minute.
        attempt: 0 after the first try.
    """
    most = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**attempt)
    jittered = random.uniform(0, most)  # noqa: S311 - spreads load, guards nothing
    asked = getattr(error, "retry_after_seconds", None)
    return jittered if asked is None else min(asked, MAX_BACKOFF_SECONDS) + jittered / 10


def time_filter(time: datetime) -> str:
    """Return a time as the API writes it, cut to milliseconds."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _list_path(path: str, page: int, filters: Mapping[str, str]) -> str:
    query = {"page": str(page), "pageSize": str(PAGE_SIZE), **filters}
    return f"{path}?{urlencode(query, quote_via=quote)}"


def _report_url(data: Any) -> ReportUrl:
    url = data.get("data") if isinstance(data, dict) else None
    if not isinstance(url, str) or not url:
        raise ComplyCubePayloadError("the answer names no address of a report.")
    return ReportUrl(url)


def _read(response: requests.Response, subject: str) -> bytes:
    """Read a body, bounded in size; its time is bounded by the connection."""
    if response.status_code != 200:
        return _read_error(response)
    body = bytearray()
    # `read1` returns what one read of the socket brought; `iter_content` would wait for a full chunk.
    while chunk := response.raw.read1(READ_BYTES, decode_content=True):
        body += chunk
        size_bytes = len(body)
        if size_bytes > MAX_BODY_BYTES:
            # An error page shows the variables of this function.
            del body, chunk
            raise ComplyCubePayloadError(
                f"{subject}: the answer is larger than {MAX_BODY_BYTES} bytes."
            )
    return bytes(body)


def _read_error(response: requests.Response) -> bytes:
    """Return the first bytes of an error's body; the status counts, even where the body is broken."""
    try:
        return bytes(response.raw.read1(READ_BYTES, decode_content=True) or b"")
    except (urllib3.exceptions.HTTPError, OSError):
        return b""


def _api_error(
    status: int, headers: Mapping[str, str], body: bytes, subject: str, api_key: str
) -> ComplyCubeAPIError:
    """Return the error of a status; of the body only its ``type`` and the start of its ``message``."""
    said = _said(body, api_key)
    if 300 <= status < 400:
        host = _without_key(_host(headers.get("Location", "")), api_key)
        said = f", a redirect to {host[:100]!a}; not followed."
    text = _without_key(f"{subject}: the API answered {status}{said}", api_key)
    if status == 429:
        return ComplyCubeRateLimitError(text, retry_after_seconds=_retry_after(headers))
    if status >= 500:
        return ComplyCubeServerError(
            text, status_code=status, retry_after_seconds=_retry_after(headers)
        )
    classes: dict[int, type[ComplyCubeAPIError]] = {
        401: ComplyCubeAuthenticationError,
        402: ComplyCubePaymentError,
        403: ComplyCubePermissionError,
        404: ComplyCubeNotFoundError,
    }
    return classes.get(status, ComplyCubeAPIError)(text, status_code=status)


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "the same host"
    except ValueError:
        return "an address that is none"


def _without_key(text: str, api_key: str) -> str:
    """Return text that may have been written by an API, or a gateway, that repeats what it was sent."""
    return re.sub(re.escape(api_key), "[the key]", text, flags=re.IGNORECASE)


def _said(body: bytes, api_key: str) -> str:
    try:
        data = load_json(body)
    except ComplyCubePayloadError:
        return "."
    if not isinstance(data, dict):
        return "."
    said = ": ".join(
        filter(None, (_one_line(data.get(key), api_key) for key in ("type", "message")))
    )
    # In quotes and ended, so that nobody takes its words for ours, nor ours for a part of them.
    return f': "{said}".' if said else "."


def _one_line(value: object, api_key: str) -> str:
    if not isinstance(value, str):
        return ""
    text = _without_key(value, api_key)[:MAX_MESSAGE]
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which holds a number or a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("Date")) or datetime.now(UTC)
    return max(0.0, (until - now) / timedelta(seconds=1))


def _date(value: str | None) -> datetime | None:
    try:
        return in_utc(parsedate_to_datetime(value or ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
