"""System checks of the settings, without queries and requests."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

from django.core import checks

from complycube_sessions.conf import (
    SETTINGS,
    Account,
    account_names,
    conf,
    get_account,
    is_loopback,
)
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.setting_rules import Fault, Rule, account_faults

# The conditions for accounts that process real customers.
RISKS: Final = (
    Rule(
        "W060",
        lambda account: account.environment != "live" or not conf.DEBUG,
        "has a live key, and DEBUG is on: error pages would show people's data.",
        "Set DEBUG = False wherever real customers are processed.",
    ),
    Rule(
        "W064",
        lambda account: account.environment != "",
        "has an API_KEY that begins with neither test_ nor live_.",
        "Compare it with the key that the ComplyCube portal shows; its rows cannot be told apart.",
    ),
    Rule(
        "W061",
        lambda account: len(account.webhook_secrets) > 0,
        "has no WEBHOOK_SECRETS, so that all of its events are refused.",
        'Set "WEBHOOK_SECRETS": ["…"] to the secret of the webhook in the ComplyCube portal; if '
        "you only poll, add complycube_sessions.W061 to SILENCED_SYSTEM_CHECKS.",
    ),
    Rule(
        "W063",
        lambda account: (
            is_loopback(account.base_url) or account.base_url.lower().startswith("https:")
        ),
        "has a BASE_URL without TLS: the key would be readable on the way.",
        "Write https://, or leave BASE_URL out.",
    ),
)


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """Return a message for each wrong setting; a missing key is only a warning."""
    return [_message(fault) for fault in [*_accounts_faults(), *_other_faults()]]


def check_deployment(**kwargs: Any) -> list[checks.CheckMessage]:
    """Return the warnings of ``manage.py check --deploy`` for each account with valid settings."""
    return [_message(fault) for account in usable_accounts() for fault in _risks(account)]


def usable_accounts() -> list[Account]:
    """Return the accounts with valid settings."""
    accounts = []
    for name in account_names():
        try:
            accounts.append(get_account(name))
        except ComplyCubeConfigurationError:
            continue  # check_settings reports it
    return accounts


def _risks(account: Account) -> list[Fault]:
    where = f'COMPLYCUBE_ACCOUNTS["{account.name}"]'
    return [fault for rule in RISKS if (fault := rule.fault(where, account))]


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
    """Return a fault for each pair of accounts with the same key: each would refuse the rows of the other."""
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
    faults = [fault for setting in SETTINGS if (fault := setting.fault())]
    if not conf.USE_TZ:
        text = "USE_TZ is off, but the times of the mirror are times in UTC."
        faults.insert(0, Fault("E060", text, "Set USE_TZ = True."))
    return [*faults, *_conflicts()]


def _conflicts() -> list[Fault]:
    """Return a warning if the retention of sessions is shorter than the minimum retention."""
    try:
        age = conf.COMPLYCUBE_RETENTION.get("WorkflowSession")
        minimum = conf.COMPLYCUBE_MINIMUM_RETENTION
    except ComplyCubeConfigurationError:  # reported above
        return []
    if age is None or minimum is None or age >= minimum:
        return []
    return [
        Fault(
            "W040",
            "COMPLYCUBE_RETENTION is shorter for sessions than COMPLYCUBE_MINIMUM_RETENTION, so that each "
            "run of prune_complycube refuses some.",
            "Make the retention of WorkflowSession at least as long as the minimum.",
        )
    ]


def _message(fault: Fault) -> checks.CheckMessage:
    level = checks.Warning if fault.number.startswith("W") else checks.Error
    return level(fault.message, hint=fault.hint, id=f"complycube_sessions.{fault.number}")
