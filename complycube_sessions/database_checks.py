"""System checks of the stored rows for ``manage.py check --database default``, without requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.core import checks
from django.db import DatabaseError

from complycube_sessions.db.connections import write_alias
from complycube_sessions.mirror.accounts import accounts_left, shared_sessions
from complycube_sessions.mirror.environments import kind, stored_beside
from complycube_sessions.privacy import tombstones
from complycube_sessions.system_checks import usable_accounts
from complycube_sessions.webhooks.health import receiver_path, silent_accounts

Messages = list[checks.CheckMessage]


def _of_rows(find: Callable[[], Messages]) -> Callable[..., Messages]:
    """Run the check only if the app's database is to be checked, and its tables exist."""

    # Without ``wraps``, as Django inspects the signature.
    def check(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
        if write_alias() not in (databases or ()):
            return []
        try:
            return find()
        except DatabaseError:  # before the first migrate
            return []

    return check


@_of_rows
def check_events_arrive() -> Messages:
    """Return a warning for each account whose events stopped while polling still finds changes."""
    return [
        checks.Warning(
            f"No webhook event of the account {name!r} has come for a while, but polling still finds "
            "changes.",
            hint="Look at the webhook in the ComplyCube portal: it must be enabled, its address must end with "
            f"{receiver_path(name)} and reach this site, and its secret must be one of the account's "
            "WEBHOOK_SECRETS. Meanwhile refresh_workflow_sessions from cron keeps the mirror up to date.",
            id="complycube_sessions.W030",
        )
        for name in silent_accounts()
    ]


@_of_rows
def check_erasures_are_comparable() -> Messages:
    """Return a warning if erased persons could be stored again, as the key of their hashes is gone."""
    count = tombstones.orphaned()
    if not count:
        return []
    return [
        checks.Warning(
            f"{count} hashes of erased persons were made with a SECRET_KEY that is neither SECRET_KEY nor in "
            "SECRET_KEY_FALLBACKS, so that these persons would be stored again.",
            hint="Put the old key back at the end of SECRET_KEY_FALLBACKS, or erase these persons again: "
            "see docs/privacy.md.",
            id="complycube_sessions.W041",
        )
    ]


@_of_rows
def check_accounts_are_configured() -> Messages:
    """Return a warning for each account that has rows but is not in the settings."""
    return [
        checks.Warning(
            f"COMPLYCUBE_ACCOUNTS has no account {name!r}, but the database has {' and '.join(what)} of it, "
            "which nothing refreshes or processes any more.",
            hint="Put the account back under this name. Erasures and the retention cover its rows "
            "meanwhile.",
            id="complycube_sessions.W042",
        )
        for name, what in sorted(accounts_left().items())
    ]


@_of_rows
def check_accounts_are_apart() -> Messages:
    """Return a warning for each pair of accounts that see the same sessions, as with keys of one ComplyCube account."""
    return [
        checks.Warning(
            f"The accounts {owner!r} and {other!r} see the same sessions: {count} that are stored for "
            f"{owner!r} were refused to the latest runs of {other!r}.",
            hint="Both keys are of one ComplyCube account: take one of the two out of COMPLYCUBE_ACCOUNTS.",
            id="complycube_sessions.W043",
        )
        for (owner, other), count in sorted(shared_sessions().items())
    ]


@_of_rows
def check_environments_apart() -> Messages:
    """Return a warning for each account with stored sessions of another environment than its key's."""
    beside = {account: stored_beside(account) for account in usable_accounts()}
    return [
        checks.Warning(
            f"The account {account.name!r} has {kind(account.environment)} key, but "
            f"{' and '.join(other or 'unmarked' for other in others)} sessions of it are stored here.",
            hint="Set its API_KEY to the key that brought them, or give the other environment an account "
            "or a database of its own: see docs/upgrading.md.",
            id="complycube_sessions.W062",
        )
        for account, others in beside.items()
        if others
    ]
