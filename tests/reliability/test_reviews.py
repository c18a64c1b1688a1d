"""Several people at once on the same reviews, each in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
from django.core.management import call_command

from complycube_sessions.models import RelatedCheck, Review, ReviewEvent, WorkflowSession
from complycube_sessions.reviews.meaning import differences, fingerprint
from tests.builders import by_hand
from tests.reliability.conftest import OpenDatabase
from tests.reliability.processes import ROOT, OwnDatabase
from tests.reviews.builders import NOON, session_id

PEOPLE = 8
REVIEWS = 50
KINDS = ["postgresql", "mariadb", "sqlite"]


def run_together(database: OwnDatabase, *jobs: str) -> list[list[str]]:
    """Let a process for each job begin at the same moment, and return what each printed."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.review_worker", job, str(number)],
            cwd=ROOT,
            env=database.environment("http://127.0.0.1:9/v1", 1),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, job in enumerate(jobs)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    printed = []
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert (worker.returncode, err) == (0, "")
        printed.append(json.loads(out))
    return printed


@by_hand()
def fill(database: OwnDatabase, number: int) -> None:
    """Write sessions that have been waiting for a review, and make room for people."""
    call_command("migrate", "auth", database=database.alias, verbosity=0)
    rows = WorkflowSession.objects.using(database.alias)
    for place in range(1, number + 1):
        rows.create(
            pk=session_id(place),
            account="default",
            environment="test",
            status="complete",
            outcome="attention",
            needs_review=True,
            fetched_at=NOON,
        )
    Review.objects.using(database.alias).bulk_create(
        Review(session_id=session_id(place), opened_at=NOON) for place in range(1, number + 1)
    )


@pytest.mark.databases
@pytest.mark.parametrize("kind", KINDS)
def test_reviews__eight_people_press_take_next(open_database: OpenDatabase, kind: str) -> None:
    """Until nothing is left: no session is taken twice, none is lost, and nobody meets an error."""
    database = open_database(kind)
    fill(database, REVIEWS)

    taken = run_together(database, *["take"] * PEOPLE)

    count = Counter(pk for one in taken for pk in one)
    assert len(count) == REVIEWS
    assert set(count.values()) == {1}
    rows = Review.objects.using(database.alias)
    assert rows.filter(state="assigned").exclude(assignee=None).count() == REVIEWS
    events = ReviewEvent.objects.using(database.alias).filter(action="taken")
    assert Counter(events.values_list("review_id", flat=True)) == count


@pytest.mark.databases
@pytest.mark.parametrize("kind", KINDS)
def test_reviews__decisions_beside_the_store(open_database: OpenDatabase, kind: str) -> None:
    """Whatever is decided in the end is about what is stored, however the store and people came between."""
    database = open_database(kind)
    fill(database, 5)

    run_together(database, "store", "decide", "store", "decide", "decide")

    sessions = WorkflowSession.objects.using(database.alias).in_bulk()
    for review in Review.objects.using(database.alias).filter(state="decided"):
        checks = RelatedCheck.objects.using(database.alias).filter(session=review.pk)
        now = fingerprint(sessions[review.pk], checks)
        assert differences(review.seen_fingerprint, now) == []
        assert review.decided_by_id is not None
    assert ReviewEvent.objects.using(database.alias).filter(action="decided").exists()
    assert Review.objects.using(database.alias).count() == 5
