"""The settings of the app, read from the project's settings each time they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop

from complycube_sessions.exceptions import ComplyCubeConfigurationError

CheckResults = Literal["review", "all", "none"]

WebhookProcessing = Literal["auto", "process", "tasks", "celery", "off"]

CHECK_RESULTS: Final[tuple[CheckResults, ...]] = ("review", "all", "none")
WEBHOOK_PROCESSING: Final[tuple[WebhookProcessing, ...]] = (
    "auto",
    "process",
    "tasks",
    "celery",
    "off",
)
# What may be given an age; all else goes with its session, or is work that is still to be done.
RETAINED: Final = ("WorkflowSession", "SessionChange", "RefreshRun", "WebhookEvent")
DEFAULT_BASE_URL: Final = "https://api.complycube.com/v1"
LIVE_REQUESTS_PER_SECOND: Final = 8.0  # of the vendor's 10: the project's own calls need room
OTHER_REQUESTS_PER_SECOND: Final = 4.0  # of the vendor's 5
LARGEST_NUMBER: Final = (
    1_000_000  # operating systems refuse far longer timeouts, and nobody means them
)
_TOO_LONG: Final = timedelta(days=36_525)
# What requests looks for; it would pass over any other key, and the proxy with it.
PROXIED: Final = frozenset({"http", "https", "all"})
KNOWN_KEYS: Final = frozenset(
    {
        "API_KEY",
        "WEBHOOK_SECRETS",
        "BASE_URL",
        "REQUESTS_PER_SECOND",
        "TIMEOUT",
        "MAX_RETRIES",
        "PROXIES",
        "CA_BUNDLE",
    }
)

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
        """``test`` or ``live``, read off the key's prefix, or ``""``."""
        return environment_of(self.api_key)

    @property
    def host(self) -> str:
        """Where requests go, for messages: the host of ``base_url`` with its port, and never the key."""
        return urlsplit(self.base_url).netloc


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the settings, with what to type instead."""

    number: str
    message: str
    hint: str


class Settings:
    """One property a setting, with its default beside it."""

    @property
    def DEBUG(self) -> bool:
        return bool(settings.DEBUG)

    @property
    def USE_TZ(self) -> bool:
        return bool(settings.USE_TZ)

    @property
    def AUTH_USER_MODEL(self) -> str:
        return settings.AUTH_USER_MODEL

    @property
    def COMPLYCUBE_ACCOUNTS(self) -> Any:
        """What the project typed, not checked; ``get_account`` is for use."""
        return getattr(settings, "COMPLYCUBE_ACCOUNTS", {})

    @property
    def COMPLYCUBE_CHECK_RESULTS(self) -> CheckResults:
        value = getattr(settings, "COMPLYCUBE_CHECK_RESULTS", "review")
        if fault := check_results_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("CheckResults", value)

    @property
    def COMPLYCUBE_EXPECTED_REFRESH_INTERVAL(self) -> timedelta:
        """After how long without a successful run the admin warns, and calls a session stale."""
        value = getattr(settings, "COMPLYCUBE_EXPECTED_REFRESH_INTERVAL", timedelta(hours=24))
        if fault := refresh_interval_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("timedelta", value)

    @property
    def COMPLYCUBE_PORTAL_SESSION_URL(self) -> str:
        """The address of a session in the vendor's portal with ``{id}`` for the session id, or ``""``."""
        value = getattr(settings, "COMPLYCUBE_PORTAL_SESSION_URL", "")
        if fault := portal_url_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("str", value)

    @property
    def COMPLYCUBE_WEBHOOK_PROCESSING(self) -> WebhookProcessing:
        """Who processes an event that was just stored: see ``docs/webhooks.md``."""
        value = getattr(settings, "COMPLYCUBE_WEBHOOK_PROCESSING", "auto")
        if fault := webhook_processing_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("WebhookProcessing", value)

    @property
    def COMPLYCUBE_RETENTION(self) -> Mapping[str, timedelta]:
        """How long rows are kept, by model name; what is left out is kept for ever."""
        value = getattr(settings, "COMPLYCUBE_RETENTION", {})
        if fault := retention_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("Mapping[str, timedelta]", value)

    @property
    def COMPLYCUBE_MINIMUM_RETENTION(self) -> timedelta | None:
        """For how long the law forbids to remove a session, or None."""
        value = getattr(settings, "COMPLYCUBE_MINIMUM_RETENTION", None)
        if fault := minimum_retention_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("timedelta | None", value)

    @property
    def COMPLYCUBE_LEGAL_HOLD(self) -> Callable[[Any], object] | None:
        """The project's function that tells of a session why it must not be removed, or None."""
        hold = self._function("COMPLYCUBE_LEGAL_HOLD", legal_hold_fault)
        return cast("Callable[[Any], object] | None", hold)

    @property
    def COMPLYCUBE_SCRUBBER(self) -> Callable[[str, dict[str, Any]], object] | None:
        """The project's function that takes out of an answer what must not be stored, or None."""
        scrubber = self._function("COMPLYCUBE_SCRUBBER", scrubber_fault)
        return cast("Callable[[str, dict[str, Any]], object] | None", scrubber)

    @property
    def COMPLYCUBE_REVIEW_REASONS(self) -> Mapping[str, Sequence[str]] | Sequence[str] | None:
        """The reasons to choose from, for each decision or for all, or None for ``REVIEW_REASONS``."""
        value = getattr(settings, "COMPLYCUBE_REVIEW_REASONS", None)
        if fault := review_reasons_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("Mapping[str, Sequence[str]] | Sequence[str] | None", value)

    @property
    def COMPLYCUBE_REVIEW_DUE(self) -> timedelta | None:
        """How long after it was opened a review is due, or None for reviews that are never overdue."""
        value = getattr(settings, "COMPLYCUBE_REVIEW_DUE", timedelta(days=2))
        if fault := review_due_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("timedelta | None", value)

    @property
    def COMPLYCUBE_FOUR_EYES(self) -> Collection[str]:
        """The decisions, and outcomes of sessions, whose decision a second person has to confirm."""
        value = getattr(settings, "COMPLYCUBE_FOUR_EYES", ())
        if fault := four_eyes_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return cast("Collection[str]", value)

    @property
    def hash_keys(self) -> Sequence[str | bytes]:
        """The keys of hashes that are kept: the one in use, then those that it replaced."""
        return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]

    def _function(self, name: str, find_fault: Callable[[object], Fault | None]) -> Any:
        value = getattr(settings, name, None)
        if fault := find_fault(value):
            raise ComplyCubeConfigurationError(f"{fault.message} {fault.hint}")
        return import_string(value) if value else None


