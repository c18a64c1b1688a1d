"""Reading single values of a response: missing values and other types become ``""``, None or an empty list."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from complycube_sessions.api.storable_json import NumberMark, clean_text

MAX_CLOCK_AHEAD: Final = timedelta(days=1)
BIGINT_MAX: Final = 2**63 - 1

# `fromisoformat` also accepts week dates and dates without a time.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}.*", re.ASCII)


def parse_time(value: object) -> datetime | None:
    """Return an ISO 8601 time as aware UTC, or None if it cannot be read or does not exist."""
    if not isinstance(value, str) or not _TIME.fullmatch(value.strip()):
        return None
    try:
        return in_utc(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None


def in_utc(time: datetime) -> datetime | None:
    """Return a time as aware UTC, or None near the ends of the calendar, where arithmetic would overflow."""
    try:
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if 1900 <= time.year < 9999 else None


def cut_text(value: object, length: int) -> str:
    """Return text for display that fits a column of ``length``; cut text ends in ``…``."""
    text = plain_text(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def key_text(value: object, length: int) -> str:
    """
    Return text for comparisons that fits a column; cut text ends in a hash, so that it stays distinct.

    A ``NumberMark`` becomes ``""``, as different numbers may have the same mark.
    """
    text = "" if isinstance(value, NumberMark) else plain_text(value)
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: length - 18]}…~{digest}"


def known_time(value: object, clock: datetime) -> datetime | None:
    """Return a time, or None if it cannot be read or lies more than a day ahead of the clock."""
    time = parse_time(value)
    return None if time is None or time > clock + MAX_CLOCK_AHEAD else time


def vendor_clock(answered_at: datetime | None) -> datetime:
    return answered_at or datetime.now(UTC)


def plain_text(value: object) -> str:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def whole_number(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= BIGINT_MAX else None


def as_list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
