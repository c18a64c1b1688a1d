"""
The settings of the app, read from the project's settings on each access.

``Settings`` lists them; the system checks and the tests of ``docs/settings.md`` are based on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final, Generic, Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.setting_rules import (
    ACCOUNT_KEYS,
    DEFAULT_BASE_URL,
    RETAINED,
    REVIEW_REASONS,
    TOO_LONG,
    Fault,
    Rule,
    account_faults,
    are_review_reasons,
    are_secrets,
    are_words,
    is_function_path,
    is_portal_url,
    is_positive_timedelta,
    is_retention,
)

CheckResults = Literal["review", "all", "none"]
WebhookProcessing = Literal["auto", "process", "tasks", "celery", "off"]
Value = TypeVar("Value")

LIVE_REQUESTS_PER_SECOND: Final = 8.0  # of the vendor's 10: the project's own calls need room
OTHER_REQUESTS_PER_SECOND: Final = 4.0  # of the vendor's 5


@dataclass(frozen=True)
class Account:
    """One entry of ``COMPLYCUBE_ACCOUNTS``, complete and checked."""

    name: str
    api_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False, default=())
    base_url: str = DEFAULT_BASE_URL
    requests_per_second: float = OTHER_REQUESTS_PER_SECOND
    timeout_seconds: float = 30.0
    max_retries: int = 5
    proxies: Mapping[str, str] | None = field(repr=False, default=None)
    ca_bundle: str | None = None

    @property
    def environment(self) -> str:
        """``test`` or ``live`` from the key's prefix, or ``""``."""
        return environment_of(self.api_key)

    @property
    def host(self) -> str:
        """The host and port of ``base_url``, for messages."""
        return urlsplit(self.base_url).netloc


class Setting(Generic[Value]):
    """
    One setting with its default and the rule that is checked on each access.

    Args:
        default: The value if the project does not set it.
        rule: The rule for values; None if the parts of a value are checked separately.
        load: Converts a valid value to the result of the access.
    """

    def __init__(
        self,
        default: Any,
        rule: Rule | None = None,
        load: Callable[[Any], Value] = lambda typed: cast("Value", typed),
    ) -> None:
        self._default = default
        self._rule = rule
        self._load = load

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> Value:
        if fault := self.fault():
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return self._load(self._typed())

    def fault(self) -> Fault | None:
        """Return what is wrong with the project's value, or None."""
        return self._rule.fault(self.name, self._typed()) if self._rule else None

    def _typed(self) -> Any:
        return getattr(settings, self.name, self._default)


def _function_rule(number: str) -> Rule:
    return Rule(
        number,
        is_function_path,
        "is not the dotted path of a function that can be imported.",
        'Write "your_project.privacy.your_function", or leave it out.',
    )


def _switch_rule(number: str) -> Rule:
    return Rule(
        number,
        lambda value: isinstance(value, bool),
        "is neither True nor False.",
        "Write True, or leave it out.",
    )


def _load_function(path: str | None) -> Any:
    return import_string(path) if path else None


class Settings:
    """The settings, each with its default and its rule; ``docs/settings.md`` describes them."""

    DEBUG = Setting[bool](default=False)
    USE_TZ = Setting[bool](default=True)
    AUTH_USER_MODEL = Setting[str]("auth.User")
    # The raw value; use ``get_account`` for a validated account.
    COMPLYCUBE_ACCOUNTS = Setting[Any]({})
    COMPLYCUBE_CHECK_RESULTS = Setting[CheckResults](
        "review",
        Rule(
            "E011",
            lambda value: value in get_args(CheckResults),
            "has an unknown value.",
            'Write "review", "all" or "none".',
        ),
    )
    COMPLYCUBE_EXPECTED_REFRESH_INTERVAL = Setting[timedelta](
        timedelta(hours=24),
        Rule(
            "E020",
            is_positive_timedelta,
            "is not a positive timedelta.",
            "Write timedelta(hours=24), or leave it out.",
        ),
    )
    COMPLYCUBE_PORTAL_SESSION_URL = Setting[str](
        "",
        Rule(
            "E021",
            is_portal_url,
            "is not an https address with one {id} in its path.",
            'Write "https://portal.example/sessions/{id}", or leave it out.',
        ),
    )
    COMPLYCUBE_WEBHOOK_PROCESSING = Setting[WebhookProcessing](
        "auto",
        Rule(
            "E030",
            lambda value: value in get_args(WebhookProcessing),
            "has an unknown value.",
            'Write "auto", "process", "tasks", "celery" or "off", or leave it out.',
        ),
    )
    COMPLYCUBE_RETENTION = Setting[Mapping[str, timedelta]](
        {},
        Rule(
            "E040",
            is_retention,
            "is not a dictionary of model names and positive timedeltas.",
            f'Write {{"WorkflowSession": timedelta(days=1826)}}; the names are {", ".join(RETAINED)}.',
        ),
    )
    COMPLYCUBE_MINIMUM_RETENTION = Setting[timedelta | None](
        None,
        Rule(
            "E041",
            lambda value: value is None or is_positive_timedelta(value),
            "is not a positive timedelta.",
            "Write timedelta(days=1826), or leave it out.",
        ),
    )
    # Returns why a session must not be removed.
    COMPLYCUBE_LEGAL_HOLD = Setting[Callable[[Any], object] | None](
        None, _function_rule("E042"), _load_function
    )
    # Removes data that must not be stored from an answer.
    COMPLYCUBE_SCRUBBER = Setting[Callable[[str, dict[str, Any]], object] | None](
        None, _function_rule("E043"), _load_function
    )
    # Whether checks may be validated and sessions completed and cancelled at the vendor from here.
    COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = Setting[bool](default=False, rule=_switch_rule("E070"))
    # Whether refreshing a single session also fetches its audit log from the vendor.
    COMPLYCUBE_AUDIT_LOGS = Setting[bool](default=False, rule=_switch_rule("E071"))
    # The reasons to choose from, for each decision or for all; None for ``REVIEW_REASONS``.
    COMPLYCUBE_REVIEW_REASONS = Setting[Mapping[str, Sequence[str]] | Sequence[str] | None](
        None,
        Rule(
            "E050",
            are_review_reasons,
            "is neither a list of texts nor a dictionary of lists by decision.",
            'Write ["False positive", "Suspected fraud"], or {"approved": [...], "declined": [...]}; '
            f"the decisions are {', '.join(REVIEW_REASONS)}, a text has at most 255 characters.",
        ),
    )
    # How long after its opening a review is due; None if reviews are never overdue.
    COMPLYCUBE_REVIEW_DUE = Setting[timedelta | None](
        timedelta(days=2),
        Rule(
            "E051",
            lambda value: value is None or (is_positive_timedelta(value) and value < TOO_LONG),
            "is not a positive timedelta of less than 100 years.",
            "Write timedelta(days=2), or None for reviews that are never overdue.",
        ),
    )
    # The decisions, and outcomes of sessions, whose decision a second person has to confirm.
    COMPLYCUBE_FOUR_EYES = Setting[Collection[str]](
        (),
        Rule(
            "E052",
            are_words,
            "is not a list of decisions and outcomes.",
            'Write ["approved"] for each approval, or ["match_confirmed", "attention"] for sessions '
            "of these outcomes, or leave it out.",
        ),
    )

    @property
    def hash_keys(self) -> Sequence[str | bytes]:
        """The keys for stored hashes: the current one, then older ones."""
        return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


