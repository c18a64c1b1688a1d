from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from complycube_sessions.models import WorkflowSession
from tests.admin.builders import NOON, make_session
from tests.builders import by_hand

BASE = "admin:complycube_sessions_workflowsession"
QUEUE = "review=yes&outcome=attention"


def step(client: Client, direction: str, session: WorkflowSession, state: str = QUEUE) -> str:
    """Return the address that the link to a neighbour leads to."""
    query = urlencode({"_changelist_filters": state}) if state else ""
    address = reverse(f"{BASE}_{direction}", args=[session.pk])
    response = client.get(f"{address}?{query}")
    assert response.status_code == 302
    return str(response["Location"])


def page_of(session: WorkflowSession, state: str = QUEUE) -> str:
    return f"{reverse(f'{BASE}_change', args=[session.pk])}?{urlencode({'_changelist_filters': state})}"


@pytest.fixture
def queue(db: None) -> list[WorkflowSession]:
    """Return three sessions of the queue, oldest first, with others between them that are in no queue."""
    found = []
    for number in range(3):
        at = NOON + timedelta(hours=number)
        found.append(make_session(outcome="attention", needs_review=True, created_at=at))
        make_session(created_at=at)
        make_session(outcome="review", needs_review=True, created_at=at)
    return found


def test_neighbours__in_the_order_of_the_list(viewer: Client, queue: list[WorkflowSession]) -> None:
    """Next and previous walk through the list as it is filtered and ordered, and keep its filters."""
    first, second, third = queue
    assert step(viewer, "next", first) == page_of(second)
    assert step(viewer, "next", second) == page_of(third)
    assert step(viewer, "previous", third) == page_of(second)
    newest_first = f"{QUEUE}&o=-1"
    assert step(viewer, "next", third, newest_first) == page_of(second, newest_first)


@pytest.mark.parametrize(("direction", "place"), [("next", "last"), ("previous", "first")])
def test_neighbours__at_the_end(
    viewer: Client, queue: list[WorkflowSession], direction: str, place: str
) -> None:
    """At the end of the list one stays where one is, and is told."""
    session = queue[-1] if direction == "next" else queue[0]
    address = step(viewer, direction, session)
    assert address == page_of(session)
    assert f"This is the {place} session of the list." in viewer.get(address).content.decode()


def test_neighbours__of_one_that_left_the_queue(
    viewer: Client, queue: list[WorkflowSession]
) -> None:
    """A session that was decided meanwhile still leads on from its place."""
    with by_hand():
        WorkflowSession.objects.filter(pk=queue[1].pk).update(needs_review=False, outcome="clear")
    assert step(viewer, "next", queue[1]) == page_of(queue[2])
    assert step(viewer, "previous", queue[1]) == page_of(queue[0])


def test_neighbours__few_queries(
    viewer: Client, queue: list[WorkflowSession], django_assert_max_num_queries: object
) -> None:
    """It costs no more than the list."""
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        step(viewer, "next", queue[0])


@pytest.mark.parametrize("state", ["", "p=99", "after=x", "o=99"])
def test_neighbours__whatever_the_address_says(
    viewer: Client, queue: list[WorkflowSession], state: str
) -> None:
    """A state that is no list's leads to a page of this site, never to an error."""
    assert step(viewer, "next", queue[0], state).startswith("/admin/complycube_sessions/")


def test_neighbours__of_nobody(viewer: Client) -> None:
    """The neighbour of an id that is not stored is the list."""
    response = viewer.get(reverse(f"{BASE}_next", args=["nobody"]))
    assert response["Location"] == reverse(f"{BASE}_changelist")
