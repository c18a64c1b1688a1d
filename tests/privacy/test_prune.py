from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import (
    PendingRefresh,
    PruneRun,
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    SessionNameWord,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.privacy.pruning import prune
from complycube_sessions.services import refresh_sessions
from complycube_sessions.webhooks import processing
from tests.builders import by_hand, session_row
from tests.fake_api import FakeAPI, iso
from tests.privacy.support import add_person, everything, leave_traces, run

pytestmark = pytest.mark.django_db
PRUNE = "prune_complycube"
YEARS = timedelta(days=5 * 365)


@pytest.fixture
def retention(settings: Settings) -> None:
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": YEARS}


def old(days: int = 0) -> datetime:
    """Return a time that is older than the retention by at least a day."""
    return timezone.now() - YEARS - timedelta(days=1 + days)


def age(api: FakeAPI, session_id: str, time: datetime | None = None) -> None:
    """Let a session have changed last before the retention."""
    at = iso(time or old())
    api.sessions[session_id] |= {"createdAt": at, "completedAt": at, "updatedAt": at}


def hold(session: WorkflowSession) -> object:
    return {"held": "tax audit", "held-without-reason": True}.get(session.pk)


def test_prune__removes_what_has_outlived_its_retention(api: FakeAPI, retention: None) -> None:
    """An old session goes with all that belongs to it; a younger one keeps all."""
    person = add_person(api, 40)
    leave_traces(person, api)
    young = session_row("young", updated_at=timezone.now())
    with by_hand():
        WorkflowSession.objects.filter(pk=person.sessions[0]).update(updated_at=old())

    said = run(PRUNE)

    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "Removed: 1 PendingRefresh, 3 RelatedCheck, 1 Review, 1 ReviewEvent, 1 SessionChange, 2 SessionNameWord, "
        "1 WebhookEvent, 1 WorkflowSession, 3 admin.LogEntry.\n"
    )
    assert WorkflowSession.objects.get() == young
    for model in (RelatedCheck, SessionChange, SessionNameWord):
        assert not model._default_manager.exists()
    # What is open may tell of a change that is still to be fetched.
    assert WebhookEvent.objects.filter(resource_id=person.sessions[0], processed_at=None).exists()
    assert not WebhookEvent.objects.filter(resource_id=person.checks[0]).exists()


def test_prune__keeps_all_by_default(api: FakeAPI) -> None:
    """Without settings nothing is removed."""
    session_row("ancient", updated_at=old(9999))
    assert run(PRUNE).out == "Removed: no rows.\n"
    assert WorkflowSession.objects.exists()


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ({"updated_at": old(), "created_at": timezone.now()}, False),
        ({"updated_at": timezone.now(), "created_at": old()}, True),
        ({"updated_at": None, "created_at": old()}, False),
        ({"updated_at": None, "created_at": None, "first_seen_at": old()}, True),
    ],
)
def test_prune__age_of_a_session(retention: None, times: dict[str, Any], kept: bool) -> None:
    """A session is as old as its last change, else its creation; without a time it stays."""
    session_row("one", **times)
    prune()
    assert WorkflowSession.objects.exists() is kept


@pytest.mark.parametrize("lists", ["updated", "created"])
def test_full_refresh__does_not_fetch_the_pruned(api: FakeAPI, retention: None, lists: str) -> None:
    """A full refresh makes no request for a session that was pruned, until it changes upstream."""
    ids = [api.add_session(number) for number in range(4)]
    refresh_sessions()
    for session_id in ids[:2]:
        age(api, session_id)
        if lists == "created":
            del api.sessions[session_id]["updatedAt"]
    with by_hand():
        WorkflowSession.objects.filter(pk__in=ids[:2]).update(updated_at=old())
    assert prune().rows["WorkflowSession"] == 2
    api.requests.clear()

    for _ in range(2):
        ended = refresh_sessions(full=True)
        assert (ended.state, ended.missing, ended.failed) == ("succeeded", 0, 0)
        assert ended.listed == 4
    assert api.count("/workflowSessions/") == 0
    assert WorkflowSession.objects.count() == 2

    api.touch(ids[0], outcome="rejected")
    refresh_sessions(full=True)
    assert WorkflowSession.objects.filter(pk=ids[0]).exists()


def test_first_refresh__leaves_out_what_would_be_pruned(api: FakeAPI, retention: None) -> None:
    """What the retention would remove is not even fetched by the first run."""
    ids = [api.add_session(number) for number in range(3)]
    age(api, ids[0])
    refresh_sessions()
    assert api.count(f"/workflowSessions/{ids[0]}") == 0
    assert WorkflowSession.objects.count() == 2


