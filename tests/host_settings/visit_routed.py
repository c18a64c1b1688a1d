"""Beside ``visit.py``, for the host with a second database: the app keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client

from complycube_sessions.models import Review, WorkflowSession
from complycube_sessions.services import decide_review, refresh_session, refresh_sessions
from complycube_sessions.webhooks.processing import process_webhook_events
from tests.fake_api import FakeAPI
from tests.webhook_requests import event, post

LIST = "/admin/complycube_sessions/workflowsession/"
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def refuse(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
    raise AssertionError(f"asked the default database: {sql}")


def test_routed__services_use_the_second_database_only(client: Client, api: FakeAPI) -> None:
    """No query of a run or an event goes to the default database."""
    ids = [api.add_session(number) for number in range(3)]
    with connections["default"].execute_wrapper(refuse):
        refresh_sessions()
        refresh_session(ids[0])
        refresh_sessions(full=True)
        assert post(client, event("evt1", id=ids[1])).status_code == 200
        process_webhook_events()
    assert WorkflowSession.objects.count() == 3


def test_routed__tables() -> None:
    """The default database has no table of the app, the other one has nothing else."""
    tables = {
        alias: {
            name
            for name in connections[alias].introspection.table_names()
            if name.startswith("complycube_sessions_")
        }
        for alias in ("default", "kyc")
    }
    assert tables["default"] == set()
    assert WorkflowSession._meta.db_table in tables["kyc"]
    assert "auth_user" not in connections["kyc"].introspection.table_names()


def test_routed__reviews_of_people_in_another_database(client: Client, api: FakeAPI) -> None:
    """People of the default database work on reviews of the second one, and may be deleted."""
    ids = [api.add_session(number, outcome="attention") for number in range(2)]
    refresh_sessions()
    boss = get_user_model().objects.create_superuser("lead", password="x")
    client.force_login(boss)
    for view in ("unassigned", "open", "decided"):
        assert client.get(LIST, {"case": view}).status_code == 200
    assert client.post(f"{LIST}take-next/").status_code == 302
    review = Review.objects.get(state="assigned")
    assert review.assignee_id == boss.pk
    assert b"lead" in client.get(LIST, {"case": "open"}).content
    assert client.get(f"{LIST}{review.pk}/change/").status_code == 200
    assert client.get(f"{LIST}reviews/").status_code == 200
    decide_review(next(pk for pk in ids if pk != review.pk), boss, "approved")

    boss.delete()

    assert not Review.objects.exclude(assignee=None, decided_by=None).exists()
    assert set(Review.objects.values_list("state", flat=True)) == {"open", "decided"}
