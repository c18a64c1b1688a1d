"""Beside ``visit.py``, for the host with a replica: what was just written is read where it was written."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client

from complycube_sessions.database_checks import check_environments_apart, check_events_arrive
from complycube_sessions.models import WorkflowSession
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.webhooks.processing import process_webhook_events
from tests.fake_api import FakeAPI
from tests.host_settings.routers import ReplicaRouter
from tests.webhook_requests import event, post

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_replica__services_never_read_there(client: Client, api: FakeAPI) -> None:
    """No run, event or check of the database believes a replica, which may be seconds behind."""
    ids = [api.add_session(number) for number in range(5)]
    ReplicaRouter.read.clear()
    refresh_sessions()
    api.touch(ids[0], outcome="attention")
    refresh_sessions()
    refresh_sessions(full=True)
    refresh_sessions(ids=ids[:2])
    refresh_sessions(dry_run=True)
    refresh_sessions(hand_out=True, full=True)
    assert refresh_session(ids[0])._state.db == "default"
    assert post(client, event("evt1", id=ids[1])).status_code == 200
    process_webhook_events()
    call_command("refresh_workflow_sessions", "--json", verbosity=0)
    call_command("process_webhook_events", verbosity=0)
    check_events_arrive(databases=["default"])
    check_environments_apart(databases=["default"])
    assert ReplicaRouter.read == []


def test_replica__the_host_reads_there(api: FakeAPI) -> None:
    """A query of the host's own goes where its router sends it."""
    session_id = api.add_session(1)
    refresh_sessions()
    ReplicaRouter.read.clear()
    session = WorkflowSession.objects.get(pk=session_id)
    assert session._state.db == "replica"
    assert ReplicaRouter.read == ["WorkflowSession"]
