from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.statistics import overview
from tests.admin.builders import make_check, make_session
from tests.examples import parameters

OVERVIEW = "admin:complycube_sessions_workflowsession_overview"
FIGURE = re.compile(r'<a href="(?P<url>[^"]*changelist[^"]*|/[^"]*\?[^"]*)">(?P<count>\d+)</a>')


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def _some_of_everything(db: None, now: datetime) -> None:
    """Store sessions of every status and outcome, of several ages, with checks of every kind."""
    for number, (status, outcome) in enumerate(
        [
            ("started", ""),
            ("processing", ""),
            ("complete", "clear"),
            ("complete", "clear"),
            ("complete", "attention"),
            ("complete", "match_confirmed"),
            ("complete", "brand new & odd"),
            ("abandoned", ""),
            ("cancelled", ""),
            ("odd status", ""),
            ("", ""),
        ]
    ):
        created = now - timedelta(days=number * 3)
        session = make_session(
            status=status,
            outcome=outcome,
            created_at=created,
            completed_at=created + timedelta(minutes=number) if status == "complete" else None,
            needs_review=outcome not in {"", "clear"},
            workflow_template_id="" if number == 3 else f"t{number % 2}",
        )
        make_check(session, status="failed", outcome="")
        make_check(session, status="pending", outcome="")
        make_check(session, type="odd & new", outcome="odd one")
        make_check(session, type="identity_check", outcome="not_processed")
        make_check(session, type="identity_check", outcome="not_processed", status="pending")
        make_check(session, status="failed", outcome="attention")
        make_check(session, type="", outcome="clear")
    make_session(created_at=None, needs_review=True)
    make_session(created_at=now + timedelta(days=2), needs_review=True)


@pytest.mark.usefixtures("_some_of_everything")
@pytest.mark.parametrize("days", parameters([30, 90], quick={90}))
def test_figures__are_those_of_the_lists(viewer: Client, days: int) -> None:
    """Each figure is a link, and the list behind it has exactly so many rows."""
    html = viewer.get(reverse(OVERVIEW), {"days": days}).content.decode()
    links = {(unescape(match["url"]), int(match["count"])) for match in FIGURE.finditer(html)}
    assert len(links) > 30
    for url, count in links:
        response = viewer.get(url)
        assert response.status_code == 200, url
        assert response.context["cl"].result_count == count, url


@pytest.mark.usefixtures("_some_of_everything")
def test_open_work__counts_all_ages(viewer: Client) -> None:
    """The open work is the sum of its age bands, those of unknown age included."""
    response = viewer.get(reverse(OVERVIEW))
    assert response.context["waiting"] == 5
    assert (
        response.context["waiting"]
        == viewer.get(response.context["queue_url"]).context["cl"].result_count
    )
    assert "Age unknown" in response.content.decode()


@pytest.mark.usefixtures("_some_of_everything")
def test_nothing_unknown_is_clear(viewer: Client) -> None:
    """Only the word ``clear`` is counted and coloured as clear."""
    response = viewer.get(reverse(OVERVIEW))
    tones = {str(look.label): look.tone for look, _cell in response.context["legend"]}
    assert [label for label, tone in tones.items() if tone == "clear"] == ["Clear"]
    assert tones["brand new & odd"] == "unknown"


@pytest.mark.usefixtures("_some_of_everything")
def test_checks__every_figure_has_a_list(viewer: Client) -> None:
    """Checks that look alike and are not are columns of their own, so that each figure has its list."""
    response = viewer.get(reverse(OVERVIEW))
    cells = [cell for row in response.context["checks"] for cell in row.cells]
    assert all(cell.url for cell in cells if cell.count)
    words = [words for look, words in response.context["check_heads"] if look.tone == "unprocessed"]
    assert words == ["not_processed / complete", "not_processed / pending"]


@pytest.mark.usefixtures("_some_of_everything")
def test_without_permission_for_checks__no_links(sign_in: Any) -> None:
    """Figures of checks are not links for one who may not see checks."""
    html = sign_in("view_workflowsession").get(reverse(OVERVIEW)).content.decode()
    assert "/relatedcheck/?" not in html


def test_empty(viewer: Client) -> None:
    """Without any session each part says that there is nothing."""
    html = viewer.get(reverse(OVERVIEW), {"days": "nonsense"}).content.decode()
    assert "No session was created in this period." in html
    assert "No session from this period is complete." in html
    assert "The sessions from this period have no checks." in html
    assert "No refresh has run yet." in html


@pytest.mark.parametrize(
    ("minutes", "median", "ninetieth"),
    [([5], 5, 5), ([1, 2], 1, 2), ([3, 1, 2], 2, 3), (list(range(1, 11)), 5, 9)],
)
def test_completions__nearest_rank(
    db: None, now: datetime, minutes: list[int], median: int, ninetieth: int
) -> None:
    """Median and 90th percentile are times that occurred, by the nearest rank."""
    for length in minutes:
        make_session(created_at=now, completed_at=now + timedelta(minutes=length))
    make_session(created_at=now, completed_at=now - timedelta(minutes=1))
    make_session(created_at=now, completed_at=None)
    today = timezone.localdate(now)
    (entry,) = overview.completions(today, today)
    assert entry.count == len(minutes) + 2
    assert entry.median == timedelta(minutes=median)
    assert entry.ninetieth == timedelta(minutes=ninetieth)


@pytest.mark.usefixtures("_some_of_everything")
def test_queries(viewer: Client, django_assert_max_num_queries: Any) -> None:
    """The overview takes at most 12 queries."""
    with django_assert_max_num_queries(12):
        viewer.get(reverse(OVERVIEW))


@pytest.mark.django_db
def test_overview__chart_of_a_hostile_outcome(viewer: Client, now: datetime) -> None:
    """A bar names its day, outcome and count; an outcome that is markup is shown as text."""
    hostile = "</title><script>alert(1)</script>"
    for outcome in (hostile, hostile, "clear"):
        make_session(outcome=outcome, created_at=now)

    html = viewer.get(reverse(OVERVIEW)).content.decode()

    day = timezone.localdate(now).isoformat()
    titles = re.findall(r"<rect [^>]*><title>([^<]*)</title></rect>", html)
    assert [unescape(title) for title in titles] == [f"{day} · Clear: 1", f"{day} · {hostile}: 2"]
    assert hostile not in html
