"""Beside ``visit.py``, for the host with a second database: the app keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from complycube_sessions.models import WorkflowSession
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.webhooks.processing import process_webhook_events
from tests.fake_api import FakeAPI
from tests.webhook_requests import event, post

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