conf = Settings()
SETTINGS: Final = tuple(row for row in vars(Settings).values() if isinstance(row, Setting))


def environment_of(api_key: str) -> str:
    """Return ``test``, ``live`` or ``""`` for an API key."""
    for environment in ("test", "live"):
        if api_key.startswith(f"{environment}_"):
            return environment
    return ""


def is_loopback(url: str) -> bool:
    """Return whether a URL points to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def get_account(name: str = "default") -> Account:
    """
    Return the account of that name from the project's settings.

    Raises:
        ComplyCubeConfigurationError: The account does not exist, has no key, or has a wrong value.
    """
    # Error pages show the variables of this function, so none of them may contain a key.
    if fault := _first_fault(name):
        raise ComplyCubeConfigurationError(fault)
    return _build_account(name, conf.COMPLYCUBE_ACCOUNTS[name])


def _first_fault(name: str) -> str:
    """Return why the account cannot be used, or ``""``."""
    accounts = conf.COMPLYCUBE_ACCOUNTS
    if not isinstance(accounts, Mapping) or name not in accounts:
        known = ", ".join(sorted(map(str, accounts))) if isinstance(accounts, Mapping) else ""
        return (
            f"COMPLYCUBE_ACCOUNTS has no account {name!r} (known: {known or 'none'}). "
            f'Add COMPLYCUBE_ACCOUNTS = {{"{name}": {{"API_KEY": "test_…"}}}} to your settings.'
        )
    faults = account_faults(name, accounts[name])
    return f"{faults[0].message} {faults[0].hint}" if faults else ""


def webhook_secrets(name: str) -> tuple[str, ...]:
    """Return the secrets that verify an account's events; empty if the setting is missing or wrong."""
    accounts = conf.COMPLYCUBE_ACCOUNTS
    entry = accounts.get(name) if isinstance(accounts, Mapping) else None
    if not isinstance(entry, Mapping) or not are_secrets(entry.get("WEBHOOK_SECRETS")):
        return ()
    return tuple(entry.get("WEBHOOK_SECRETS") or ())


def account_names() -> list[str]:
    """Return the names of all configured accounts, in the order of the settings."""
    accounts = conf.COMPLYCUBE_ACCOUNTS
    return [str(name) for name in accounts] if isinstance(accounts, Mapping) else []


def _build_account(name: str, entry: Mapping[str, Any]) -> Account:
    live = environment_of(entry["API_KEY"]) == "live"
    default_rate = LIVE_REQUESTS_PER_SECOND if live else OTHER_REQUESTS_PER_SECOND
    values = {**ACCOUNT_KEYS, **entry}
    rate = values["REQUESTS_PER_SECOND"]
    return Account(
        name=name,
        api_key=values["API_KEY"],
        webhook_secrets=tuple(values["WEBHOOK_SECRETS"] or ()),
        base_url=(values["BASE_URL"] or DEFAULT_BASE_URL).rstrip("/"),
        requests_per_second=default_rate if rate is None else float(rate),
        timeout_seconds=float(values["TIMEOUT"]),
        max_retries=values["MAX_RETRIES"],
        proxies=values["PROXIES"],
        ca_bundle=values["CA_BUNDLE"],
    )
