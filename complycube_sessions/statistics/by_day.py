"""
The figures of single days: counted once, stored, and counted again after a session of the day was written.

Code that writes sessions marks their days as changed in the same transaction (``ChangedDay``). Stored figures
are only used while their day is not marked, so figures and lists always agree. At its end, a sweep counts
changed days again. Days without stored figures are counted on demand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from threading import Lock
from typing import Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.db import connections, router, transaction
from django.db.models import CharField, Count, F, Q, Value
from django.db.models.functions import TruncDate
from django.utils import timezone

from complycube_sessions.db import keyset
from complycube_sessions.db.batches import chunks
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.models import ChangedDay, DayFigures, RelatedCheck, WorkflowSession

KEPT_DAYS: Final = 90
COUNTED_AT_ONCE: Final = 10
# Pages need few queries, runs little memory.
SHOWN_AT_ONCE: Final = 10_000
KEPT_AT_ONCE: Final = 2_000

# Enough for two time zones; a day with a thousand sessions takes 50 KB.
PARSED_DAYS: Final = 2 * KEPT_DAYS

_NO_MARK: Final = Value(None, output_field=CharField())

Key = tuple[str, ...]


@dataclass
class Template:
    """The completed sessions of one workflow template, with their durations in seconds."""

    name: str = ""
    count: int = 0
    lengths: list[int] = field(default_factory=list)

    def add(self, other: Template) -> None:
        self.name = max(self.name, other.name)
        self.count += other.count
        self.lengths += other.lengths

    def rank(self, part: int, whole: int) -> timedelta | None:
        """Return a percentile by nearest rank, or None without values."""
        if not self.lengths:
            return None
        self.lengths.sort()
        return timedelta(seconds=self.lengths[-(-len(self.lengths) * part // whole) - 1])


@dataclass
class Day:
    """The figures of the sessions created on one day."""

    sessions: Counter[Key] = field(default_factory=Counter)  # status, outcome
    checks: Counter[Key] = field(default_factory=Counter)  # type, outcome, status
    templates: dict[str, Template] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "sessions": [[*key, count] for key, count in self.sessions.items()],
            "checks": [[*key, count] for key, count in self.checks.items()],
            "templates": [
                [template_id, found.name, found.count, sorted(found.lengths)]
                for template_id, found in self.templates.items()
            ],
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Day:
        """Return the figures from the result of ``plain``."""
        return cls(
            Counter({tuple(key): count for *key, count in plain["sessions"]}),
            Counter({tuple(key): count for *key, count in plain["checks"]}),
            {
                template_id: Template(name, count, lengths)
                for template_id, name, count, lengths in plain["templates"]
            },
        )


# Cached figures are read-only: they are added to others, never the other way round.
_parsed: Final[dict[str, Day]] = {}
_parsed_lock: Final = Lock()


def day_bounds(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    """Return the first moment of ``first`` and the first moment after ``last``, in the current time zone."""
    zone = timezone.get_current_timezone()
    start = datetime.combine(first, time.min, zone) if first else None
    end = datetime.combine(last + timedelta(days=1), time.min, zone) if last else None
    return start, end


def days_between(first: date, last: date) -> list[date]:
    """Return all days from ``first`` to ``last``, inclusive."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def statistics_by_day(first: date, last: date) -> dict[date, Day]:
    """Return the figures of each day of a period, stored or counted, in the current time zone."""
    stored = kept_by_day(first, last)
    missing = [day for day in days_between(first, last) if day not in stored]
    return dict(sorted({**stored, **count_days(missing, at_once=SHOWN_AT_ONCE)}.items()))


