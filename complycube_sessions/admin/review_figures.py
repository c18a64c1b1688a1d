"""The page with the figures of case work."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.admin import display
from complycube_sessions.admin.base import ReadOnlyAdmin
from complycube_sessions.admin.overview import PERIODS, Cell, Row, share
from complycube_sessions.admin.review_list import PARAMETER, may_see
from complycube_sessions.admin.review_panel import decision_badge
from complycube_sessions.models import Review
from complycube_sessions.reviews.records import name_of
from complycube_sessions.statistics.reviews import (
    BANDS,
    Decisions,
    OpenReviews,
    decisions,
    open_reviews,
)

ASSIGNEES_SHOWN: Final = 50


def figures_view(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show what is open by age and assignee, and what was decided in the last 30 or 90 days."""
    if not page.has_view_permission(request) or not may_see(request):
        raise PermissionDenied
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[0]
    last = timezone.localdate()
    first = last - timedelta(days=days - 1)
    found, decided = open_reviews(), decisions(first, last)
    context = {
        "title": _("Reviews in figures"),
        "crumb": _("Reviews in figures"),
        "list_url": page.list_url(),
        "open": found,
        "open_url": page.list_url(**{PARAMETER: "open"}),
        "decided_url": page.list_url(**{PARAMETER: "decided"}),
        "ages": _ages(found),
        "assignees": _assignees(found),
        "days": days,
        "periods": PERIODS,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "decided": decided,
        "confirmed": f"{share(decided.confirmed, decided.total) / 10:.0f} %",
        "median": display.duration(decided.rank(50)),
        "ninetieth": display.duration(decided.rank(90)),
        "heads": [decision_badge(word) for word in Review.Decision.values],
        "by_day": _by_day(decided),
    }
    return page.render(request, "review_figures.html", context)


def _ages(found: OpenReviews) -> list[Row]:
    most = max(found.by_age.values(), default=0)
    return [
        Row(
            _age(youngest, oldest),
            [Cell(found.by_age[youngest])],
            share(found.by_age[youngest], most),
            display.age_tone(youngest),
        )
        for youngest, oldest in zip(BANDS, [*BANDS[1:], None], strict=True)
    ]


def _age(youngest: int, following: int | None) -> str:
    """Return a band of ages in words, as the overview of sessions says it."""
    if following is None:
        text = ngettext("%(days)d day or more", "%(days)d days or more", youngest)
        return text % {"days": youngest}
    if youngest == 0:
        return _("Today")
    return _("%(first)d to %(last)d days") % {"first": youngest, "last": following - 1}


def _assignees(found: OpenReviews) -> list[Row]:
    """Return who has most of what is open, and before them what nobody has."""
    named = [(pk, count) for pk, count in found.by_assignee.most_common() if pk is not None]
    shown: dict[Any, Any] = get_user_model()._default_manager.in_bulk(
        [pk for pk, _count in named[:ASSIGNEES_SHOWN]]
    )
    most = max(found.by_assignee.values(), default=0)
    rows = [(_("Nobody yet"), found.by_assignee[None])]
    rows += [(name_of(shown[pk]), count) for pk, count in named[:ASSIGNEES_SHOWN] if pk in shown]
    return [Row(name, [Cell(count)], share(count, most), "waiting") for name, count in rows]


def _by_day(decided: Decisions) -> list[tuple[date, list[int]]]:
    return [
        (day, [*(counts[word] for word in Review.Decision.values), counts.total()])
        for day, counts in sorted(decided.by_day.items(), reverse=True)
    ]
