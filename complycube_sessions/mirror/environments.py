"""Whether the key of an account fits the stored rows: test and live sessions do not mix."""

from __future__ import annotations

from typing import Final

from complycube_sessions.conf import Account
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.models import WorkflowSession

ENVIRONMENTS: Final = ("test", "live", "")


def refuse_other_environment(account: Account) -> None:
    """
    Raise, before any request, where all stored sessions of the account are of another environment.

    A mirror that holds sessions of both is left alone: ``check --deploy --database`` warns of it.

    Raises:
        ComplyCubeConfigurationError: It names both environments and the way out.
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
    """Return the other environments that have sessions stored for the account."""
    rows = WorkflowSession.objects.using(write_alias()).filter(account=account.name)
    others = [name for name in ENVIRONMENTS if name != account.environment]
    return [name for name in others if rows.filter(environment=name).exists()]


def kind(environment: str) -> str:
    """Return how a message names a key of that environment."""
    return f"a {environment}" if environment else "an unmarked"