def test_full_refresh__still_confirms_the_missing(api: FakeAPI, retention: None) -> None:
    """A pruned session counts neither as missing nor in the share that may be."""
    ids = [api.add_session(number) for number in range(30)]
    refresh_sessions()
    with by_hand():
        WorkflowSession.objects.filter(pk__in=ids[:5]).update(updated_at=old())
    for session_id in ids[:5]:
        age(api, session_id)
    prune()
    del api.sessions[ids[29]]
    ended = refresh_sessions(full=True)
    assert ended.missing == 1
    assert list(
        WorkflowSession.objects.exclude(missing_since=None).values_list("pk", flat=True)
    ) == [ids[29]]


def test_webhook__of_an_unknown_check_leaves_out_the_pruned(api: FakeAPI, retention: None) -> None:
    """An event of a check whose client's sessions are all too old fetches none of them."""
    session_id = api.add_session(1)
    age(api, session_id)
    check = api.sessions[session_id]["allRelatedChecks"][0]["checkId"]
    WebhookEvent.objects.create(
        account="default", event_id="e", type="check.completed", resource_id=check
    )
    processing.process_webhook_events()
    assert api.count(f"/workflowSessions/{session_id}") == 0
    assert WebhookEvent.objects.get().processed_at


def test_prune__dry_run(api: FakeAPI, retention: None, settings: Settings) -> None:
    """A dry run tells the same counts and writes nothing, not even its record."""
    person = add_person(api, 40)
    leave_traces(person, api)
    with by_hand():
        WorkflowSession.objects.update(updated_at=old())
    settings.COMPLYCUBE_CHECK_RESULTS = "none"
    before = everything()
    dry = run(PRUNE, "--dry-run", "--json")
    assert everything() == before
    assert json.loads(dry.out)["removed"] == json.loads(run(PRUNE, "--json").out)["removed"]
    assert PruneRun.objects.get().removed == json.loads(dry.out)["removed"]


def test_prune__protected_sessions_are_left_by_name(retention: None, settings: Settings) -> None:
    """A held session stays with its reason, the others go, and the command ends with 1."""
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_prune.hold"
    for pk in ("a", "held", "held-without-reason", "z"):
        session_row(pk, updated_at=old())
    said = run(PRUNE)
    assert said.code == 1
    assert said.err.splitlines() == [
        "held: legal hold: tax audit",
        "held-without-reason: legal hold: yes",
        "2 protected sessions kept.",
    ]
    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == {
        "held",
        "held-without-reason",
    }
    assert PruneRun.objects.get().protected == 2


def test_prune__override_is_recorded(retention: None, settings: Settings) -> None:
    """With a reason the protected go as well; who, when and why is kept."""
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_prune.hold"
    session_row("held", updated_at=old())
    said = run(PRUNE, "--override", "the audit is closed")
    assert said.code == 0
    assert not WorkflowSession.objects.exists()
    record = PruneRun.objects.get()
    assert (record.actor, record.override) == ("command", "the audit is closed")
    assert (record.removed, record.protected) == ({"WorkflowSession": 1}, 1)
    assert record.finished_at


def test_prune__minimum_retention(settings: Settings) -> None:
    """The minimum wins over a retention that is shorter."""
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=10)}
    settings.COMPLYCUBE_MINIMUM_RETENTION = YEARS
    session_row("young", updated_at=timezone.now() - timedelta(days=20))
    session_row("old", updated_at=old())
    said = run(PRUNE)
    assert said.code == 1
    assert "young: minimum retention, until " in said.err
    assert WorkflowSession.objects.get().pk == "young"


def test_prune__results_where_none_are_kept(api: FakeAPI, settings: Settings) -> None:
    """When the setting turns to none, the stored results go and are not fetched again."""
    person = add_person(api, 40)
    settings.COMPLYCUBE_CHECK_RESULTS = "all"
    refresh_sessions()
    assert RelatedCheck.objects.exclude(result={}).count() == 3
    settings.COMPLYCUBE_CHECK_RESULTS = "none"
    assert run(PRUNE).out == "Removed: 3 results of checks.\n"
    assert not RelatedCheck.objects.exclude(result={}).exists()
    api.requests.clear()
    refresh_sessions(full=True)
    assert not any(check in request for check in person.checks for request in api.requests)
    assert RelatedCheck.objects.filter(outcome="attention", result={}).count() == 3


def test_prune__held_results_stay(api: FakeAPI, settings: Settings) -> None:
    """A hold protects the results of a session, too."""
    add_person(api, 40)
    refresh_sessions()
    settings.COMPLYCUBE_CHECK_RESULTS = "none"
    settings.COMPLYCUBE_MINIMUM_RETENTION = YEARS
    assert run(PRUNE).code == 1
    assert RelatedCheck.objects.exclude(result={}).count() == 3