conf = Settings()


def environment_of(api_key: str) -> str:
    """Return ``test``, ``live`` or ``""`` for an API key."""
    for environment in ("test", "live"):
        if api_key.startswith(f"{environment}_"):
            return environment
    return ""


def is_loopback(url: str) -> bool:
    """Return whether an address leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def get_account(name: str = "default") -> Account:
    """
    Return the account of that name from the project's settings.

    Raises:
        ComplyCubeConfigurationError: There is no such account, it has no key, or one of its values is wrong.
    """
    # An error page shows the variables of this function: none of them may hold a key.
    if fault := _first_fault(name):
        raise ComplyCubeConfigurationError(fault)
    return _build_account(name, conf.COMPLYCUBE_ACCOUNTS[name])


def _first_fault(name: str) -> str:
    """Return why there is no usable account of that name, or ``""``."""
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
    """Return the secrets that verify an account's events; none where anything about them is wrong."""
    accounts = conf.COMPLYCUBE_ACCOUNTS
    entry = accounts.get(name) if isinstance(accounts, Mapping) else None
    if not isinstance(entry, Mapping) or _webhook_secrets(name, entry):
        return ()
    return tuple(entry.get("WEBHOOK_SECRETS") or ())


def account_names() -> list[str]:
    """Return the names of all configured accounts, in the order of the settings."""
    accounts = conf.COMPLYCUBE_ACCOUNTS
    return [str(name) for name in accounts] if isinstance(accounts, Mapping) else []


def account_faults(name: str, entry: object) -> list[Fault]:
    """
    Return all that is wrong with one entry of ``COMPLYCUBE_ACCOUNTS``, worst first.

    Returns:
        Faults whose ``number`` is that of the system check (``E002`` …, ``W001`` for a missing key).
    """
    where = f'COMPLYCUBE_ACCOUNTS["{name}"]'
    if not isinstance(entry, Mapping):
        return [Fault("E002", f"{where} is not a dictionary.", 'Write {"API_KEY": "test_…"}.')]
    found = [
        _unknown_keys(where, entry),
        _api_key(where, entry),
        _webhook_secrets(where, entry),
        _base_url(where, entry),
        _positive(where, entry, "REQUESTS_PER_SECOND", "E006"),
        _positive(where, entry, "TIMEOUT", "E007"),
        _max_retries(where, entry),
        _proxies(where, entry),
        _ca_bundle(where, entry),
    ]
    return [fault for fault in found if fault]


def check_results_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_CHECK_RESULTS``, or None."""
    if value in CHECK_RESULTS:
        return None
    return Fault(
        "E011",
        "COMPLYCUBE_CHECK_RESULTS has an unknown value.",
        'Write "review", "all" or "none".',
    )


def webhook_processing_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_WEBHOOK_PROCESSING``, or None."""
    if value in WEBHOOK_PROCESSING:
        return None
    return Fault(
        "E030",
        "COMPLYCUBE_WEBHOOK_PROCESSING has an unknown value.",
        'Write "auto", "process", "tasks", "celery" or "off", or leave it out.',
    )


