"""
Reading the status of the mirror: a few queries that use indexes, independent of the number of sessions.

``complycube_status``, the health check and the metrics all report this status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min, Sum

from complycube_sessions.conf import Account, account_names, conf, get_account, webhook_secrets
from complycube_sessions.db.clocks import is_believable
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.mirror.environments import refuse_other_environment
from complycube_sessions.models import PendingRefresh, RefreshRun, WebhookEvent
from complycube_sessions.operations.problems import Facts, Problem, State, problems_of
from complycube_sessions.statistics.overview import account_freshness
from complycube_sessions.sync.lease import lease_holders
from complycube_sessions.sync.request_budget import budget_waits
from complycube_sessions.sync.run import newest_watermark
from complycube_sessions.webhooks.health import silent_accounts

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """
    The facts about an account, and its problems, worst first.

    ``facts`` is None if its settings are wrong, as nothing is read then.
    """

    account: str
    facts: Facts | None
    problems: tuple[Problem, ...]

    @property
    def state(self) -> State:
        return max((p.severity for p in self.problems), default=State.HEALTHY)


@dataclass(frozen=True, slots=True)
class Status:
    """
    The status of the mirror.

    ``problems`` concern no single account. ``accounts`` is empty if the database cannot be read.
    """

    read_at: datetime
    problems: tuple[Problem, ...] = ()
    accounts: tuple[AccountStatus, ...] = ()

    @property
    def state(self) -> State:
        states = [*(p.severity for p in self.problems), *(a.state for a in self.accounts)]
        return max(states, default=State.HEALTHY)


@dataclass(frozen=True, slots=True)
class DayOfRuns:
    """The totals of an account's runs that began within the last day."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    requests: int = 0
    fetched: int = 0


def read_status(accounts: Sequence[str] | None = None) -> Status:
    """
    Return how fresh and healthy the mirror is, without API requests; known faults are returned, not raised.

    Args:
        accounts: Names of ``COMPLYCUBE_ACCOUNTS``; all by default.
    """
    now = datetime.now(UTC)
    names = account_names() if accounts is None else list(accounts)
    if not names:
        text = 'COMPLYCUBE_ACCOUNTS is empty: add {"default": {"API_KEY": "test_…"}}.'
        return Status(now, (Problem("no_account", text),))
    try:
        usable, unusable = _sort_accounts(names)
        facts = _read(usable) if usable else []
        interval = conf.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL
    except ComplyCubeConfigurationError as error:
        return Status(now, (Problem("settings", str(error)),))
    except (DatabaseError, InterfaceError) as error:
        # The database's message may quote a row.
        name = type(error.__cause__ or error).__name__
        text = f"The database cannot be read ({name}): is it up, and is `migrate` done?"
        return Status(now, (Problem("database", text),))
    good = [AccountStatus(read.account, read, problems_of(read, now, interval)) for read in facts]
    return Status(now, (), (*unusable, *good))


def runs_of_last_day(accounts: Sequence[str]) -> dict[str, DayOfRuns]:
    """
    Return the totals of each account's runs that began within the last 24 hours.

    Raises:
        django.db.DatabaseError: The database cannot be read.
    """
    rows = RefreshRun.objects.using(write_alias()).filter(
        account__in=accounts, started_at__gt=datetime.now(UTC) - DAY
    )
    groups = rows.order_by().values("account", "state")
    counted: dict[str, dict[str, Any]] = {name: {} for name in accounts}
    for group in groups.annotate(runs=Count("pk"), sent=Sum("requests"), got=Sum("fetched")):
        counted[group["account"]][group["state"]] = group
    return {name: _day_of(by_state) for name, by_state in counted.items()}


def _day_of(by_state: Mapping[str, Mapping[str, int]]) -> DayOfRuns:
    runs = {state: group["runs"] for state, group in by_state.items()}
    failures = (RefreshRun.State.FAILED, RefreshRun.State.INTERRUPTED, RefreshRun.State.PARTIAL)
    return DayOfRuns(
        started=sum(runs.values()),
        succeeded=runs.get(RefreshRun.State.SUCCEEDED, 0),
        failed=sum(runs.get(state, 0) for state in failures),
        requests=sum(group["sent"] for group in by_state.values()),
        fetched=sum(group["got"] for group in by_state.values()),
    )


def _sort_accounts(names: Sequence[str]) -> tuple[list[Account], list[AccountStatus]]:
    """Return the accounts that can be refreshed, and the problems of the others."""
    usable: list[Account] = []
    unusable: list[AccountStatus] = []
    for name in names:
        try:
            account = get_account(name)
            refuse_other_environment(account)
        except ComplyCubeConfigurationError as error:
            problem = Problem("settings", str(error))
            unusable.append(AccountStatus(name, None, (problem,)))
        else:
            usable.append(account)
    return usable, unusable


def _read(accounts: Sequence[Account]) -> list[Facts]:
    names = [account.name for account in accounts]
    # Read the leases first, so that a run that ends in between does not look killed.
    holders = lease_holders(names, write_alias())
    fresh = account_freshness(names)
    due, failing, events = _due(names), _failing(), _events_waiting()
    waits = budget_waits(accounts)
    silent = silent_accounts()
    return [
        Facts(
            account=account.name,
            environment=account.environment,
            last_run=fresh[account.name].last_sweep,
            last_success_at=fresh[account.name].last_success_at,
            is_late=fresh[account.name].is_late,
            watermark=_watermark(account),
            holder=holders.get(account.name),
            due=due.get(account.name, (0, None))[0],
            oldest_due_at=due.get(account.name, (0, None))[1],
            failing=failing.get(account.name, 0),
            events_waiting=events.get(account.name, 0),
            requests_per_second=account.requests_per_second,
            budget_wait=waits[account.name],
            has_webhook=bool(webhook_secrets(account.name)),
            is_silent=account.name in silent,
        )
        for account in accounts
    ]


def _watermark(account: Account) -> datetime | None:
    """Return the newest watermark, or None if it lies in the future, as the next refresh ignores it."""
    mark = newest_watermark(account)
    return mark if mark is not None and is_believable(mark, datetime.now(UTC)) else None


def _due(names: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """Return for each account how many sessions are due, and since when."""
    rows = PendingRefresh.objects.using(write_alias()).order_by()
    groups = rows.filter(account__in=names, next_try_at__lte=datetime.now(UTC)).values("account")
    counts = groups.annotate(count=Count("pk"), oldest=Min("next_try_at"))
    return {
        name: (count, at) for name, count, at in counts.values_list("account", "count", "oldest")
    }


# Without a filter by account: a database would use the index on it, and read all rows of the accounts.
def _failing() -> dict[str, int]:
    rows = PendingRefresh.objects.using(write_alias()).order_by().filter(attempts__gt=0)
    groups = rows.values("account").annotate(count=Count("pk"))
    return dict(groups.values_list("account", "count"))


def _events_waiting() -> dict[str, int]:
    rows = WebhookEvent.objects.using(write_alias()).order_by().filter(processed_at=None)
    groups = rows.values("account").annotate(count=Count("pk"))
    return dict(groups.values_list("account", "count"))
