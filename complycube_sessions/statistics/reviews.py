"""The figures of case work: open reviews by age and assignee, and decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import Case, Count, IntegerField, Value, When
from django.db.models.functions import TruncDate
from django.utils import timezone

from complycube_sessions.models import Review
from complycube_sessions.models.session_queries import OPEN_REVIEW_STATES
from complycube_sessions.statistics.by_day import day_bounds

# The first day of each age band, youngest first, as in the overview of sessions.
BANDS: Final = (0, 1, 3, 7)
# The number of newest decisions whose durations are shown.
MEASURED: Final = 1_000


@dataclass
class OpenReviews:
    """Open reviews by the first day of their age band, and by the primary key of their assignee."""

    by_age: Counter[int] = field(default_factory=Counter)
    by_assignee: Counter[Any] = field(default_factory=Counter)
    overdue: int = 0

    @property
    def total(self) -> int:
        return self.by_age.total()


@dataclass
class Decisions:
    """
    The decisions of a period.

    ``by_day`` counts by decision; ``confirmed`` counts those confirmed by a second person. ``lengths`` are the
    sorted durations from the end of the session to the decision, of the newest 1,000 decisions.
    """

    by_day: dict[date, Counter[str]] = field(default_factory=dict)
    confirmed: int = 0
    lengths: list[timedelta] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(day.total() for day in self.by_day.values())

    def rank(self, part: int) -> timedelta | None:
        """Return the percentile ``part`` of the durations, or None if there are none."""
        if not self.lengths:
            return None
        return self.lengths[-(-len(self.lengths) * part // 100) - 1]


def open_reviews() -> OpenReviews:
    """Count the open reviews by age, in days of the current time zone, and by assignee."""
    now = timezone.now()
    starts = {
        days: _start_of(timezone.localdate() - timedelta(days=days - 1)) for days in BANDS[1:]
    }
    band = Case(
        *(
            When(opened_at__lt=start, then=Value(days))
            for days, start in sorted(starts.items())[::-1]
        ),
        default=Value(0),
        output_field=IntegerField(),
    )
    rows = Review.objects.filter(state__in=OPEN_REVIEW_STATES).order_by()
    found = OpenReviews(overdue=rows.filter(due_at__lt=now).count())
    counted = rows.annotate(band=band).values_list("band", "assignee").annotate(Count("pk"))
    for days, assignee, count in counted:
        found.by_age[days] += count
        found.by_assignee[assignee] += count
    return found


def decisions(first: date, last: date) -> Decisions:
    """Count the decisions from ``first`` to ``last``, inclusive, in the current time zone."""
    start, end = day_bounds(first, last)
    rows = Review.objects.filter(
        decided_at__gte=start, decided_at__lt=end, state=Review.State.DECIDED
    ).exclude(decision="")
    counted = (
        rows.order_by()
        .annotate(day=TruncDate("decided_at"))
        .values_list("day", "decision")
        .annotate(count=Count("pk"), confirmed=Count("confirmed_at"))
    )
    found = Decisions()
    for day, decision, count, confirmed in counted:
        found.by_day.setdefault(day, Counter())[decision] += count
        found.confirmed += confirmed
    times = rows.order_by("-decided_at", "-pk").values_list("decided_at", "session__completed_at")
    found.lengths = sorted(_lengths(list(times[:MEASURED])))
    return found


def _lengths(times: Sequence[tuple[datetime | None, datetime | None]]) -> list[timedelta]:
    return [
        max(decided - completed, timedelta(0))
        for decided, completed in times
        if decided is not None and completed is not None
    ]


def _start_of(day: date) -> datetime:
    start, _end = day_bounds(day, None)
    assert start is not None  # noqa: S101 - for the type checker
    return start
