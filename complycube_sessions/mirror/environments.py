"""Checking that an account's key fits the stored rows: test and live sessions must not mix."""

from __future__ import annotations

from typing import Final

from complycube_sessions.conf import Account
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.models import WorkflowSession

ENVIRONMENTS: Final = ("test", "live", "")


def refuse_other_environment(account: Account) -> None:
    """
    Raise, before any request, if all stored sessions of the account are of another environment.

    A mirror with sessions of both environments is accepted; ``check --deploy --database`` warns about it.

    Raises:
        ComplyCubeConfigurationError: The message names both environments and the solution.
    """
    rows = WorkflowSession.objects.using(write_alias()).filter(account=account.name).order_by()
    if rows.filter(environment=account.environment).exists():
        return
    stored = list(rows.values_list("environment", flat=True)[:1])
    if stored:
        raise ComplyCubeConfigurationError(
            f"The account {account.name!r} has {kind(account.environment)} key, but its sessions were "
            f"stored with {kind(stored[0])} key: set that key again, give the new one an account of "
            "its own in COMPLYCUBE_ACCOUNTS, or begin a new mirror as docs/upgrading.md says."
        )


def stored_beside(account: Account) -> list[str]:
    """Return the other environments of which sessions are stored for the account."""
    rows = WorkflowSession.objects.using(write_alias()).filter(account=account.name)
    others = [name for name in ENVIRONMENTS if name != account.environment]
    return [name for name in others if rows.filter(environment=name).exists()]


def kind(environment: str) -> str:
    """Return the words for a key of that environment in messages."""
    return f"a {environment}" if environment else "an unmarked"
