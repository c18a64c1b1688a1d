"""
The rules for the values of settings, with the messages and hints for wrong ones.

This module does not read the settings: ``conf`` lists them with their rules. The keys of an account are listed
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop

DEFAULT_BASE_URL: Final = "https://api.complycube.com/v1"
# The models that may have a retention; other rows are removed with their session, or are pending work.
RETAINED: Final = ("WorkflowSession", "SessionChange", "RefreshRun", "WebhookEvent")
# The default reasons for decisions on reviews.
REVIEW_REASONS: Final = {
    "approved": (
        gettext_noop("False positive"),
        gettext_noop("Verified by other documents"),
        gettext_noop("Accepted after enhanced due diligence"),
    ),
    "declined": (
        gettext_noop("True match on a list"),
        gettext_noop("Document not genuine"),
        gettext_noop("Person and document differ"),
        gettext_noop("Suspected fraud"),
    ),
    "more_information": (
        gettext_noop("Document unreadable or expired"),
        gettext_noop("Another document is needed"),
        gettext_noop("Source of funds is unclear"),
    ),
    "escalated": (
        gettext_noop("Politically exposed person"),
        gettext_noop("Possible match on a sanctions list"),
        gettext_noop("Beyond my authority"),
    ),
}
TOO_LONG: Final = timedelta(days=36_525)
# Operating systems reject much longer timeouts.
LARGEST_NUMBER: Final = 1_000_000
# The schemes that requests knows; it would ignore a proxy under any other key.
PROXIED: Final = frozenset({"http", "https", "all"})


@dataclass(frozen=True)
class Fault:
    """One problem with the settings, with a hint on how to fix it."""

    number: str
    message: str
    hint: str


@dataclass(frozen=True)
class Rule:
    """A condition for a value, with the number of the system check, its message and its hint."""

    number: str
    is_met: Callable[[Any], bool]
    problem: str
    hint: str

    def fault(self, where: str, value: object) -> Fault | None:
        """Return what is wrong with the value of ``where``, or None."""
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


def are_words(value: object, longest: int = 64) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(word, str) and 0 < len(word) <= longest for word in value
    )


def are_review_reasons(value: object) -> bool:
    if value is None:
        return True
    lists = list(value.values()) if isinstance(value, Mapping) else [value]
    known = not isinstance(value, Mapping) or set(value) <= set(REVIEW_REASONS)
    return known and all(are_words(reasons, longest=255) for reasons in lists)


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
    """Return the parts of a URL that a path can be appended to, or None if it is not valid."""
    try:
        parts = urlsplit(url)
        port = parts.port  # raises if it is no number
    except ValueError:
        return None
    # Credentials in the URL would be sent instead of the key.
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


# The keys of an account with their defaults; the default rate depends on the API key.
ACCOUNT_KEYS: Final[Mapping[str, Any]] = {
    "API_KEY": None,
    "WEBHOOK_SECRETS": None,
    "BASE_URL": DEFAULT_BASE_URL,
    "REQUESTS_PER_SECOND": None,
    "TIMEOUT": 30,
    "MAX_RETRIES": 5,
    "PROXIES": None,
    "CA_BUNDLE": None,
}
# In the order in which faults are reported; a value has to meet all rules of its key.
ACCOUNT_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "API_KEY": (
        Rule(
            "W001",
            has_key,
            "has no API_KEY.",
            'Set "API_KEY" to the key of the ComplyCube portal ("test_…" or "live_…").',
        ),
        Rule(
            "E004",
            can_be_sent,
            "has an API_KEY that cannot be sent.",
            "Set it to the bare key as the portal shows it, without spaces or line ends.",
        ),
    ),
    "WEBHOOK_SECRETS": (
        Rule(
            "E005",
            are_secrets,
            "has WEBHOOK_SECRETS that are not a list of non-empty texts.",
            'Write "WEBHOOK_SECRETS": ["…"], or leave it out.',
        ),
    ),
    "BASE_URL": (
        Rule(
            "E008",
            is_base_url,
            "has a BASE_URL that is not an http or https address.",
            f'Leave it out, or write "BASE_URL": "{DEFAULT_BASE_URL}".',
        ),
    ),
    "REQUESTS_PER_SECOND": (
        Rule(
            "E006",
            lambda value: value is None or is_positive_number(value),
            "has a REQUESTS_PER_SECOND that is not a number above zero.",
            "Leave REQUESTS_PER_SECOND out for its default, or write a number such as 4.",
        ),
    ),
    "TIMEOUT": (
        Rule(
            "E007",
            is_positive_number,
            "has a TIMEOUT that is not a number above zero.",
            "Leave TIMEOUT out for its default, or write a number such as 4.",
        ),
    ),
    "MAX_RETRIES": (
        Rule(
            "E009",
            is_count,
            "has a MAX_RETRIES that is not a whole number of zero or more.",
            'Leave it out, or write "MAX_RETRIES": 5.',
        ),
    ),
    "PROXIES": (
        Rule(
            "E010",
            are_proxies,
            "has PROXIES that are not a dictionary of schemes and addresses.",
            'Write "PROXIES": {"https": "http://proxy.example:3128"}, or leave it out.',
        ),
    ),
    "CA_BUNDLE": (
        Rule(
            "E012",
            is_path,
            "has a CA_BUNDLE that is not the path of a file.",
            "Write the path of a PEM file, or leave it out. Verification cannot be switched off.",
        ),
        Rule(
            "E062",
            lambda value: value is None or not is_path(value) or Path(value).exists(),
            "has a CA_BUNDLE that does not exist.",
            "Write the path of a PEM file that the site can read, or leave it out.",
        ),
    ),
}


def account_faults(name: str, entry: object) -> list[Fault]:
    """
    Return all problems of one entry of ``COMPLYCUBE_ACCOUNTS``, worst first.

    Returns:
        Faults whose ``number`` is the number of the system check (``E002`` …, ``W001`` for a missing key).
    """
    where = f'COMPLYCUBE_ACCOUNTS["{name}"]'
    if not isinstance(entry, Mapping):
        return [Fault("E002", f"{where} is not a dictionary.", 'Write {"API_KEY": "test_…"}.')]
    faults = [
        rule.fault(where, entry.get(key, ACCOUNT_KEYS[key]))
        for key, rules in ACCOUNT_RULES.items()
        for rule in rules
    ]
    return [fault for fault in (_unknown_keys(where, entry), *faults) if fault]


def _unknown_keys(where: str, entry: Mapping[str, Any]) -> Fault | None:
    unknown = sorted(str(key) for key in entry if key not in ACCOUNT_KEYS)
    if not unknown:
        return None
    return Fault(
        "E003",
        f"{where} has keys that mean nothing: {', '.join(unknown)}.",
        f"Use only {', '.join(sorted(ACCOUNT_KEYS))}.",
    )
