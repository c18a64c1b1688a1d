"""A clock that ran ahead while a run was stored, and was set back: real processes on real databases."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db.models import F

from complycube_sessions import models
from tests.fake_api import FakeAPI, served
from tests.reliability.conftest import OpenDatabase
from tests.reliability.processes import OwnDatabase
from tests.reliability.support import assert_equals_source

pytestmark = [
    pytest.mark.databases,
    pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(days=30)], ids=str),
    pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"]),
]
# Starting a process on a busy machine is most of it; a wait for the clock would last ten minutes.
USUAL_SECONDS = 60.0


def set_server_ahead(database: OwnDatabase, kind: str, ahead: timedelta) -> None:
    """Store what a server whose clock ran ahead would have; SQLite's clock is the process's own."""
    if kind != "sqlite":
        budgets = models.RequestBudget.objects.using(database.alias)
        budgets.update(next_slot_at=F("next_slot_at") + ahead)
        leases = models.RefreshLease.objects.using(database.alias).exclude(expires_at=None)
        leases.update(expires_at=F("expires_at") + ahead)


def test_clock__killed_run(open_database: OpenDatabase, kind: str, ahead: timedelta) -> None:
    """After a run that was killed under such a clock, the next one ends within its usual time and is right."""
    api = FakeAPI()
    for number in range(40):
        api.add_session(number, checks=1)
    database = open_database(kind)
    with served(api) as url:
        doomed = database.refresh(url, ahead=ahead)
        api.on_request = lambda number, path: doomed.kill() if number == 30 else None
        doomed.communicate(timeout=60)
        api.on_request = lambda number, path: None
        set_server_ahead(database, kind, ahead)
        began = time.monotonic()
        run = database.refresh(url, "--full")
        out, err = run.communicate(timeout=120)
        seconds = time.monotonic() - began

    assert doomed.returncode != 0
    assert (run.returncode, "succeeded" in out) == (0, True), err
    assert seconds < USUAL_SECONDS
    said = [line for line in err.splitlines() if "A clock ran ahead" in line]
    assert len(said) == len(set(said)) == 2
    assert "the lease of run" in said[0]
    assert "the next free request of a key" in said[1]
    assert_equals_source(api, using=database.alias)
    states = models.RefreshRun.objects.using(database.alias).order_by("pk")
    assert list(states.values_list("state", flat=True)) == ["interrupted", "succeeded"]


def test_clock__whole_run(open_database: OpenDatabase, kind: str, ahead: timedelta) -> None:
    """What was stored under such a clock is not newer than what is true afterwards."""
    api = FakeAPI()
    ids = [api.add_session(number, checks=1) for number in range(30)]
    database = open_database(kind)
    with served(api) as url:
        first = database.refresh(url, ahead=ahead)
        _, err = first.communicate(timeout=60)
        assert (first.returncode, err) == (0, "")
        set_server_ahead(database, kind, ahead)
        del api.sessions[ids[3]]
        api.touch(ids[4], outcome="attention")
        api.sessions[ids[5]]["entityName"] = "Somebody Else"  # without a new `updatedAt`
        began = time.monotonic()
        run = database.refresh(url, *ids[3:6])
        out, err = run.communicate(timeout=120)
        seconds = time.monotonic() - began

    assert (run.returncode, err.count("A clock ran ahead")) == (0, 1), err
    assert "2 updated, 0 unchanged, 1 missing" in out
    assert f"{ids[3]}: no longer known to the API; marked as missing." in out
    assert seconds < USUAL_SECONDS
    assert_equals_source(api, without=[ids[3]], using=database.alias)
    gone = models.WorkflowSession.objects.using(database.alias).get(pk=ids[3])
    assert gone.missing_since is not None
