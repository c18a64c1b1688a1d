"""
Metrics for Prometheus; needs the extra ``prometheus``.

They are read from the database on each scrape, so every process of a site returns the same values. The only label
is the account. The figures of runs cover the last day and are gauges: old runs are pruned, and a counter that
decreases would look like a reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from complycube_sessions.operations.problems import GENERAL, SEVERITIES, Facts
from complycube_sessions.operations.status import (
    DayOfRuns,
    Status,
    read_status,
    runs_of_last_day,
)

Read = Callable[[Facts], float | None]

UP: Final = ("complycube_database_up", "Whether the database of the mirror can be read.")
STATE: Final = ("complycube_state", "0: healthy, 1: needs attention, 2: broken.")
# Each metric with its help text and a function that reads it, or returns None if it is unknown.
GAUGES: Final[Mapping[str, tuple[str, Read]]] = {
    "complycube_last_success_timestamp_seconds": (
        "When an incremental or full run last succeeded.",
        lambda facts: _seconds(facts.last_success_at),
    ),
    "complycube_watermark_timestamp_seconds": (
        "Up to when all changes are stored or pending.",
        lambda facts: _seconds(facts.watermark),
    ),
    "complycube_due_sessions": (
        "Sessions that the next run fetches because they are due.",
        lambda facts: facts.due,
    ),
    "complycube_oldest_due_timestamp_seconds": (
        "Since when the first of them is due.",
        lambda facts: _seconds(facts.oldest_due_at),
    ),
    "complycube_failing_sessions": (
        "Sessions that failed and wait for their next try.",
        lambda facts: facts.failing,
    ),
    "complycube_waiting_events": (
        "Webhook events that are not processed.",
        lambda facts: facts.events_waiting,
    ),
    "complycube_budget_requests_per_second": (
        "What all users of the key may send together.",
        lambda facts: facts.requests_per_second,
    ),
    "complycube_budget_wait_seconds": (
        "How long a request that is sent now waits for the budget.",
        lambda facts: facts.budget_wait / timedelta(seconds=1),
    ),
    "complycube_lease_held": (
        "Whether a run holds the lock and lives.",
        lambda facts: facts.holder is not None,
    ),
    "complycube_lease_since_timestamp_seconds": (
        "Since when it does.",
        lambda facts: _seconds(facts.holder.started_at) if facts.holder else None,
    ),
}
DAY_GAUGES: Final[Mapping[str, tuple[str, Callable[[DayOfRuns], float]]]] = {
    "complycube_last_day_runs": ("Runs that began within a day.", lambda day: day.started),
    "complycube_last_day_succeeded_runs": ("Those that succeeded.", lambda day: day.succeeded),
    "complycube_last_day_failed_runs": (
        "Those that ended as failed, partial or interrupted.",
        lambda day: day.failed,
    ),
    "complycube_last_day_requests": ("Requests of these runs.", lambda day: day.requests),
    "complycube_last_day_fetched_sessions": ("Sessions they fetched.", lambda day: day.fetched),
}
PROBLEM_GAUGES: Final[Mapping[str, str]] = {
    f"complycube_problem_{code}": code for code in SEVERITIES if code not in GENERAL
}


def metric_names() -> list[str]:
    """Return the names of all metrics, in their order."""
    return [UP[0], STATE[0], *GAUGES, *PROBLEM_GAUGES, *DAY_GAUGES]


class MirrorCollector(Collector):
    """
    Yields the status of the mirror; register it if the project has a registry of its own.

    Args:
        accounts: Names of ``COMPLYCUBE_ACCOUNTS``; all by default.
    """

    def __init__(self, accounts: Sequence[str] | None = None) -> None:
        self._accounts = accounts

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing, so that registering the collector does no queries."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        status = read_status(self._accounts)
        days = _days(status)
        up = GaugeMetricFamily(*UP)
        up.add_metric([], float(days is not None))
        yield up
        if days is None:
            return
        yield _gauge(*STATE, {one.account: one.state for one in status.accounts})
        for name, (text, read) in GAUGES.items():
            # Accounts with wrong settings have no facts.
            values = {one.account: read(one.facts) for one in status.accounts if one.facts}
            yield _gauge(name, text, values)
        for name, code in PROBLEM_GAUGES.items():
            found = {
                one.account: code in {problem.code for problem in one.problems}
                for one in status.accounts
            }
            yield _gauge(name, f"Whether complycube_status tells {code!r}.", found)
        for name, (text, count) in DAY_GAUGES.items():
            yield _gauge(name, text, {account: count(day) for account, day in days.items()})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics in the format that the scraper accepts; the project has to restrict the access."""
    registry = CollectorRegistry()
    registry.register(MirrorCollector())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _days(status: Status) -> dict[str, DayOfRuns] | None:
    """Return the totals of the runs of the last day, or None if the database cannot be read."""
    if any(problem.code == "database" for problem in status.problems):
        return None
    try:
        return runs_of_last_day([one.account for one in status.accounts])
    except (DatabaseError, InterfaceError):
        return None


def _gauge(name: str, text: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=["account"])
    for account, value in values.items():
        if value is not None:
            gauge.add_metric([account], float(value))
    return gauge


def _seconds(time: datetime | None) -> float | None:
    return time.timestamp() if time else None