def _build_account(name: str, entry: Mapping[str, Any]) -> Account:
    live = environment_of(entry["API_KEY"]) == "live"
    default_rate = LIVE_REQUESTS_PER_SECOND if live else OTHER_REQUESTS_PER_SECOND
    rate = entry.get("REQUESTS_PER_SECOND")
    return Account(
        name=name,
        api_key=entry["API_KEY"],
        webhook_secrets=tuple(entry.get("WEBHOOK_SECRETS") or ()),
        base_url=(entry.get("BASE_URL") or DEFAULT_BASE_URL).rstrip("/"),
        requests_per_second=default_rate if rate is None else float(rate),
        timeout_seconds=float(entry.get("TIMEOUT", 30)),
        max_retries=entry.get("MAX_RETRIES", 5),
        proxies=entry.get("PROXIES"),
        ca_bundle=entry.get("CA_BUNDLE"),
    )


def refresh_interval_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_EXPECTED_REFRESH_INTERVAL``, or None."""
    if isinstance(value, timedelta) and value > timedelta(0):
        return None
    return Fault(
        "E020",
        "COMPLYCUBE_EXPECTED_REFRESH_INTERVAL is not a positive timedelta.",
        "Write timedelta(hours=24), or leave it out.",
    )


def portal_url_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_PORTAL_SESSION_URL``, or None."""
    if value == "":
        return None
    if isinstance(value, str) and value.count("{id}") == 1:
        # The host must not depend on an id that comes from outside.
        before = value.split("{id}")[0]
        if (parts := _split_url(before)) and parts.scheme == "https" and parts.path:
            return None
    return Fault(
        "E021",
        "COMPLYCUBE_PORTAL_SESSION_URL is not an https address with one {id} in its path.",
        'Write "https://portal.example/sessions/{id}", or leave it out.',
    )


def retention_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_RETENTION``, or None."""
    if isinstance(value, Mapping) and all(
        name in RETAINED and isinstance(age, timedelta) and age > timedelta(0)
        for name, age in value.items()
    ):
        return None
    return Fault(
        "E040",
        "COMPLYCUBE_RETENTION is not a dictionary of model names and positive timedeltas.",
        f'Write {{"WorkflowSession": timedelta(days=1826)}}; the names are {", ".join(RETAINED)}.',
    )


def minimum_retention_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_MINIMUM_RETENTION``, or None."""
    if value is None or (isinstance(value, timedelta) and value > timedelta(0)):
        return None
    return Fault(
        "E041",
        "COMPLYCUBE_MINIMUM_RETENTION is not a positive timedelta.",
        "Write timedelta(days=1826), or leave it out.",
    )


def retention_conflict(retention: object, minimum: object) -> Fault | None:
    """Return a warning where sessions are to be pruned before they may be."""
    age = retention.get("WorkflowSession") if isinstance(retention, Mapping) else None
    if not isinstance(age, timedelta) or not isinstance(minimum, timedelta) or age >= minimum:
        return None
    return Fault(
        "W040",
        "COMPLYCUBE_RETENTION is shorter for sessions than COMPLYCUBE_MINIMUM_RETENTION, so that each "
        "run of prune_complycube refuses some.",
        "Make the retention of WorkflowSession at least as long as the minimum.",
    )


def review_reasons_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_REVIEW_REASONS``, or None."""
    if value is None:
        return None
    lists = list(value.values()) if isinstance(value, Mapping) else [value]
    known = not isinstance(value, Mapping) or set(value) <= set(REVIEW_REASONS)
    if known and all(_is_words(reasons, longest=255) for reasons in lists):
        return None
    return Fault(
        "E050",
        "COMPLYCUBE_REVIEW_REASONS is neither a list of texts nor a dictionary of lists by decision.",
        'Write ["False positive", "Suspected fraud"], or {"approved": [...], "declined": [...]}; the '
        f"decisions are {', '.join(REVIEW_REASONS)}, a text has at most 255 characters.",
    )


def review_due_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_REVIEW_DUE``, or None."""
    if value is None or (isinstance(value, timedelta) and timedelta(0) < value < _TOO_LONG):
        return None
    return Fault(
        "E051",
        "COMPLYCUBE_REVIEW_DUE is not a positive timedelta of less than 100 years.",
        "Write timedelta(days=2), or None for reviews that are never overdue.",
    )


def four_eyes_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_FOUR_EYES``, or None."""
    if _is_words(value, longest=64):
        return None
    return Fault(
        "E052",
        "COMPLYCUBE_FOUR_EYES is not a list of decisions and outcomes.",
        'Write ["approved"] for each approval, or ["match_confirmed", "attention"] for sessions of these '
        "outcomes, or leave it out.",
    )


def _is_words(value: object, *, longest: int) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(word, str) and 0 < len(word) <= longest for word in value
    )


def legal_hold_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_LEGAL_HOLD``, or None."""
    return _function_fault("E042", "COMPLYCUBE_LEGAL_HOLD", value)


