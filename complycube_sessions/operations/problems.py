"""What is wrong with the mirror of an account, judged by what was read of it; nothing here asks a database."""

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
    """How the mirror is; the exit codes of ``complycube_status``."""

    HEALTHY = 0
    ATTENTION = 1
    BROKEN = 2


# Broken is what no later run repairs by itself; all else needs attention.
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
# These are of no account.
GENERAL: Final = ("database", "no_account")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``code`` is a key of ``SEVERITIES``, ``text`` names neither person nor session."""

    code: str
    text: str

    @property
    def severity(self) -> State:
        return SEVERITIES[self.code]


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What was read of one account.

    Args:
        account: Its name in ``COMPLYCUBE_ACCOUNTS``.
        environment: Of its key: ``test``, ``live`` or ``""``.
        last_run: The newest incremental or full run.
        last_success_at: When such a run last succeeded.
        is_late: Whether that is longer ago than ``COMPLYCUBE_EXPECTED_REFRESH_INTERVAL``.
        watermark: Up to when all changes are stored or pending, in the vendor's clock.
        holder: The run that holds the lease and lives.
        due: How many sessions a run would fetch now because they are due.
        oldest_due_at: Since when the first of them is.
        failing: How many sessions failed at least once and wait for their next try.
        events_waiting: How many webhook events are not processed.
        requests_per_second: What all users of the key may send together.
        budget_wait: How long a request that is sent now would wait for that budget.
        has_webhook: Whether a secret of a webhook is set.
        is_silent: Whether its events stopped while polling still found changes.
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
    Return what is wrong with the mirror of an account, worst first.

    Args:
        facts: What was read.
        now: When it was read.
        interval: ``COMPLYCUBE_EXPECTED_REFRESH_INTERVAL``.
    """
    found = [Problem(code, find(facts, now, interval)) for code, find in _RULES.items()]
    wrong = [problem for problem in found if problem.text]
    return tuple(sorted(wrong, key=lambda problem: -problem.severity))


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
    """Return a time as operators read it in a log."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