def kept_by_day(first: date, last: date) -> dict[date, Day]:
    """Return the stored figures of a period that are still valid, by day."""
    kept = DayFigures.objects.filter(
        zone=timezone.get_current_timezone_name(), day__gte=first, day__lte=last
    )
    named = ChangedDay.objects.values_list("day", _NO_MARK).distinct()
    # In one statement, so that figures and the marks of changed days are from the same moment.
    rows: list[tuple[date, str | None]] = list(
        kept.values_list("day", "mark").union(named, all=True)
    )
    changed = {day for day, mark in rows if mark is None}
    marks = {
        day: mark
        for day, mark in rows
        if mark is not None and not changed.intersection(_utc_days(day))
    }
    remembered = {day: _parsed.get(mark) for day, mark in marks.items()}
    valid = {day: figures for day, figures in remembered.items() if figures is not None}
    if unread := marks.keys() - valid:
        # Figures that were stored since the query above are newer, which does no harm.
        for day, mark, figures in kept.filter(day__in=unread).values_list("day", "mark", "figures"):
            valid[day] = Day.from_plain(figures)
            _remember(mark, valid[day])
    return valid


def _remember(mark: str, figures: Day) -> None:
    """Cache figures in this process by their mark, so that a page need not read all 90 days again."""
    if not mark:  # stored by a version without marks
        return
    with _parsed_lock:
        while len(_parsed) >= PARSED_DAYS:
            del _parsed[next(iter(_parsed))]
        _parsed[mark] = figures


def kept_count(
    first: date, last: date, *, status: str | None = None, outcome: str | None = None
) -> int | None:
    """
    Return how many sessions were created in a period, with this status and outcome.

    Returns:
        The number, or None if it would have to be counted first.
    """
    length = (last - first).days + 1
    if not 0 < length <= KEPT_DAYS:
        return None
    days = kept_by_day(first, last)
    if len(days) < length:
        return None
    return sum(
        count
        for day in days.values()
        for (its_status, its_outcome), count in day.sessions.items()
        if status in (None, its_status) and outcome in (None, its_outcome)
    )


def count_days(days: Sequence[date], *, alias: str | None = None, at_once: int) -> dict[date, Day]:
    """
    Count the figures of days of the current time zone, with one query for all checks and some for the sessions.

    Args:
        days: The days, without duplicates.
        at_once: How many sessions to read at once.
        alias: The database, or None for the one that the project's routers read from.
    """
    counted = {day: Day() for day in days}
    if not days:
        return counted
    zone = timezone.get_current_timezone()
    columns = ("pk", "created_at", "completed_at", "status", "outcome", *_TEMPLATE)
    for _pk, created_at, completed_at, status, outcome, template_id, name in _sessions_of(
        days, columns, alias, at_once
    ):
        day = counted[created_at.astimezone(zone).date()]
        day.sessions[status, outcome] += 1
        if status == WorkflowSession.Status.COMPLETE:
            length = completed_at - created_at if completed_at else None
            day.templates.setdefault(template_id, Template()).add(_single(name, length))
    checks = (
        RelatedCheck.objects.using(alias)
        .filter(_created_on(days, "session__"))
        .annotate(on=_day_of_check(alias))
        .values_list("on", "type", "outcome", "status")
        .annotate(count=Count("pk"))
        .order_by()
    )
    for on, *key, count in checks:
        day = counted[on.astimezone(zone).date() if isinstance(on, datetime) else on]
        day.checks[tuple(key)] += count
    return counted


def _sessions_of(
    days: Sequence[date], columns: Sequence[str], alias: str | None, at_once: int
) -> Iterator[Any]:
    """
    Yield columns of the sessions of some days, in the order of their creation, with short queries.

    A server-side cursor would need a dedicated connection, which a connection pooler may not provide.
    """
    start, end = day_bounds(min(days), max(days))
    # The lower bound is only the start of the walk: SQLite would start each query at a separate condition.
    sessions = WorkflowSession.objects.using(alias).filter(created_at__lt=end)
    if len(days) <= (max(days) - min(days)).days:
        sessions = sessions.filter(_created_on(days))
    in_order = keyset.keys_of(WorkflowSession, ["created_at", "pk"])
    rows = sessions.values_list(*columns, named=True)
    return chain.from_iterable(keyset.walk(rows, in_order, size=at_once, after=[start, ""]))