def scrubber_fault(value: object) -> Fault | None:
    """Return what is wrong with a value of ``COMPLYCUBE_SCRUBBER``, or None."""
    return _function_fault("E043", "COMPLYCUBE_SCRUBBER", value)


def _function_fault(number: str, name: str, value: object) -> Fault | None:
    if value is None or value == "":
        return None
    try:
        found = import_string(value) if isinstance(value, str) else None
    except ImportError:
        found = None
    if callable(found):
        return None
    return Fault(
        number,
        f"{name} is not the dotted path of a function that can be imported.",
        'Write "your_project.privacy.your_function", or leave it out.',
    )


def _unknown_keys(where: str, entry: Mapping[str, Any]) -> Fault | None:
    unknown = sorted(str(key) for key in entry if key not in KNOWN_KEYS)
    if not unknown:
        return None
    return Fault(
        "E003",
        f"{where} has keys that mean nothing: {', '.join(unknown)}.",
        f"Use only {', '.join(sorted(KNOWN_KEYS))}.",
    )


def _api_key(where: str, entry: Mapping[str, Any]) -> Fault | None:
    key = entry.get("API_KEY")
    if key is None or key == "":
        return Fault(
            "W001",
            f"{where} has no API_KEY.",
            'Set "API_KEY" to the key of the ComplyCube portal ("test_…" or "live_…").',
        )
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or " " in key:
        return Fault(
            "E004",
            f"{where} has an API_KEY that cannot be sent.",
            "Set it to the bare key as the portal shows it, without spaces or line ends.",
        )
    return None


def _webhook_secrets(where: str, entry: Mapping[str, Any]) -> Fault | None:
    secrets = entry.get("WEBHOOK_SECRETS")
    if secrets is None:
        return None
    if isinstance(secrets, list | tuple) and all(isinstance(s, str) and s for s in secrets):
        return None
    return Fault(
        "E005",
        f"{where} has WEBHOOK_SECRETS that are not a list of non-empty texts.",
        'Write "WEBHOOK_SECRETS": ["…"], or leave it out.',
    )


def _base_url(where: str, entry: Mapping[str, Any]) -> Fault | None:
    url = entry.get("BASE_URL")
    if url is None:
        return None
    parts = _split_url(url) if isinstance(url, str) else None
    if parts and parts.scheme in {"http", "https"} and not (parts.query or parts.fragment):
        return None
    return Fault(
        "E008",
        f"{where} has a BASE_URL that is not an http or https address.",
        f'Leave it out, or write "BASE_URL": "{DEFAULT_BASE_URL}".',
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


def _positive(where: str, entry: Mapping[str, Any], key: str, number: str) -> Fault | None:
    value = entry.get(key)
    if value is None and key == "REQUESTS_PER_SECOND":
        return None
    if key not in entry or _is_positive_number(value):
        return None
    return Fault(
        number,
        f"{where} has a {key} that is not a number above zero.",
        f"Leave {key} out for its default, or write a number such as 4.",
    )


def _is_positive_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= LARGEST_NUMBER


def _max_retries(where: str, entry: Mapping[str, Any]) -> Fault | None:
    value = entry.get("MAX_RETRIES", 5)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return None
    return Fault(
        "E009",
        f"{where} has a MAX_RETRIES that is not a whole number of zero or more.",
        'Leave it out, or write "MAX_RETRIES": 5.',
    )


def _proxies(where: str, entry: Mapping[str, Any]) -> Fault | None:
    value = entry.get("PROXIES")
    if value is None:
        return None
    if isinstance(value, Mapping) and all(
        isinstance(k, str) and k.split("://")[0] in PROXIED and isinstance(v, str) and v
        for k, v in value.items()
    ):
        return None
    return Fault(
        "E010",
        f"{where} has PROXIES that are not a dictionary of schemes and addresses.",
        'Write "PROXIES": {"https": "http://proxy.example:3128"}, or leave it out.',
    )


def _ca_bundle(where: str, entry: Mapping[str, Any]) -> Fault | None:
    value = entry.get("CA_BUNDLE")
    if value is None:
        return None
    if isinstance(value, str) and value:
        if Path(value).exists():
            return None
        return Fault(
            "E062",
            f"{where} has a CA_BUNDLE that does not exist.",
            "Write the path of a PEM file that the site can read, or leave it out.",
        )
    return Fault(
        "E012",
        f"{where} has a CA_BUNDLE that is not the path of a file.",
        "Write the path of a PEM file, or leave it out. Verification cannot be switched off.",
    )
