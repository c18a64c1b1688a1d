"""
What a value of a setting has to be, and what is said and to be typed where it is not.

Nothing here reads the settings: ``conf`` has their table, and names the rule of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from django.utils.module_loading import import_string

# What may be given an age; all else goes with its session, or is work that is still to be done.
RETAINED: Final = ("WorkflowSession", "SessionChange", "RefreshRun", "WebhookEvent")
# Operating systems refuse far longer timeouts, and nobody means them.
LARGEST_NUMBER: Final = 1_000_000
# What requests looks for; it would pass over any other key, and the proxy with it.
PROXIED: Final = frozenset({"http", "https", "all"})


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the settings, with what to type instead."""

    number: str
    message: str
    hint: str


@dataclass(frozen=True)
class Rule:
    """What a value has to meet, with the number of the system check, what it says and what to type."""

    number: str
    is_met: Callable[[Any], bool]
    problem: str
    hint: str

    def fault(self, where: str, value: object) -> Fault | None:
        """Return what is wrong with a value that stands ``where``, or None."""
        if self.is_met(value):
            return None
        return Fault(self.number, f"{where} {self.problem}", self.hint)


def is_function_path(value: object) -> bool:
    if value is None or value == "":
        return True
    try:
        return isinstance(value, str) and callable(import_string(value))
    except ImportError:
        return False


def is_positive_timedelta(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def is_portal_url(value: object) -> bool:
    if value == "":
        return True
    if not isinstance(value, str) or value.count("{id}") != 1:
        return False
    # The host must not depend on an id that comes from outside.
    parts = _split_url(value.split("{id}")[0])
    return parts is not None and parts.scheme == "https" and bool(parts.path)


def is_retention(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        name in RETAINED and is_positive_timedelta(age) for name, age in value.items()
    )


def has_key(value: object) -> bool:
    return value is not None and value != ""


def can_be_sent(key: object) -> bool:
    if not has_key(key):
        return True
    return isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key


def are_secrets(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, list | tuple) and all(isinstance(s, str) and s for s in value)


def is_base_url(value: object) -> bool:
    if value is None:
        return True
    parts = _split_url(value) if isinstance(value, str) else None
    return (
        parts is not None
        and parts.scheme in {"http", "https"}
        and not (parts.query or parts.fragment)
    )


def _split_url(url: str) -> SplitResult | None:
    """Return the parts of an address to which a path can be added, or None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port  # one that is no number raises here
    except ValueError:
        return None
    # Credentials of an address would be sent in place of the key.
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    return parts if parts.hostname and plain and port != 0 else None


def is_positive_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= LARGEST_NUMBER


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def are_proxies(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, Mapping) and all(
        isinstance(k, str) and k.split("://")[0] in PROXIED and isinstance(v, str) and v
        for k, v in value.items()
    )


def is_path(value: object) -> bool:
    return value is None or (isinstance(value, str) and value != "")