def mark_changed(created: Iterable[datetime | None], *, alias: str) -> None:
    """
    Mark days whose figures have to be counted again, in one statement.

    Call it in the transaction that writes, moves or deletes the sessions.

    Args:
        created: The creation times of these sessions, before and after the change.
        alias: The database of the transaction.
    """
    days = sorted({moment.astimezone(UTC).date() for moment in created if moment is not None})
    upsert([ChangedDay(day=day) for day in days], alias=alias)


def store_day_statistics() -> int:
    """
    Count and store those of the last 90 days that have no valid figures, and return how many days were counted.

    Two processes may do so at once: if both counted the same day, only the first one stores its figures.
    """
    alias = write_alias()
    zone = timezone.get_default_timezone_name()
    with timezone.override(ZoneInfo(zone)):
        last = timezone.localdate()
        first = last - timedelta(days=KEPT_DAYS - 1)
        named = list(ChangedDay.objects.using(alias).values_list("day", flat=True).distinct())
        kept = DayFigures.objects.using(alias).filter(zone=zone, day__gte=first)
        known = {
            day
            for day in kept.values_list("day", flat=True)
            if not set(named).intersection(_utc_days(day))
        }
        due = [day for day in days_between(first, last) if day not in known]
        if not due and not named:
            return 0
        # Mark every day that is counted here, so that `_keep` notices another process.
        own = [datetime.combine(day, time(12), UTC) for day in due]
        retry_transient(lambda: mark_changed(own, alias=alias), alias=alias)
        names = list(ChangedDay.objects.using(alias).values_list("pk", flat=True))
        rows: list[DayFigures] = []
        for some in chunks(due, COUNTED_AT_ONCE):
            counted = count_days(some, alias=alias, at_once=KEPT_AT_ONCE)
            rows += [
                DayFigures(zone=zone, day=day, figures=figures.plain(), mark=uuid4().hex)
                for day, figures in counted.items()
            ]
        retry_transient(lambda: _keep(rows, names, first, alias), alias=alias)
    return len(due)


def _keep(rows: list[DayFigures], names: list[int], first: date, alias: str) -> None:
    """Store the counted figures, unless another process has stored some of them meanwhile."""
    with transaction.atomic(using=alias, durable=True):
        gone = 0
        for some in chunks(names):
            gone += ChangedDay.objects.using(alias).filter(pk__in=some).delete()[0]
        if gone < len(names):
            transaction.set_rollback(True, using=alias)
            return
        DayFigures.objects.using(alias).filter(day__lt=first).delete()
        upsert(rows, unique=["zone", "day"], update=["figures", "mark"], alias=alias)


_TEMPLATE: Final = ("workflow_template_id", "workflow_template_name")


def _single(name: str, length: timedelta | None) -> Template:
    if length is None or length < timedelta(0):
        return Template(name, 1)
    return Template(name, 1, [round(length.total_seconds())])


def _day_of_check(alias: str | None) -> Any:
    """Return the UTC day of creation; the time on MySQL and MariaDB, which may lack time zone tables."""
    if connections[alias or router.db_for_read(RelatedCheck)].vendor == "mysql":
        return F("session__created_at")
    return TruncDate("session__created_at")


def _created_on(days: Sequence[date], path: str = "") -> Q:
    """Return the condition for rows created on one of the days, with as few ranges as possible."""
    condition = Q()
    for start, end in _stretches(sorted(days)):
        condition |= Q(**{f"{path}created_at__gte": start, f"{path}created_at__lt": end})
    return condition


def _stretches(days: Sequence[date]) -> Iterator[tuple[datetime | None, datetime | None]]:
    first = 0
    for number in range(1, len(days) + 1):
        if number == len(days) or days[number] - days[number - 1] > timedelta(days=1):
            yield day_bounds(days[first], days[number - 1])
            first = number


def _utc_days(day: date) -> set[date]:
    """Return the UTC days that a day of the current time zone overlaps."""
    start, end = day_bounds(day, day)
    assert start is not None and end is not None  # noqa: S101, PT018 - both were given
    last = (end - timedelta(microseconds=1)).astimezone(UTC).date()
    return {start.astimezone(UTC).date(), last}
