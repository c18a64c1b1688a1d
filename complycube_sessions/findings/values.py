"""Formatting single values of the vendor for people: texts, dates, scores."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MAX_TEXT: Final = 200
# Characters that would reorder or hide others; joiners, which some scripts need, are kept.
_CONTROLS: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_DATE_PARTS: Final = frozenset({"day", "month", "year"})
# Python refuses to write a number of more digits.
_LONGEST_NUMBER: Final = 10**60


def visible(value: object, length: int) -> str:
    """Return text without invisible or reordering characters, cut to a length."""
    text = str(value)
    rest = len(text) - length
    shown = _CONTROLS.sub(lambda match: f"[U+{ord(match[0]):04X}]", text[:length])
    if rest <= 0:
        return shown
    more = ngettext("%(count)d more character", "%(count)d more characters", rest)
    return f"{shown}… ({more % {'count': rest}})"


def short_text(value: Any, length: int = MAX_TEXT) -> str:
    """Return a text or a number as one line of bounded length, and ``""`` for anything else."""
    if isinstance(value, str):
        line = _CONTROLS.sub("", " ".join(value[: 2 * length].split()))
        return line if len(line) <= length else f"{line[: length - 1]}…"
    return number_text(value) if is_number(value) else ""


def is_number(value: Any) -> bool:
    """Return whether a value is a number that can be shown as one."""
    is_plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_plain and bool(abs(value) < _LONGEST_NUMBER)


def number_text(value: Any) -> str:
    """Return a number with at most two decimals, without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def structured_date(value: Any) -> str:
    """
    Return an object of ``day``, ``month`` and ``year`` as ``1970-03-21``, and ``""`` for any other value.

    The vendor writes dates of results in this way; unknown parts of a date are left out.
    """
    if not isinstance(value, dict) or not 0 < len(value) <= len(_DATE_PARTS):
        return ""
    if not {*value} <= _DATE_PARTS or "year" not in value:
        return ""
    year, month, day = (value.get(part) for part in ("year", "month", "day"))
    if any(type(part) is not int for part in value.values()) or (day and not month):
        return ""
    try:
        whole = date(year, month or 1, day or 1).isoformat()  # type: ignore[arg-type] # ints, as said above
    except (ValueError, OverflowError):
        return ""
    return whole[: 10 if day else 7 if month else 4]


def date_text(value: Any) -> str:
    """Return a date, structured or as text, and ``""`` for anything else."""
    if isinstance(value, list):
        dates = [shown for one in value[:3] if (shown := date_text(one))]
        return ", ".join(dates)
    return structured_date(value) or short_text(value, 40)


def time_of(value: Any) -> datetime | None:
    """Return a text of the vendor as an aware time, or None if it is not a valid time."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        when = parse_datetime(value)
    except ValueError:
        return None
    if when is None or not 1900 <= when.year <= 2200:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def score_text(value: Any) -> str:
    """Return a score with its scale, which the vendor gives as 0 to 100, and ``""`` for no score."""
    if not is_number(value):
        return ""
    text = (
        _("%(score)s of 100") if _is_of_hundred(value) else _("score %(score)s, of unknown scale")
    )
    return text % {"score": number_text(value)}


def likeness_text(value: Any) -> str:
    """Return a similarity as a percentage, and ``""`` for no score."""
    if not is_number(value):
        return ""
    if not _is_of_hundred(value):
        return score_text(value)
    return _("%(share)s %% alike") % {"share": number_text(value)}


def _is_of_hundred(value: float) -> bool:
    """Return whether a score is on the documented scale; a fraction may be on a scale of 0 to 1."""
    return value == 0 or 1 <= value <= 100
