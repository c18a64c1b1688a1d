"""Commands on a database that takes no writes, as a replica or the old primary after a failover."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import WebhookEvent, WorkflowSession
from tests.builders import session_row
from tests.privacy.support import run

# A transaction of the test's own would not be read-only.
pytestmark = pytest.mark.django_db(transaction=True)
SWITCHES = {
    "sqlite": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    "postgresql": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE"),
}


@pytest.fixture
def read_only(settings: Settings) -> Iterator[None]:
    """Store an old session with an open event, then take no writes any more."""
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=30)}
    session_row("one", client_id="c", updated_at=timezone.now() - timedelta(days=60))
    WebhookEvent.objects.create(
        account="default", event_id="e", type="workflow.session.completed", resource_id="one"
    )
    for statement, use in zip(SWITCHES[connection.vendor], (True, False), strict=True):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        if use:
            yield


@pytest.mark.parametrize(
    "command",
    [("process_webhook_events",), ("prune_complycube",), ("erase_complycube_client", "c")],
    ids=lambda command: command[0],
)
def test_read_only__is_one_line(read_only: None, command: tuple[str, ...]) -> None:
    """One line says that the database takes no writes, and the command ends with 2."""
    said = run(*command)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("The database takes no writes (")
    assert said.err.endswith("run this where the primary is.")
    assert "\n" not in said.err
    assert WorkflowSession.objects.exists()


def test_read_only__dry_runs(read_only: None) -> None:
    """What only counts works on a replica as well."""
    for command in (("prune_complycube",), ("erase_complycube_client", "c")):
        assert run(*command, "--dry-run").code == 0
