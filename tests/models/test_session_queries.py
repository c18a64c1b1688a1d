from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from complycube_sessions.models import PendingRefresh, RefreshRun, WorkflowSession
from tests.builders import session_row

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ids(rows: object) -> list[str]:
    return sorted(row.pk for row in rows)  # type: ignore[attr-defined]


def test_for_client__compares_exactly() -> None:
    """Case, accents and trailing spaces of an id count on every database."""
    for index, client_id in enumerate(["ab", "AB", "áb", "ab "]):
        session_row(f"s{index}", client_id=client_id)
    assert ids(WorkflowSession.objects.for_client("ab")) == ["s0"]
    assert ids(WorkflowSession.objects.for_client("ab ")) == ["s3"]


def test_primary_key__compares_exactly() -> None:
    """Ids that differ in case alone are two sessions."""
    session_row("abc")
    session_row("ABC")
    assert WorkflowSession.objects.count() == 2
    assert WorkflowSession.objects.get(pk="ABC").pk == "ABC"


def test_open__has_not_ended() -> None:
    """Open is what has not ended upstream; an unknown status has not."""
    for status in ["started", "processing", "complete", "abandoned", "cancelled", "paused"]:
        session_row(status, status=status)
    session_row("gone", status="started", missing_since=NOW)
    assert ids(WorkflowSession.objects.open()) == ["paused", "processing", "started"]


def test_needs_review__is_the_stored_flag() -> None:
    session_row("a", needs_review=True)
    session_row("b")
    assert ids(WorkflowSession.objects.needs_review()) == ["a"]


def test_declined__final_refusals() -> None:
    """Declined are complete sessions with a final refusal."""
    for outcome in ["clear", "attention", "decline", "rejected", "match_confirmed", "", "Decline"]:
        session_row(f"o-{outcome}", status="complete", outcome=outcome)
    session_row("open", status="processing", outcome="decline")
    assert ids(WorkflowSession.objects.declined()) == [
        "o-decline",
        "o-match_confirmed",
        "o-rejected",
    ]


def test_latest_for_client__by_creation() -> None:
    """The newest by the vendor's time is the latest; without a time it is the last choice."""
    assert WorkflowSession.objects.latest_for_client("c") is None
    session_row("untimed", client_id="c")
    session_row("old", client_id="c", created_at=NOW)
    session_row("new", client_id="c", created_at=NOW + timedelta(days=1))
    latest = WorkflowSession.objects.latest_for_client("c")
    assert latest is not None
    assert latest.pk == "new"


@pytest.mark.parametrize("method", ["stale", "stale_now"])
def test_stale__neither_fetched_nor_swept(method: str) -> None:
    """A session is stale when it was not fetched lately and no sweep over its account succeeded."""

    def stale() -> list[str]:
        return ids(getattr(WorkflowSession.objects, method)(older_than=timedelta(days=1)))

    now = timezone.now()
    session_row("old", fetched_at=now - timedelta(days=3))
    session_row("fresh", fetched_at=now)
    session_row("gone", fetched_at=now - timedelta(days=3), missing_since=now)
    assert stale() == ["old"]
    RefreshRun.objects.create(account="other", mode="full", state="succeeded")
    RefreshRun.objects.create(account="default", mode="full", state="partial")
    RefreshRun.objects.create(account="default", mode="ids", state="succeeded")
    RefreshRun.objects.create(
        account="default", mode="full", state="succeeded", started_at=now - timedelta(days=2)
    )
    assert stale() == ["old"]
    RefreshRun.objects.create(account="default", mode="full", state="succeeded")
    assert stale() == []
    PendingRefresh.objects.create(account="default", session_id="old", reason="failed")
    assert stale() == ["old"]


@pytest.mark.parametrize("method", ["stale", "stale_now"])
def test_stale__sweep_of_the_other_environment(method: str) -> None:
    """A sweep with the live key tells nothing of the sessions of the test key."""
    session_row("test", environment="test", fetched_at=NOW)
    session_row("live", environment="live", fetched_at=NOW)
    RefreshRun.objects.create(account="default", environment="live", mode="full", state="succeeded")
    stale = getattr(WorkflowSession.objects, method)(older_than=timedelta(days=1))
    assert ids(stale) == ["test"]


@pytest.mark.django_db
def test_search__letters_alone_are_a_name() -> None:
    """A short word without a digit is read as a name, even where an id equals it; a long one may be an id."""
    numbered, short = session_row("1", client_id="7"), session_row("2", client_id="anna")
    long = session_row("3", client_id="deadbeef" * 3)
    assert WorkflowSession.objects.search("7").get() == numbered
    assert WorkflowSession.objects.search("deadbeef" * 3).get() == long
    assert not WorkflowSession.objects.search("anna").exists()
    assert WorkflowSession.objects.for_client("anna").get() == short


@pytest.mark.parametrize("typed", ["mar", "mar gar"])
def test_search__by_the_index_of_words(typed: str) -> None:
    """Every database looks the beginning of a word up in the index instead of reading all names."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # which rather reads a table of no rows
            cursor.execute("SET LOCAL enable_seqscan = off")
        with CaptureQueriesContext(connections["default"]) as queries:
            list(WorkflowSession.objects.search(typed))
        asked = [q["sql"] for q in queries.captured_queries if "sessionnameword" in q["sql"]]
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        for sql in asked:
            cursor.execute(f"{explain} {sql}", None)
            plan = str(cursor.fetchall())
            assert "ccs_words_start" in plan, plan
            assert not re.search(r"SCAN \S+ USING COVERING INDEX ccs_words_start", plan), plan
    assert asked
