"""What ``manage.py check`` finds wrong with the settings; no query, no request."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from django.core import checks

from complycube_sessions.conf import (
    Account,
    Fault,
    account_faults,
    account_names,
    check_results_fault,
    conf,
    four_eyes_fault,
    get_account,
    is_loopback,
    legal_hold_fault,
    minimum_retention_fault,
    portal_url_fault,
    refresh_interval_fault,
    retention_conflict,
    retention_fault,
    review_due_fault,
    review_reasons_fault,
    scrubber_fault,
    webhook_processing_fault,
)
from complycube_sessions.exceptions import ComplyCubeConfigurationError


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """Return a message for each wrong setting; a missing key is only a warning."""
    return [_message(fault) for fault in [*_accounts_faults(), *_other_faults()]]


def check_deployment(**kwargs: Any) -> list[checks.CheckMessage]:
    """Return what ``manage.py check --deploy`` warns of, for each account without a fault."""
    return [_message(fault) for account in usable_accounts() for fault in _risks(account)]


def usable_accounts() -> list[Account]:
    """Return the accounts in whose settings nothing is wrong."""
    accounts = []
    for name in account_names():
        try:
            accounts.append(get_account(name))
        except ComplyCubeConfigurationError:
            continue  # check_settings names it
    return accounts


def _risks(account: Account) -> list[Fault]:
    where = f'COMPLYCUBE_ACCOUNTS["{account.name}"]'
    found = []
    if account.environment == "live" and conf.DEBUG:
        found.append(
            Fault(
                "W060",
                f"{where} has a live key, and DEBUG is on: error pages would show people's data.",
                "Set DEBUG = False wherever real customers are processed.",
            )
        )
    if not account.environment:
        found.append(
            Fault(
                "W064",
                f"{where} has an API_KEY that begins with neither test_ nor live_.",
                "Compare it with the key that the ComplyCube portal shows; its rows cannot be told apart.",
            )
        )
    if not account.webhook_secrets:
        found.append(
            Fault(
                "W061",
                f"{where} has no WEBHOOK_SECRETS, so that all of its events are refused.",
                'Set "WEBHOOK_SECRETS": ["…"] to the secret of the webhook in the ComplyCube portal; if '
                "you only poll, add complycube_sessions.W061 to SILENCED_SYSTEM_CHECKS.",
            )
        )
    if account.base_url.lower().startswith("http://") and not is_loopback(account.base_url):
        found.append(
            Fault(
                "W063",
                f"{where} has a BASE_URL without TLS: the key would be readable on the way.",
                "Write https://, or leave BASE_URL out.",
            )
        )
    return found


def _accounts_faults() -> list[Fault]:
    accounts = conf.COMPLYCUBE_ACCOUNTS
    example = 'Write COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": "test_…"}}.'
    if not isinstance(accounts, Mapping) or not all(isinstance(name, str) for name in accounts):
        return [Fault("E001", "COMPLYCUBE_ACCOUNTS is not a dictionary of accounts.", example)]
    if not accounts:
        return [Fault("W001", "COMPLYCUBE_ACCOUNTS has no account.", example)]
    faults = [fault for name, entry in accounts.items() for fault in account_faults(name, entry)]
    names = [name for name in accounts if not 0 < len(name) <= 64]
    if names:
        faults.append(
            Fault(
                "E013",
                "COMPLYCUBE_ACCOUNTS has a name that is empty or longer than 64 characters.",
                "Shorten it.",
            )
        )
    if any("/" in name for name in accounts):
        faults.append(
            Fault(
                "E063",
                "COMPLYCUBE_ACCOUNTS has a name with a slash, which no address of a webhook can hold.",
                "Use letters, digits, - and _.",
            )
        )
    return faults + _shared_keys(accounts)


def _shared_keys(accounts: Mapping[str, Any]) -> list[Fault]:
    """Return a fault for each two accounts with one key: each would refuse the rows of the other."""
    keys = {
        name: entry.get("API_KEY") for name, entry in accounts.items() if isinstance(entry, Mapping)
    }
    return [
        Fault(
            "E061",
            f"COMPLYCUBE_ACCOUNTS has the same API_KEY for {one!r} and {other!r}.",
            "Keep one of the two, or give each the key of its own ComplyCube account.",
        )
        for one, other in combinations(keys, 2)
        if keys[one] and keys[one] == keys[other]
    ]


def _other_faults() -> list[Fault]:
    faults = []
    if not conf.USE_TZ:
        faults.append(
            Fault(
                "E060",
                "USE_TZ is off, but the times of the copy are times in UTC.",
                "Set USE_TZ = True.",
            )
        )
    for name, fault in (
        ("COMPLYCUBE_CHECK_RESULTS", check_results_fault(None)),
        ("COMPLYCUBE_EXPECTED_REFRESH_INTERVAL", refresh_interval_fault(None)),
        ("COMPLYCUBE_PORTAL_SESSION_URL", portal_url_fault(None)),
        ("COMPLYCUBE_WEBHOOK_PROCESSING", webhook_processing_fault(None)),
        ("COMPLYCUBE_RETENTION", retention_fault(None)),
        ("COMPLYCUBE_MINIMUM_RETENTION", minimum_retention_fault(0)),
        ("COMPLYCUBE_LEGAL_HOLD", legal_hold_fault(0)),
        ("COMPLYCUBE_SCRUBBER", scrubber_fault(0)),
        ("COMPLYCUBE_REVIEW_REASONS", review_reasons_fault(0)),
        ("COMPLYCUBE_REVIEW_DUE", review_due_fault(0)),
        ("COMPLYCUBE_FOUR_EYES", four_eyes_fault(None)),
    ):
        try:
            getattr(conf, name)
        except ComplyCubeConfigurationError:
            faults += [fault] if fault else []
    return [*faults, *_conflicts()]


def _conflicts() -> list[Fault]:
    try:
        fault = retention_conflict(conf.COMPLYCUBE_RETENTION, conf.COMPLYCUBE_MINIMUM_RETENTION)
    except ComplyCubeConfigurationError:  # it is named above
        return []
    return [fault] if fault else []


def _message(fault: Fault) -> checks.CheckMessage:
    level = checks.Warning if fault.number.startswith("W") else checks.Error
    return level(fault.message, hint=fault.hint, id=f"complycube_sessions.{fault.number}")
