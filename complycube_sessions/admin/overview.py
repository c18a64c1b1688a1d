"""The overview: open work and how verification goes, each figure a link to the list that it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.admin import display
from complycube_sessions.admin.base import ReadOnlyAdmin, allowed
from complycube_sessions.admin.filters import YES
from complycube_sessions.admin.freshness import freshness_line
from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.models.open_choices import NO_WORD
from complycube_sessions.statistics import overview

PERIODS: Final = (30, 90)
CHART_HEIGHT: Final = 120
CHART_WIDTH: Final = 900
BAR_WIDTH: Final = 1_000
# A check's outcome and status.
Words = tuple[str, str]

_LINKED: Final = '<td class="ccs-num"><a href="{}">{}</a></td>'
_PLAIN: Final = '<td class="ccs-num">{}</td>'
_STEPS: Final = ("started", "processing", "complete", "abandoned", "cancelled")


@dataclass(frozen=True)
class Cell:
    """One figure with the list that it counts."""

    count: int
    url: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table, with the share of a bar in thousandths."""

    label: Any
    cells: list[Cell] = field(default_factory=list)
    share: int = 0
    tone: str = ""
    texts: list[str] = field(default_factory=list)

    @property
    def percent(self) -> str:
        return f"{self.share / 10:.0f} %"