def test_prune__history(settings: Settings) -> None:
    """Changes go by when they were observed, but not those of a held session."""
    settings.COMPLYCUBE_RETENTION = {"SessionChange": timedelta(days=30)}
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_prune.hold"
    for pk in ("held", "free"):
        session = session_row(pk)
        for days in (10, 40):
            at = timezone.now() - timedelta(days=days)
            with by_hand():
                SessionChange.objects.create(
                    session=session, field="status", observed_at=at, source="refresh"
                )
    assert run(PRUNE).code == 1
    left = SessionChange.objects.values_list("session", flat=True)
    assert sorted(left) == ["free", "held", "held"]
    assert WorkflowSession.objects.count() == 2


def test_prune__runs_but_the_watermark(settings: Settings) -> None:
    """Runs go by their start, but those stay that are alive or whose watermark counts."""
    settings.COMPLYCUBE_RETENTION = {"RefreshRun": timedelta(days=30)}
    long_ago = timezone.now() - timedelta(days=60)

    def made(**fields: Any) -> RefreshRun:
        values = {"state": "succeeded", "started_at": long_ago, "environment": "test", **fields}
        return RefreshRun.objects.create(account="default", mode="full", **values)

    made()
    made(watermark=long_ago)
    kept = [
        made(watermark=long_ago + timedelta(days=1)),
        made(watermark=long_ago, environment="live"),
        made(state="running"),
        made(started_at=timezone.now()),
        made(state="interrupted"),
    ]
    RefreshLease.objects.create(account="default", run=kept[-1])
    prune()
    assert list(RefreshRun.objects.order_by("pk")) == kept


def test_prune__processed_events(settings: Settings) -> None:
    """Events go by when they were received, once they are processed."""
    settings.COMPLYCUBE_RETENTION = {"WebhookEvent": timedelta(days=30)}
    now = timezone.now()
    for number, (days, processed) in enumerate([(60, True), (60, False), (5, True)]):
        WebhookEvent.objects.create(
            account="default",
            event_id=f"e{number}",
            type="t",
            received_at=now - timedelta(days=days),
            processed_at=now if processed else None,
        )
    assert run(PRUNE).out == "Removed: 1 WebhookEvent.\n"
    assert set(WebhookEvent.objects.values_list("event_id", flat=True)) == {"e1", "e2"}


def test_prune__batches_can_be_resumed(retention: None) -> None:
    """A run that was killed has removed whole batches; the next one removes the rest."""
    for number in range(1200):
        session_row(f"s{number:05}", updated_at=old())
    table = connection.ops.quote_name(WorkflowSession._meta.db_table)

    def killed(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if sql.split()[:3] == ["DELETE", "FROM", table] and WorkflowSession.objects.count() == 700:
            raise KeyboardInterrupt  # in the middle of the second batch
        return execute(sql, *args)

    with connection.execute_wrapper(killed), pytest.raises(KeyboardInterrupt):
        prune()
    assert WorkflowSession.objects.count() == 700
    killed_run = PruneRun.objects.get()
    assert (killed_run.finished_at, killed_run.removed) == (None, {"WorkflowSession": 500})
    assert prune().rows["WorkflowSession"] == 700
    assert PruneRun.objects.latest("pk").removed == {"WorkflowSession": 700}


@pytest.mark.thorough
def test_prune__bounded(retention: None) -> None:
    """Four times as many sessions take no more memory."""

    @by_hand()
    def make(count: int) -> None:
        WorkflowSession.objects.bulk_create(
            WorkflowSession(
                id=f"s{number:05}",
                account="default",
                fetched_at=timezone.now(),
                updated_at=old(),
                raw={"text": "x" * 500},
            )
            for number in range(count)
        )

    def peak_of(count: int) -> int:
        make(count)
        tracemalloc.start()
        prune()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not WorkflowSession.objects.exists()
        return peak

    peak_of(10)
    small = peak_of(1000)
    assert peak_of(4000) <= 1.25 * small


def test_prune__wrong_setting(settings: Settings) -> None:
    """A wrong setting ends the command with 2 before anything is removed."""
    settings.COMPLYCUBE_RETENTION = {"RelatedCheck": timedelta(days=1)}
    said = run(PRUNE)
    assert said.code == 2
    assert "COMPLYCUBE_RETENTION" in said.err
    assert not PruneRun.objects.exists()


def test_prune__pending_work_of_the_pruned(retention: None) -> None:
    """What was due for a pruned session is not due any more."""
    session_row("gone", updated_at=old())
    PendingRefresh.objects.create(account="default", session_id="gone", reason="failed")
    prune()
    assert not PendingRefresh.objects.exists()
