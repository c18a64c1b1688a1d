from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from complycube_sessions.models import Erasure, PruneRun, WorkflowSession
from tests.builders import by_hand
from tests.reliability.conftest import OpenDatabase

pytestmark = pytest.mark.databases
SESSIONS, KILLS, SECONDS = 2501, 2, 60


@pytest.mark.parametrize("removal", ["prune", "erase"])
@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_kill__record_tells_what_is_gone(
    open_database: OpenDatabase, kind: str, removal: str
) -> None:
    """However often a removal is killed, its records tell each row that is gone, and no other."""
    database = open_database(kind)
    rows = WorkflowSession.objects.using(database.alias)
    old = timezone.now() - timedelta(days=60)
    with by_hand():
        rows.bulk_create(
            [
                WorkflowSession(
                    id=f"s{number:05}",
                    account="default",
                    client_id="c",
                    updated_at=old,
                    fetched_at=old,
                )
                for number in range(SESSIONS)
            ],
            batch_size=500,
        )
    for _ in range(KILLS):
        before = rows.count()
        process = database.start(
            "http://127.0.0.1:9/v1", removal, module="tests.privacy.kill_worker"
        )
        deadline = time.monotonic() + SECONDS
        while rows.count() == before and process.poll() is None:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SECONDS)
    model = PruneRun if removal == "prune" else Erasure
    told: Counter[str] = Counter()
    for removed in model._default_manager.using(database.alias).values_list("removed", flat=True):
        told.update(removed)
    assert 0 < told["WorkflowSession"] == SESSIONS - rows.count()
