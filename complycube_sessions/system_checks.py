"""What ``manage.py check`` finds wrong with the settings; no query, no request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core import checks

from complycube_sessions.conf import (
    Fault,
    account_faults,
    check_results_fault,
    conf,
    legal_hold_fault,
    minimum_retention_fault,
    portal_url_fault,
    refresh_interval_fault,
    retention_conflict,
    retention_fault,
    scrubber_fault,
    webhook_processing_fault,
)
from complycube_sessions.exceptions import ComplyCubeConfigurationError


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """Return a message for each wrong setting; a missing key is only a warning."""
    return [_message(fault) for fault in [*_accounts_faults(), *_other_faults()]]


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
    return faults


def _other_faults() -> list[Fault]:
    faults = []
    for name, fault in (
        ("COMPLYCUBE_CHECK_RESULTS", check_results_fault(None)),
        ("COMPLYCUBE_EXPECTED_REFRESH_INTERVAL", refresh_interval_fault(None)),
        ("COMPLYCUBE_PORTAL_SESSION_URL", portal_url_fault(None)),
        ("COMPLYCUBE_WEBHOOK_PROCESSING", webhook_processing_fault(None)),
        ("COMPLYCUBE_RETENTION", retention_fault(None)),
        ("COMPLYCUBE_MINIMUM_RETENTION", minimum_retention_fault(0)),
        ("COMPLYCUBE_LEGAL_HOLD", legal_hold_fault(0)),
        ("COMPLYCUBE_SCRUBBER", scrubber_fault(0)),
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
