from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import models
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import (
    Erasure,
    PruneRun,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from tests.builders import by_hand, session_row
from tests.examples import parameters
from tests.privacy.host_rows import host_model
from tests.privacy.support import everything, run

# Constraints of the host's tables are looked at when a transaction ends.
pytestmark = pytest.mark.django_db(transaction=True)
REFUSING = [models.PROTECT, models.RESTRICT, models.DO_NOTHING]
COMMANDS = [("erase_complycube_client", "the-client"), ("prune_complycube",)]
WHY = "Rows of sandbox.Invoice protect rows of WorkflowSession: remove those first, and run this again."


@pytest.fixture(autouse=True)
@by_hand()
def sessions(settings: Settings) -> None:
    """Store seven old sessions of one client, each with a check and a change."""
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=30)}
    long_ago = timezone.now() - timedelta(days=60)
    for number in range(7):
        row = session_row(f"s{number}", client_id="the-client", updated_at=long_ago)
        RelatedCheck.objects.create(session=row, check_id=f"c{number}", type="t", position=0)
        SessionChange.objects.create(session=row, field="status", observed_at=timezone.now())


def both_ways(*command: str) -> tuple[Any, Any]:
    """Return what a dry run says and, after nothing has changed by it, what the real one does."""
    before = everything()
    dry = run(*command, "--dry-run", "--json")
    assert everything() == before
    real = run(*command, "--json")
    assert dry.code == real.code
    assert dry.err.replace("would be kept", "kept") == real.err
    said = [json.loads(one.out) for one in (dry, real)]
    for key in ("removed", "left"):
        assert said[0][key] == said[1][key]
    return real, said[1]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    "on_delete",
    parameters(REFUSING, quick=REFUSING[:1]),
    ids=lambda on_delete: on_delete.__name__,
)
def test_refusing__costs_one_session(on_delete: Any, command: tuple[str, ...]) -> None:
    """A session to which a row of the project refers stays whole and is named; all others go."""
    with host_model(on_delete) as invoice:
        invoice.objects.create(target_id="s3")
        real, said = both_ways(*command)

        assert (real.code, said["left"]) == (1, {"s3": WHY})
        assert said["removed"]["WorkflowSession"] == 6
        row = WorkflowSession.objects.get()
        assert (row.pk, row.checks.count(), row.changes.count()) == ("s3", 1, 1)
        invoice.objects.all().delete()
        assert run(*command).code == 0
    assert not WorkflowSession.objects.exists()
    assert all(record.finished_at for record in PruneRun.objects.all())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_cascade__is_counted(command: tuple[str, ...]) -> None:
    """Rows of the project that go with a session are counted by their app and model."""
    with host_model(models.CASCADE) as invoice:
        for number in (1, 1, 2):
            invoice.objects.create(target_id=f"s{number}")
        real, said = both_ways(*command)
        assert (real.code, said["left"]) == (0, {})
        assert said["removed"] == {
            "RelatedCheck": 7,
            "SessionChange": 7,
            "WorkflowSession": 7,
            "sandbox.Invoice": 3,
        }
        assert not invoice.objects.exists()
    record: Any = PruneRun.objects.first() or Erasure.objects.get(kind="client")
    assert record.removed == said["removed"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_a_constraint__is_let_go(command: tuple[str, ...]) -> None:
    """A reference that the project allows to lead nowhere, or to become NULL, protects nothing."""
    loose: dict[str, Any] = {"on_delete": models.DO_NOTHING, "db_constraint": False}
    null: dict[str, Any] = {"on_delete": models.SET_NULL, "null": True, "name": "Note"}
    with host_model(**loose) as invoice, host_model(**null) as note:
        invoice.objects.create(target_id="s1")
        note.objects.create(target_id="s1")
        _, said = both_ways(*command)
        assert said["removed"]["WorkflowSession"] == 7
        assert invoice.objects.get().target_id == "s1"
        assert note.objects.get().target_id is None


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_reference_to_a_check__keeps_its_session(command: tuple[str, ...]) -> None:
    """What refers to a check keeps the session that has it."""
    with host_model(models.DO_NOTHING, to=RelatedCheck) as invoice:
        invoice.objects.create(target=RelatedCheck.objects.get(check_id="c3"))
        real, said = both_ways(*command)
        assert real.code == 1
        assert list(said["left"]) == ["s3"]
        assert WorkflowSession.objects.get().checks.count() == 1


@pytest.mark.parametrize("model", [RefreshRun, WebhookEvent, SessionChange])
def test_prune__reference_to_another_row(settings: Settings, model: type[models.Model]) -> None:
    """A run, an event or a change that is referred to is left by name, and the retention run ends."""
    settings.COMPLYCUBE_RETENTION = {model.__name__: timedelta(days=30)}
    long_ago = timezone.now() - timedelta(days=60)
    with by_hand():
        SessionChange.objects.update(observed_at=long_ago)
    for number in range(3):
        RefreshRun.objects.create(
            account="default", mode="full", state="failed", started_at=long_ago
        )
        WebhookEvent.objects.create(
            account="default", event_id=f"e{number}", received_at=long_ago, processed_at=long_ago
        )
    first: Any = model._default_manager.order_by("pk")[0]
    with host_model(models.PROTECT, to=model) as invoice:
        invoice.objects.create(target=first)
        real, said = both_ways("prune_complycube")
        assert real.code == 1
        assert list(said["left"]) == [f"{model.__name__} {first.pk}"]
        assert model._default_manager.get() == first
    assert PruneRun.objects.get().finished_at


def test_prune__dry_run_counts_nothing_twice(settings: Settings) -> None:
    """A change or an event that is old itself and belongs to an old session is counted once."""
    settings.COMPLYCUBE_RETENTION |= {
        "SessionChange": timedelta(days=30),
        "WebhookEvent": timedelta(days=30),
    }
    long_ago = timezone.now() - timedelta(days=60)
    with by_hand():
        SessionChange.objects.filter(session__in=["s1", "s2"]).update(observed_at=long_ago)
    for number, received in enumerate([long_ago, timezone.now()]):
        WebhookEvent.objects.create(
            account="default",
            event_id=f"e{number}",
            resource_id="s1",
            received_at=received,
            processed_at=timezone.now(),
        )
    _, said = both_ways("prune_complycube")
    assert (said["removed"]["SessionChange"], said["removed"]["WebhookEvent"]) == (7, 2)