def overview_view(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the figures of the last 30 or 90 days."""
    if not page.has_view_permission(request):
        raise PermissionDenied
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[0]
    return page.render(request, "overview.html", Overview(page, days).context(request))


class Overview:
    """The figures of some days, each with the address of the list that it counts."""

    def __init__(self, page: ReadOnlyAdmin, days: int) -> None:
        self.page = page
        self.days = days
        self.last = timezone.localdate()
        self.first = self.last - timedelta(days=days - 1)
        self.period = overview.period(self.first, self.last)
        self.activity = self.period.activity

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the page shows."""
        outcomes = self._outcome_columns()
        ages = self._ages()
        return {
            "title": _("Overview"),
            "crumb": _("Overview"),
            "list_url": self.page.list_url(),
            "days": self.days,
            "periods": PERIODS,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "freshness": freshness_line(self.page.pending_url(request)),
            "overview_url": self.page.url("overview"),
            "ages": ages,
            "waiting": sum(row.cells[0].count for row in ages),
            "queue_url": self.page.list_url(review=YES),
            "total": self._cell(self.activity.total),
            "funnel": self._funnel(),
            "outcomes": [display.outcome_appearance(word) for word in outcomes],
            "legend": [
                (
                    display.outcome_appearance(word),
                    self._cell(self.activity.by_outcome[word], outcome=word or NO_WORD),
                )
                for word in outcomes
            ],
            "by_day": self._by_day(outcomes),
            "bars": bars(self.activity, outcomes),
            "chart": (CHART_WIDTH, CHART_HEIGHT),
            "highest": max((day.total() for day in self.activity.by_day.values()), default=0),
            "completions": self._completions(),
            **self._check_table(request),
        }

    def _cell(self, count: int, **query: str) -> Cell:
        """Return a figure with the address of the sessions of these days that it counts."""
        return Cell(count, self.page.list_url(**query, **_days(self.first, self.last)))

    def _ages(self) -> list[Row]:
        rows = []
        bands = overview.review_ages()
        most = max((band.count for band in bands), default=0)
        for band in bands:
            query = {"review": YES}
            if band.created_from:
                query["created_from"] = band.created_from.isoformat()
            if band.created_to:
                query["created_to"] = band.created_to.isoformat()
            if band.days is None:
                query["created_from"] = NO_WORD
            elif band.created_from is None and band.created_to is None:
                continue
            cell = Cell(band.count, self.page.list_url(**query))
            tone = display.age_tone(band.days[0]) if band.days else "none"
            rows.append(Row(age_label(band), [cell], share(band.count, most), tone))
        return rows

    def _funnel(self) -> list[Row]:
        by_status = self.activity.by_status
        return [
            Row(
                display.status_label(word),
                [self._cell(by_status[word], status=word or NO_WORD)],
                share(by_status[word], self.activity.total),
                "waiting" if word in _STEPS[:3] else "none",
            )
            for word in [*_STEPS, *sorted(set(by_status) - {*_STEPS})]
        ]

    def _outcome_columns(self) -> list[str]:
        """Return the outcomes that there are, the known ones first, the missing one last."""
        there = {word for word, count in self.activity.by_outcome.items() if count}
        known = [word for word in WorkflowSession.Outcome.values if word in there]
        others = sorted(there - {*known, ""})
        return [*known, *others, *([""] if "" in there else [])]

    def _by_day(self, outcomes: list[str]) -> list[tuple[date, SafeString]]:
        """Return each day with its figures as cells of a table; they are hundreds, like the bars."""
        address = self.page.list_url()
        queries = [(word, urlencode({"outcome": word or NO_WORD})) for word in outcomes]
        rows = []
        for day, counts in sorted(self.activity.by_day.items(), reverse=True):
            whole = f"{address}?{urlencode(_days(day, day))}"
            counted = [(counts[word], f"{whole}&{query}") for word, query in queries]
            cells = [_figure(*figure) for figure in [*counted, (counts.total(), whole)]]
            rows.append((day, mark_safe("".join(cells))))  # noqa: S308 - each cell is safe
        return rows

    def _completions(self) -> list[Row]:
        return [
            Row(
                entry.template_name or entry.template_id or _("No template"),
                [self._cell(entry.count, status="complete", template=entry.template_id or NO_WORD)],
                texts=[display.duration(entry.median), display.duration(entry.ninetieth)],
            )
            for entry in self.period.completions
        ]

    def _check_table(self, request: HttpRequest) -> dict[str, Any]:
        """Return the checks by type and what came out; each outcome and status is a column of its own."""
        may_open = allowed(request, "view_relatedcheck")
        cells: dict[str, dict[Words, Cell]] = {}
        looks: dict[Words, display.Appearance] = {}
        for entry in self.period.check_counts:
            # The same check is shown with the same mark here and on the page of its session.
            check = RelatedCheck(status=entry.status, outcome=entry.outcome)
            words = (entry.outcome, entry.status)
            looks[words] = display.check_appearance(check)
            query = {
                "type": entry.type or NO_WORD,
                "outcome": entry.outcome or NO_WORD,
                "status": entry.status or NO_WORD,
                **_days(self.first, self.last),
            }
            url = self.page.list_url(RelatedCheck, **query) if may_open else ""
            cells.setdefault(entry.type, {})[words] = Cell(entry.count, url, looks[words].tone)
        order = sorted(looks, key=lambda words: (display.TONES.index(looks[words].tone), *words))
        return {
            "check_heads": check_heads([(looks[words], words) for words in order]),
            "checks": [
                Row(
                    display.check_type_label(check_type),
                    [found.get(words, Cell(0)) for words in order],
                )
                for check_type, found in sorted(cells.items())
            ],
        }


def _figure(count: int, url: str) -> SafeString:
    return format_html(_LINKED, url, localize(count)) if count else format_html(_PLAIN, count)


def check_heads(
    columns: list[tuple[display.Appearance, Words]],
) -> list[tuple[display.Appearance, str]]:
    """Return each column's look, with the vendor's words where two columns look the same."""
    labels = Counter(str(look.label) for look, _words in columns)
    return [
        (look, " / ".join(word or display.DASH for word in words))
        if labels[str(look.label)] > 1
        else (look, "")
        for look, words in columns
    ]


def _days(first: date, last: date) -> dict[str, str]:
    return {"created_from": first.isoformat(), "created_to": last.isoformat()}


def share(count: int, total: int) -> int:
    """Return a share in thousandths."""
    return round(count * BAR_WIDTH / total) if total else 0


def age_label(band: overview.AgeBand) -> str:
    """Return an age band in words."""
    if band.days is None:
        return _("Age unknown")
    youngest, oldest = band.days
    if oldest is None:
        return ngettext("%(days)d day or more", "%(days)d days or more", youngest) % {
            "days": youngest
        }
    if oldest == 0:
        return _("Today")
    return _("%(first)d to %(last)d days") % {"first": youngest, "last": oldest}


def bars(activity: overview.Activity, outcomes: list[str]) -> SafeString:
    """
    Return the rectangles of a stacked chart, one column a day, oldest on the left.

    They are hundreds, which a template takes many times as long to write.
    """
    highest = max((day.total() for day in activity.by_day.values()), default=0)
    if not highest:
        return SafeString()
    step = CHART_WIDTH / len(activity.by_day)
    looks = {word: display.outcome_appearance(word) for word in outcomes}
    labels = {word: escape(str(look.label)) for word, look in looks.items()}
    found = []
    for number, (day, counts) in enumerate(sorted(activity.by_day.items())):
        y = float(CHART_HEIGHT)
        for word in outcomes:
            if not counts[word]:
                continue
            height = counts[word] * CHART_HEIGHT / highest
            y -= height
            found.append(
                f'<rect class="ccs-tone-{looks[word].tone}" x="{number * step:.1f}" y="{y:.1f}"'
                f' width="{step * 0.8:.1f}" height="{height:.1f}">'
                f"<title>{day.isoformat()} · {labels[word]}: {counts[word]}</title></rect>"
            )
    return mark_safe("".join(found))  # noqa: S308 - numbers, days, tones, and labels that were escaped
