"""
The figures of the overview and of the freshness line.

Days are the days of the current time zone. Each figure counts what a list of the admin shows when it is
asked with the same words and days, so that figure and list agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from django.db.models import (
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    Q,
    Subquery,
    Window,
)
from django.db.models.functions import RowNumber, TruncDate
from django.utils import timezone

from complycube_sessions.conf import account_names, conf
from complycube_sessions.models import PendingRefresh, RefreshLease, RefreshRun, RelatedCheck, WorkflowSession

# By how many days ago a session was created: from, to.
AGE_BANDS: Final[tuple[tuple[int, int | None], ...]] = ((0, 0), (1, 2), (3, 6), (7, None))
TEMPLATES_SHOWN: Final = 20
ACCOUNTS_SHOWN: Final = 20


@dataclass(frozen=True)
class AgeBand:
    """Sessions that need a review, by the days on which they were created; None is unbounded."""

    days: tuple[int, int | None] | None
    created_from: date | None
    created_to: date | None
    count: int


@dataclass(frozen=True)
class Completion:
    """How long the completed sessions of a workflow template took; None where no times are known."""

    template_id: str
    template_name: str
    count: int
    median: timedelta | None
    ninetieth: timedelta | None


@dataclass(frozen=True)
class CheckCount:
    """How many checks of a type have this outcome and status."""

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
    """How far the copy can be trusted to be fresh."""

    last_run: RefreshRun | None
    last_success_at: datetime | None
    late_accounts: Sequence[str]
    failing: int


def day_bounds(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    """Return the first moment of one day and the first moment after another."""
    zone = timezone.get_current_timezone()
    start = datetime.combine(first, time.min, zone) if first else None
    end = datetime.combine(last + timedelta(days=1), time.min, zone) if last else None
    return start, end


def review_ages() -> list[AgeBand]:
    """Return how many sessions wait for a review, by age; those of unknown age only if there are any."""
    today = timezone.localdate()
    bands: list[tuple[tuple[int, int | None], date | None, date | None]] = []
    counts = {"unknown": Count("pk", filter=Q(created_at=None))}
    for number, (youngest, oldest) in enumerate(AGE_BANDS):
        first = None if oldest is None else today - timedelta(days=oldest)
        # A clock that runs ahead makes sessions of tomorrow; they belong to the youngest.
        last = None if youngest == 0 else today - timedelta(days=youngest)
        start, end = day_bounds(first, last)
        within = Q(created_at__isnull=False)
        within &= Q(created_at__gte=start) if start else Q()
        within &= Q(created_at__lt=end) if end else Q()
        counts[f"band_{number}"] = Count("pk", filter=within)
        bands.append(((youngest, oldest), first, last))
    found = WorkflowSession.objects.needs_review().aggregate(**counts)
    ages = [
        AgeBand(days, first, last, found[f"band_{number}"])
        for number, (days, first, last) in enumerate(bands)
    ]
    if found["unknown"]:
        ages.append(AgeBand(None, None, None, found["unknown"]))
    return ages


def activity(first: date, last: date) -> Activity:
    """Return the sessions created from one day to another, by day, status and outcome."""
    start, end = day_bounds(first, last)
    rows = (
        WorkflowSession.objects.created_between(start, end)
        .annotate(day=TruncDate("created_at"))
        .values_list("day", "status", "outcome")
        .annotate(count=Count("pk"))
        .order_by()
    )
    days = {first + timedelta(days=n): Counter[str]() for n in range((last - first).days + 1)}
    by_status, by_outcome = Counter[str](), Counter[str]()
    for day, status, outcome, count in rows:
        days.setdefault(day, Counter())[outcome] += count
        by_status[status] += count
        by_outcome[outcome] += count
    return Activity(days, by_status, by_outcome)


def completions(first: date, last: date) -> list[Completion]:
    """Return the time to complete of sessions created in a period, for the 20 most used templates."""
    sessions = WorkflowSession.objects.created_between(*day_bounds(first, last)).filter(
        status=WorkflowSession.Status.COMPLETE
    )
    templates = (
        sessions.values("workflow_template_id")
        .annotate(name=Max("workflow_template_name"), count=Count("pk"))
        .order_by("-count", "workflow_template_id")[:TEMPLATES_SHOWN]
    )
    took = ExpressionWrapper(F("completed_at") - F("created_at"), DurationField())
    group = [F("workflow_template_id")]
    # The nearest rank, in whole numbers: the median is at ⌈n/2⌉, the other at ⌈9n/10⌉.
    ranked = (
        sessions.filter(completed_at__gte=F("created_at"))
        .annotate(took=took)
        .annotate(
            place=Window(RowNumber(), partition_by=group, order_by=F("took").asc()),
            total=Window(Count("pk"), partition_by=group),
        )
        .annotate(
            is_median=F("place") * 2 - F("total"),
            is_ninetieth=F("place") * 10 - F("total") * 9,
        )
        .filter(Q(is_median__gte=0, is_median__lt=2) | Q(is_ninetieth__gte=0, is_ninetieth__lt=10))
        .values_list("workflow_template_id", "took", "is_median", "is_ninetieth")
    )
    medians: dict[str, timedelta] = {}
    ninetieths: dict[str, timedelta] = {}
    for template_id, length, to_median, to_ninetieth in ranked:
        if 0 <= to_median < 2:
            medians[template_id] = length
        if 0 <= to_ninetieth < 10:
            ninetieths[template_id] = length
    return [
        Completion(
            template_id=row["workflow_template_id"],
            template_name=row["name"],
            count=row["count"],
            median=medians.get(row["workflow_template_id"]),
            ninetieth=ninetieths.get(row["workflow_template_id"]),
        )
        for row in templates
    ]


def check_counts(first: date, last: date) -> list[CheckCount]:
    """Return the checks of the sessions created in a period, by type, outcome and status."""
    start, end = day_bounds(first, last)
    rows = (
        RelatedCheck.objects.filter(session__created_at__gte=start, session__created_at__lt=end)
        .values_list("type", "outcome", "status")
        .annotate(count=Count("pk"))
        .order_by("type", "outcome", "status")
    )
    return [CheckCount(*row) for row in rows]


def _newest_sweeps(accounts: Sequence[str]) -> list[int]:
    """Return the newest sweep and the newest successful one of each account, each by an index."""
    newest = []
    for account in accounts:
        for mode in RefreshRun.SWEEPING_MODES:
            sweeps = RefreshRun.objects.filter(account=account, mode=mode).order_by("-pk")
            succeeded = sweeps.filter(state=RefreshRun.State.SUCCEEDED)
            newest += [Subquery(rows.values("pk")[:1]) for rows in (sweeps, succeeded)]
    if not newest:
        return []
    found = RefreshRun.objects.order_by().annotate(**{f"n{i}": sub for i, sub in enumerate(newest)})
    row = found.values_list(*(f"n{i}" for i in range(len(newest))))[:1]
    return sorted({pk for pks in row for pk in pks if pk is not None})


def freshness() -> Freshness:
    """Return when the accounts were last swept, what fails, and which of them are late."""
    names = account_names() or list(
        RefreshLease.objects.order_by("account").values_list("account", flat=True)[:ACCOUNTS_SHOWN]
    )
    rows = RefreshRun.objects.filter(pk__in=_newest_sweeps(names)).order_by("-pk").defer("errors")
    runs = list(rows)
    successes = {
        run.account: run.finished_at or run.started_at
        for run in runs
        if run.state == RefreshRun.State.SUCCEEDED
    }
    expected_after = timezone.now() - conf.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL
    late = [
        name
        for name in names
        if name not in successes or successes[name] < expected_after
    ]
    return Freshness(
        last_run=runs[0] if runs else None,
        last_success_at=max(successes.values(), default=None),
        late_accounts=late,
        failing=PendingRefresh.objects.filter(attempts__gt=0).count(),
    )
