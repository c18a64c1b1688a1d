"""Finding problems of an account's mirror in the facts that were read; this module does no queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

from complycube_sessions.models import RefreshRun
from complycube_sessions.sync.lease import LEASE
from complycube_sessions.wording import counted


class State(IntEnum):
    """The state of the mirror; the values are the exit codes of ``complycube_status``."""

    HEALTHY = 0
    ATTENTION = 1
    BROKEN = 2


# Broken: no later run repairs it by itself. All other problems need attention.
SEVERITIES: Final[Mapping[str, State]] = {
    "database": State.BROKEN,
    "no_account": State.BROKEN,
    "settings": State.BROKEN,
    "never": State.BROKEN,
    "locked": State.BROKEN,
    "first_run": State.ATTENTION,
    "late": State.ATTENTION,
    "last_run": State.ATTENTION,
    "stalled": State.ATTENTION,
    "failing": State.ATTENTION,
    "silent": State.ATTENTION,
}
# Problems that concern no single account.
GENERAL: Final = ("database", "no_account")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; ``code`` is a key of ``SEVERITIES``, ``text`` names neither persons nor sessions."""

    code: str
    text: str

    @property
    def severity(self) -> State:
        return SEVERITIES[self.code]


@dataclass(frozen=True, slots=True)
class Facts:
    """
    The facts that were read about one account.

    Args:
        account: Its name in ``COMPLYCUBE_ACCOUNTS``.
        environment: The environment of its key: ``test``, ``live`` or ``""``.
        last_run: The newest incremental or full run.
        last_success_at: When such a run last succeeded.
        is_late: Whether that is longer ago than ``COMPLYCUBE_EXPECTED_REFRESH_INTERVAL``.
        watermark: The time up to which all changes are stored or pending, by the vendor's clock.
        holder: The run in progress that holds the lease.
        due: The number of sessions that are due for a fetch.
        oldest_due_at: Since when the first of them has been due.
        failing: The number of sessions that failed at least once and wait for a retry.
        events_waiting: The number of unprocessed webhook events.
        requests_per_second: The request budget that all users of the key share.
        budget_wait: How long a request sent now would wait for that budget.
        has_webhook: Whether a webhook secret is set.
        is_silent: Whether its events stopped although polling still found changes.
    """

    account: str
    environment: str = ""
    last_run: RefreshRun | None = None
    last_success_at: datetime | None = None
    is_late: bool = False
    watermark: datetime | None = None
    holder: RefreshRun | None = None
    due: int = 0
    oldest_due_at: datetime | None = None
    failing: int = 0
    events_waiting: int = 0
    requests_per_second: float = 0.0
    budget_wait: timedelta = timedelta()
    has_webhook: bool = False
    is_silent: bool = False


def problems_of(facts: Facts, now: datetime, interval: timedelta) -> tuple[Problem, ...]:
    """
    Return the problems of an account's mirror, worst first.

    Args:
        facts: The facts about the account.
        now: When they were read.
        interval: ``COMPLYCUBE_EXPECTED_REFRESH_INTERVAL``.
    """
    results = [Problem(code, rule(facts, now, interval)) for code, rule in _RULES.items()]
    problems = [problem for problem in results if problem.text]
    return tuple(sorted(problems, key=lambda problem: -problem.severity))


def _never(facts: Facts, now: datetime, interval: timedelta) -> str:
    if facts.last_success_at or facts.holder:
        return ""
    return "No refresh has succeeded yet: run refresh_workflow_sessions, and read what it names."


def _locked(facts: Facts, now: datetime, interval: timedelta) -> str:
    run = facts.holder
    if run is None or facts.last_success_at is None or run.started_at > now - interval:
        return ""
    return (
        f"Run {run.pk} has held the lock since {shown(run.started_at)}, longer than a refresh may take: "
        "look at its process."
    )


def _first_run(facts: Facts, now: datetime, interval: timedelta) -> str:
    if facts.last_success_at or facts.holder is None:
        return ""
    return f"The first refresh, run {facts.holder.pk}, is still going on; the mirror is not whole."


def _late(facts: Facts, now: datetime, interval: timedelta) -> str:
    if not (facts.is_late and facts.last_success_at):
        return ""
    return f"No refresh has succeeded since {shown(facts.last_success_at)}."


def _last_run(facts: Facts, now: datetime, interval: timedelta) -> str:
    run = facts.last_run
    good = (RefreshRun.State.SUCCEEDED, RefreshRun.State.RUNNING)
    if run is None or run.state in good:
        return ""
    return f"The last refresh, run {run.pk}, ended as {run.state}: its row says why."


def _stalled(facts: Facts, now: datetime, interval: timedelta) -> str:
    run = facts.last_run
    if run is None or run.state != RefreshRun.State.RUNNING or run.started_at > now - LEASE:
        return ""
    if facts.holder is not None and facts.holder.pk >= run.pk:
        return ""
    return f"Run {run.pk} was killed; what it stored is whole, and the next one goes on."


def _failing(facts: Facts, now: datetime, interval: timedelta) -> str:
    if not facts.failing:
        return ""
    verb = "fails" if facts.failing == 1 else "fail"
    return f"{counted(facts.failing, 'session')} {verb} to refresh, and will be retried."


def _silent(facts: Facts, now: datetime, interval: timedelta) -> str:
    if not facts.is_silent:
        return ""
    return "Webhook events have stopped, but polling still finds changes."


_RULES: Final[Mapping[str, Callable[[Facts, datetime, timedelta], str]]] = {
    "never": _never,
    "locked": _locked,
    "first_run": _first_run,
    "late": _late,
    "last_run": _last_run,
    "stalled": _stalled,
    "failing": _failing,
    "silent": _silent,
}


def shown(time: datetime) -> str:
    """Return a time in the format of logs."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
