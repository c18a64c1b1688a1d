"""Mapping failed requests to the errors of ``exceptions``, which hold neither the key nor a body."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3

from complycube_sessions.api.storable_json import load_json
from complycube_sessions.api.values import in_utc
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeAuthenticationError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeNotFoundError,
    ComplyCubePayloadError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)

logger = logging.getLogger("complycube_sessions.api")

MAX_MESSAGE: Final = 200

# Errors of requests that cannot be sent, raised only while sending. A wrong header may also be one of the
# response.
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


def as_unusable(error: Exception) -> Exception:
    """Return the error for a request that cannot be built, which only wrong settings can cause."""
    if isinstance(error, _UNUSABLE):
        return ComplyCubeConfigurationError(
            f"No request can be made with BASE_URL or PROXIES of the account ({type(error).__name__})."
        )
    return as_unanswered("The request", error)


def as_unanswered(subject: str, error: Exception) -> Exception:
    """Return the error for a request that was sent and got no readable response."""
    if isinstance(error, UNSENDABLE):
        return as_unusable(error)
    # Exactly OSError: the message of a subclass may quote the response.
    if type(error) is OSError and "CA certificate bundle" in str(error):
        return ComplyCubeConfigurationError("The CA_BUNDLE of the account names no readable file.")
    name = type(error).__name__
    if not isinstance(error, _EXPECTED):
        # Log only the place: the message and the variables may contain the key.
        places = traceback.extract_tb(error.__traceback__)
        place = f"{places[-1].filename}:{places[-1].lineno}" if places else "nowhere"
        logger.error("%s: %s at %s.", subject, name, place, extra={"error": name})
    return ComplyCubeConnectionError(f"{subject}: no complete answer ({name}).")


def as_unreadable(error: Exception) -> Exception:
    return ComplyCubePayloadError(f"The answer cannot be read ({type(error).__name__}).")


def api_error(
    status: int, headers: Mapping[str, str], body: bytes, subject: str, api_key: str
) -> ComplyCubeAPIError:
    """Return the error for a status, with only the ``type`` and the start of the ``message`` of the body."""
    detail = _error_detail(body, api_key)
    if 300 <= status < 400:
        host = without_key(_host(headers.get("Location", "")), api_key)
        detail = f", a redirect to {host[:100]!a}; not followed."
    text = without_key(f"{subject}: the API answered {status}{detail}", api_key)
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


def without_key(text: str, api_key: str) -> str:
    """Return text without the key, as an API or a gateway may repeat it."""
    return re.sub(re.escape(api_key), "[the key]", text, flags=re.IGNORECASE)


def _error_detail(body: bytes, api_key: str) -> str:
    try:
        data = load_json(body)
    except ComplyCubePayloadError:
        return "."
    if not isinstance(data, dict):
        return "."
    detail = ": ".join(
        filter(None, (_one_line(data.get(key), api_key) for key in ("type", "message")))
    )
    # Quoted and ended with a full stop, to separate the API's words from ours.
    return f': "{detail}".' if detail else "."


def _one_line(value: object, api_key: str) -> str:
    if not isinstance(value, str):
        return ""
    text = without_key(value, api_key)[:MAX_MESSAGE]
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which is a number or a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = parse_http_date(value)
    if until is None:
        return None
    now = parse_http_date(headers.get("Date")) or datetime.now(UTC)
    return max(0.0, (until - now) / timedelta(seconds=1))


def parse_http_date(value: str | None) -> datetime | None:
    """Return the time of a header in UTC, or None if it is missing or cannot be read."""
    try:
        return in_utc(parsedate_to_datetime(value or ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
