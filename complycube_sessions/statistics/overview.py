"""
The figures of the overview and of the freshness line.

Days are the days of the current time zone. Each figure agrees with the list of the admin that is filtered by
the same words and days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from django.db import connections, router
from django.db.models import Count, Q, QuerySet, Subquery, Value
from django.utils import timezone

from complycube_sessions.conf import account_names, conf
from complycube_sessions.db.clocks import is_believable
from complycube_sessions.models import PendingRefresh, RefreshLease, RefreshRun, WorkflowSession
from complycube_sessions.models.session_queries import RowCount
from complycube_sessions.statistics.by_day import Day, Key, Template, day_bounds, statistics_by_day

# The ages of sessions in days since their creation: from, to.
AGE_BANDS: Final[tuple[tuple[int, int | None], ...]] = ((0, 0), (1, 2), (3, 6), (7, None))
TEMPLATES_SHOWN: Final = 20
ACCOUNTS_SHOWN: Final = 20
MOST_WAITING: Final = 500


@dataclass(frozen=True)
class AgeBand:
    """Sessions that need a review, by the days on which they were created; None is unbounded."""

    days: tuple[int, int | None] | None
    created_from: date | None
    created_to: date | None
    count: int


@dataclass(frozen=True)
class Completion:
    """How long the completed sessions of a workflow template took; None if no times are known."""

    template_id: str
    template_name: str
    count: int
    median: timedelta | None
    ninetieth: timedelta | None


@dataclass(frozen=True)
class CheckCount:
    """The number of checks with a type, outcome and status."""

    type: str
    outcome: str
    status: str
    count: int


@dataclass(frozen=True)
class Activity:
    """The sessions created in a period."""

    by_day: dict[date, Counter[str]]
    by_status: Counter[str]
    by_outcome: Counter[str]

    @property
    def total(self) -> int:
        return self.by_status.total()


@dataclass(frozen=True)
class Freshness:
    """How fresh the mirror is."""

    last_run: RefreshRun | None
    # The last success for the account of the last run, and for any account.
    its_last_success_at: datetime | None
    last_success_at: datetime | None
    late_accounts: Sequence[str]
    failing: int
    # Queued sessions that never failed, counted up to ``MOST_WAITING`` + 1.
    waiting: int


@dataclass(frozen=True)
class AccountFreshness:
    """How fresh the mirror of one account is: its newest sweep, and when one last succeeded."""

    last_sweep: RefreshRun | None = None
    last_success_at: datetime | None = None
    is_late: bool = True


def review_ages() -> list[AgeBand]:
    """Return how many sessions wait for a review, by age; unknown ages are only included if there are any."""
    today = timezone.localdate()
    bands: list[tuple[tuple[int, int | None], date | None, date | None]] = []
    counts = {"unknown": Count("pk", filter=Q(created_at=None))}
    for number, (youngest, oldest) in enumerate(AGE_BANDS):
        first = None if oldest is None else today - timedelta(days=oldest)
        # With a wrong clock sessions may be from tomorrow; they belong to the youngest band.
        last = None if youngest == 0 else today - timedelta(days=youngest)
        start, end = day_bounds(first, last)
        within = Q(created_at__isnull=False)
        within &= Q(created_at__gte=start) if start else Q()
        within &= Q(created_at__lt=end) if end else Q()
        counts[f"band_{number}"] = Count("pk", filter=within)
        bands.append(((youngest, oldest), first, last))
    totals = WorkflowSession.objects.needs_review().aggregate(**counts)
    ages = [
        AgeBand(days, first, last, totals[f"band_{number}"])
        for number, (days, first, last) in enumerate(bands)
    ]
    if totals["unknown"]:
        ages.append(AgeBand(None, None, None, totals["unknown"]))
    return ages


@dataclass(frozen=True)
class Period:
    """The figures of the sessions created in a period."""

    activity: Activity
    completions: Sequence[Completion]
    check_counts: Sequence[CheckCount]


def period(first: date, last: date) -> Period:
    """Return all figures of a period, using the stored figures of its days if there are any."""
    days = statistics_by_day(first, last)
    return Period(_activity(days), _completions(days), _check_counts(days))


def completions(first: date, last: date) -> list[Completion]:
    """Return the completion times of sessions created in a period, for the 20 most used templates."""
    return _completions(statistics_by_day(first, last))


def _activity(days: dict[date, Day]) -> Activity:
    by_day: dict[date, Counter[str]] = {}
    by_status, by_outcome = Counter[str](), Counter[str]()
    for day, figures in days.items():
        by_day[day] = Counter()
        for (status, outcome), count in figures.sessions.items():
            by_day[day][outcome] += count
            by_status[status] += count
            by_outcome[outcome] += count
    return Activity(by_day, by_status, by_outcome)


def _completions(days: dict[date, Day]) -> list[Completion]:
    templates: dict[str, Template] = {}
    for figures in days.values():
        for template_id, found in figures.templates.items():
            templates.setdefault(template_id, Template()).add(found)
    most_used = sorted(templates.items(), key=lambda entry: (-entry[1].count, entry[0]))
    return [
        Completion(
            template_id=template_id,
            template_name=found.name,
            count=found.count,
            median=found.rank(1, 2),
            ninetieth=found.rank(9, 10),
        )
        for template_id, found in most_used[:TEMPLATES_SHOWN]
    ]


def _check_counts(days: dict[date, Day]) -> list[CheckCount]:
    counts: Counter[Key] = Counter()
    for figures in days.values():
        counts.update(figures.checks)
    return [
        CheckCount(check_type, outcome, status, count)
        for (check_type, outcome, status), count in sorted(counts.items())
    ]


def _newest_sweeps(accounts: Sequence[str]) -> tuple[list[int], int, int]:
    """
    Return the newest sweeps and newest successful sweeps of all accounts, and two counts, in one query.

    The counts are the number of failing sessions, and the number of queued sessions that never failed, up to
    ``MOST_WAITING`` + 1. Each part of the query uses an index.
    """
    alias = router.db_for_read(RefreshRun)
    sql, parameters = _sweeps_statement(tuple(accounts), alias)
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    if row is None:
        return [], PendingRefresh.objects.filter(attempts__gt=0).count(), len(_never_tried())
    *pks, failing, waiting = row
    return sorted({pk for pk in pks if pk is not None}), failing or 0, waiting


@lru_cache(maxsize=100)
def _sweeps_statement(accounts: tuple[str, ...], alias: str) -> tuple[str, tuple[Any, ...]]:
    """Return the query of the newest sweeps; it is cached, as building it takes much longer than running it."""
    newest = []
    for account in accounts:
        for mode in RefreshRun.SWEEPING_MODES:
            sweeps = RefreshRun.objects.filter(account=account, mode=mode).order_by("-pk")
            succeeded = sweeps.filter(state=RefreshRun.State.SUCCEEDED)
            newest += [Subquery(rows.values("pk")[:1]) for rows in (sweeps, succeeded)]
    failing = PendingRefresh.objects.filter(attempts__gt=0)
    one_group = failing.order_by().annotate(group=Value(1)).values("group")
    columns: dict[str, Subquery] = {f"n{i}": sub for i, sub in enumerate(newest)}
    columns["failing"] = Subquery(one_group.annotate(count=Count("pk")).values("count"))
    columns["waiting"] = RowCount(_never_tried())
    rows = RefreshRun.objects.order_by().annotate(**columns).values_list(*columns)[:1]
    sql, parameters = rows.query.get_compiler(alias).as_sql()
    return sql, tuple(parameters)


def freshness() -> Freshness:
    """Return when the accounts were last swept, how many sessions fail or wait, and which accounts are late."""
    names = account_names() or list(
        RefreshLease.objects.order_by("account").values_list("account", flat=True)[:ACCOUNTS_SHOWN]
    )
    newest, failing, waiting = _newest_sweeps(names)
    by_account = _by_account(names, newest)
    last_run = max(
        (account.last_sweep for account in by_account.values() if account.last_sweep),
        key=lambda run: run.pk,
        default=None,
    )
    successes = [
        account.last_success_at for account in by_account.values() if account.last_success_at
    ]
    return Freshness(
        last_run=last_run,
        its_last_success_at=by_account[last_run.account].last_success_at if last_run else None,
        last_success_at=max(successes, default=None),
        late_accounts=[name for name in names if by_account[name].is_late],
        failing=failing,
        waiting=waiting,
    )


def account_freshness(names: Sequence[str]) -> dict[str, AccountFreshness]:
    """Return when each account was last swept and whether it is late, in two queries."""
    newest, _failing, _waiting = _newest_sweeps(names)
    return _by_account(names, newest)


def _by_account(names: Sequence[str], newest: Sequence[int]) -> dict[str, AccountFreshness]:
    """Read the newest sweeps, and return the freshness of each account."""
    last: dict[str, RefreshRun] = {}
    successes: dict[str, datetime] = {}
    for run in RefreshRun.objects.filter(pk__in=newest).order_by("-pk").defer("errors"):
        last.setdefault(run.account, run)
        # The newest run of each sweeping mode is included; each mode covers the whole account.
        ended = run.finished_at or run.started_at
        if run.state == RefreshRun.State.SUCCEEDED and is_believable(ended, timezone.now()):
            successes[run.account] = max(ended, successes.get(run.account, ended))
    expected_after = timezone.now() - conf.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL
    return {
        name: AccountFreshness(
            last.get(name),
            successes.get(name),
            is_late=name not in successes or successes[name] < expected_after,
        )
        for name in names
    }


def _never_tried() -> QuerySet[PendingRefresh, int]:
    rows = PendingRefresh.objects.order_by().filter(attempts=0)
    return rows.values_list("pk", flat=True)[: MOST_WAITING + 1]
