from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import DataError, connection, connections

from complycube_sessions import signals
from complycube_sessions.api.payloads import parse_check, parse_session
from complycube_sessions.mirror.announce import announce_outcomes
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.write import mark_missing, store_batch
from complycube_sessions.models import (
    PendingRefresh,
    RelatedCheck,
    SessionChange,
    SessionNameWord,
    WorkflowSession,
)
from tests.builders import (
    CHECK_IDS,
    SESSION_ID,
    by_hand,
    check_payload,
    default_account,
    session_row,
    vendor_example,
)

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 1, 1, tzinfo=UTC)
Sent = list[tuple[str, dict[str, Any]]]


def copy(at: datetime = T0, checks: tuple[FetchedCheck, ...] = (), **fields: Any) -> FetchedSession:
    data = {**vendor_example(), **fields}
    payload = parse_session(data, session_id=data["id"], answered_at=T0)
    return FetchedSession(payload.id, payload, at, checks)


def check(index: int = 0, at: datetime = T0, **fields: Any) -> FetchedCheck:
    check_id = CHECK_IDS[index]
    return FetchedCheck(parse_check(check_payload(check_id, **fields), check_id=check_id), at)


def rows() -> list[dict[str, Any]]:
    """Return all mirrored rows, the sessions first."""
    checks = RelatedCheck.objects.order_by("position").values()
    return [dict(row) for row in [*WorkflowSession.objects.values(), *checks]]


def store(*copies: FetchedSession, source: str = "refresh") -> WorkflowSession:
    store_batch(default_account(), copies, source=source)
    return WorkflowSession.objects.get(pk=copies[0].session_id)


@pytest.fixture
def sent() -> Iterator[Sent]:
    """Collect all signals, by their name."""
    found: Sent = []

    def on_change(**kwargs: Any) -> None:
        found.append(("change", kwargs))

    def on_outcome(**kwargs: Any) -> None:
        found.append(("outcome", kwargs))

    signals.session_changed.connect(on_change)
    signals.session_outcome_changed.connect(on_outcome)
    yield found
    signals.session_changed.disconnect(on_change)
    signals.session_outcome_changed.disconnect(on_outcome)


def test_store__vendor_example_round_trips() -> None:
    """Every field stands in its column, the checks in their order, the answer equal as JSON."""
    row = store(copy())
    assert row.raw == vendor_example()
    assert (row.account, row.environment) == ("default", "test")
    assert (row.entity_name, row.status, row.outcome) == ("John Doe", "complete", "clear")
    assert row.workflow_version == 1
    assert row.last_completed_task_id == "task_id_123"
    assert row.updated_at == datetime(2025, 1, 13, 11, 39, 30, 124_000, tzinfo=UTC)
    assert row.fetched_at == T0
    assert row.missing_since is None
    checks = list(row.checks.all())
    assert [c.check_id for c in checks] == list(CHECK_IDS)
    assert [c.position for c in checks] == [0, 1, 2]
    assert [c.task_id for c in checks] == ["..."] * 3
    assert list(row.name_words.values_list("words", flat=True)) == ["john doe", "doe john"]
    assert not row.changes.exists()


def test_store__twice_moves_only_fetched_at() -> None:
    """The same content again is not rewritten and makes no history."""
    store(copy(checks=(check(),)))
    before = rows()
    later = T0 + timedelta(hours=1)
    store(copy(later, checks=(check(at=later),)))
    after = rows()
    assert [row["fetched_at"] for row in before] == [T0, T0, None, None]
    assert [row["fetched_at"] for row in after] == [later, later, None, None]
    for row in [*before, *after]:
        row["fetched_at"] = None
    assert after == before
    assert not SessionChange.objects.exists()


def test_store__what_did_not_change_stays() -> None:
    """One statement writes rows in which different columns and documents changed, and new ones beside them."""
    breakdown = {"outcome": "attention", "breakdown": {"faces": [1, 2]}}
    store(copy(checks=(check(0, result=breakdown), check(1, result={"outcome": "clear"}))))
    later, day = T0 + timedelta(1), "2026-01-02T00:00:00Z"
    pending = check(0, later, updatedAt=day, status="pending")
    pending = replace(pending, payload=replace(pending.payload, result=None))
    other: dict[str, Any] = {"id": "other", "allRelatedChecks": []}
    first = copy(later, **other, tasks=[{"id": "t", "name": "New"}])

    store(copy(later, (pending,), updatedAt=day), first)
    store(copy(later + timedelta(1), **other, tasks=[]))

    known, new = WorkflowSession.objects.get(pk=SESSION_ID), WorkflowSession.objects.get(pk="other")
    expected = copy().payload
    assert expected is not None
    documents = ("compliance_policies", "policy_assurance", "tasks")
    assert [getattr(known, d) for d in documents] == [getattr(expected, d) for d in documents]
    assert known.raw["updatedAt"] == day
    assert new.tasks == []
    assert new.compliance_policies == expected.compliance_policies
    stored = {row.check_id: row for row in known.checks.all()}
    assert (stored[CHECK_IDS[0]].status, stored[CHECK_IDS[0]].result) == ("pending", breakdown)
    assert stored[CHECK_IDS[1]].result == {"outcome": "clear"}


def test_store__database_with_a_zone_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database keeps times in another zone than UTC, what is stored is as old as it is."""
    if connection.vendor != "postgresql":
        monkeypatch.setitem(vars(connections["default"]), "timezone", ZoneInfo("Asia/Kolkata"))
    first = check(updatedAt="2026-01-01T12:00:00Z")
    newer = check(updatedAt="2026-01-01T13:00:00Z", result={"outcome": "attention"})
    store(copy(checks=(first,)))
    before = rows()

    store(copy(checks=(first,)))
    assert rows() == before
    store(copy(checks=(newer,)))

    stored = RelatedCheck.objects.get(check_id=CHECK_IDS[0])
    assert (stored.outcome, stored.updated_at) == ("attention", newer.payload.updated_at)


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        (("2026-01-01T00:00:02Z", 1), ("2026-01-01T00:00:01Z", 2), "first"),
        (("2026-01-01T00:00:01Z", 2), ("2026-01-01T00:00:02Z", 1), "second"),
        (("2026-01-01T00:00:01Z", 2), ("2026-01-01T00:00:01Z", 1), "first"),
        (("2026-01-01T00:00:01Z", 1), ("2026-01-01T00:00:01Z", 2), "second"),
        ((None, 2), ("2026-01-01T00:00:01Z", 1), "first"),
        (("2026-01-01T00:00:01Z", 2), (None, 1), "first"),
        (("2026-01-01T00:00:01Z", 1), (None, 2), "second"),
        (("2026-01-01T00:00:01Z", 1), ("2026-01-01T14:06:91Z", 2), "second"),
        (("2026-01-01T00:00:01Z", 2), ("2099-01-01T00:00:00Z", 1), "first"),
    ],
)
def test_store__older_never_wins(
    first: tuple[str | None, int], second: tuple[str | None, int], wins: str
) -> None:
    """The vendor's time decides; where it is equal or unknown, the later fetch."""
    for name, (updated_at, second_of_fetch) in (("first", first), ("second", second)):
        at = T0 + timedelta(seconds=second_of_fetch)
        store(copy(at, updatedAt=updated_at, workflowDescription=name))
    assert WorkflowSession.objects.get().workflow_description == wins


def test_store__older_check_never_wins() -> None:
    """A check is judged by its own times, whatever the session's are."""
    first, second = T0 + timedelta(days=1), T0 + timedelta(days=2)
    new = check(at=first, updatedAt="2026-01-02T00:00:00Z", result={"outcome": "attention"})
    old = check(at=second, updatedAt="2026-01-01T00:00:00Z")
    store(copy(first, checks=(new,)))
    store(copy(second, checks=(old,)))
    assert RelatedCheck.objects.get(check_id=CHECK_IDS[0]).outcome == "attention"


def test_store__history_of_a_session() -> None:
    """Status and outcome leave a row each, with the vendor's time and the source."""
    store(copy(status="processing", outcome=None))
    store(copy(T0 + timedelta(1), updatedAt="2026-01-01T00:00:00Z"), source="webhook")
    rows = SessionChange.objects.order_by("field").values_list("field", "old", "new", "source")
    assert list(rows) == [
        ("outcome", "", "clear", "webhook"),
        ("status", "processing", "complete", "webhook"),
    ]
    change = SessionChange.objects.first()
    assert change is not None
    assert change.changed_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_store__history_of_checks() -> None:
    """A check's first status and outcome are no change; later ones, added and gone checks are."""
    pending = check(status="pending", result=None)
    store(copy(checks=(pending,)))
    done = check(at=T0 + timedelta(1), updatedAt="2025-01-13T11:36:31Z")
    store(copy(T0 + timedelta(1), checks=(done,)))
    assert list(SessionChange.objects.values_list("field", "old", "new")) == [
        ("status", "pending", "complete")
    ]
    with by_hand():
        SessionChange.objects.all().delete()
    again = check(at=T0 + timedelta(2), updatedAt="2026-01-01T00:00:00Z", result={"outcome": "x"})
    related = vendor_example()["allRelatedChecks"]
    store(
        copy(
            T0 + timedelta(2),
            (again,),
            updatedAt="2026-01-01T00:00:00Z",
            allRelatedChecks=[related[0], related[1], {"checkId": "new", "type": "eid_check"}],
        )
    )
    changes = SessionChange.objects.order_by("check_id").values_list(
        "check_id", "field", "old", "new"
    )
    assert list(changes) == [
        (CHECK_IDS[0], "outcome", "clear", "x"),
        (CHECK_IDS[2], "check", "added", "gone"),
        ("new", "check", "", "added"),
    ]
    assert RelatedCheck.objects.get(check_id=CHECK_IDS[2]).missing_since == T0 + timedelta(2)


def test_store__check_that_returns() -> None:
    """A check that is named again is no longer missing."""
    for day, related in enumerate([vendor_example()["allRelatedChecks"], []] * 2):
        row = store(copy(T0 + timedelta(day), allRelatedChecks=related))
        assert row.checks.exclude(missing_since=None).count() == (0 if related else 3)
    row = store(copy(T0 + timedelta(9)))
    assert row.checks.filter(missing_since=None).count() == 3


@pytest.mark.parametrize(
    ("status", "outcome", "expected"),
    [
        ("complete", "clear", False),
        ("complete", "attention", True),
        ("complete", "review", True),
        ("complete", "never_seen", True),
        ("complete", "CLEAR", True),
        ("complete", None, True),
        ("complete", "decline", False),
        ("complete", "rejected", False),
        ("complete", "match_confirmed", False),
        ("processing", "attention", False),
        ("paused", None, False),
    ],
)
def test_needs_review__by_outcome(status: str, outcome: str | None, expected: bool) -> None:
    """A complete session is a reviewer's unless it is clear or refused; unknown is never clear."""
    assert store(copy(status=status, outcome=outcome)).needs_review is expected


@pytest.mark.parametrize(
    ("check_outcome", "updated_at", "expected"),
    [
        ("attention", "2025-01-13T11:37:31Z", True),
        ("attention", "2025-01-13T11:37:30Z", False),
        ("clear", "2025-02-01T00:00:00Z", False),
        ("never_seen", "2025-02-01T00:00:00Z", True),
    ],
)
def test_needs_review__reopened_check(check_outcome: str, updated_at: str, expected: bool) -> None:
    """A clear session is a reviewer's again when a check turns after it completed."""
    moved = check(updatedAt=updated_at, result={"outcome": check_outcome})
    row = store(copy(checks=(moved,)))
    assert row.needs_review is expected


def test_store__check_moves_without_its_session() -> None:
    """A check that a human validated turns the session's flag, and nothing else of it."""
    before = store(copy(checks=(check(),)))
    moved = check(
        at=T0 + timedelta(1), updatedAt="2025-02-01T00:00:00Z", result={"outcome": "attention"}
    )
    store_batch(default_account(), [FetchedSession(SESSION_ID, None, T0 + timedelta(1), (moved,))])
    row = WorkflowSession.objects.get()
    assert row.needs_review
    assert (row.fetched_at, row.raw) == (before.fetched_at, before.raw)
    assert row.changes.get().new == "attention"


def test_store__other_owner() -> None:
    """A row of another account or environment is left alone, by name."""
    session_row(SESSION_ID, account="other", entity_name="Untouched")
    session_row("live", environment="live", entity_name="Untouched")
    stored = store_batch(default_account(), [copy(), copy(id="live"), copy(id="mine")])
    assert set(stored.failed) == {SESSION_ID, "live"}
    assert "ComplyCubeOwnershipError" in stored.failed[SESSION_ID]
    assert stored.effects == {"mine": "created"}
    assert (
        list(WorkflowSession.objects.exclude(pk="mine").values_list("entity_name", flat=True))
        == ["Untouched"] * 2
    )


def test_store__refused_record_is_named() -> None:
    """A batch that the database refuses is split until the one record is named; no data in the reason."""

    def refuse(execute: Any, sql: str, parameters: Any, *arguments: Any) -> Any:
        if "Refused" in str(parameters):
            raise DataError("value Refused of John Doe too long")
        return execute(sql, parameters, *arguments)

    copies = [copy(id=f"s{n}", entityName="Refused" if n == 5 else "Fine") for n in range(9)]
    with connection.execute_wrapper(refuse):
        stored = store_batch(default_account(), copies)
    assert set(stored.failed) == {"s5"}
    assert "DataError" in stored.failed["s5"]
    assert "John" not in stored.failed["s5"]
    assert WorkflowSession.objects.count() == 8


def test_store__name_words_follow_the_name() -> None:
    """After a rename the old words are gone."""
    store(copy(entityName="Ana Müller"))
    store(copy(T0 + timedelta(1), entityName="Ana Schmidt"))
    words = sorted(SessionNameWord.objects.values_list("words", flat=True))
    assert words == ["ana schmidt", "schmidt ana"]


def test_store__settles_what_was_due_before() -> None:
    """Only what was asked for before the fetch began is settled by it."""
    for session_id, hours in ((SESSION_ID, -1), ("later", 1)):
        PendingRefresh.objects.create(
            account="default",
            session_id=session_id,
            reason="webhook",
            requested_at=T0 + timedelta(hours=hours),
        )
    store(copy(), copy(id="later"))
    assert [pending.session_id for pending in PendingRefresh.objects.all()] == ["later"]


def test_signals__first_seen(sent: Sent) -> None:
    """A session seen for the first time announces its outcome, and is no change."""
    store(copy())
    (name, kwargs), *others = sent
    assert not others
    assert name == "outcome"
    assert (kwargs["old"], kwargs["new"], kwargs["first_seen"]) == ("", "clear", True)
    assert kwargs["session"].pk == SESSION_ID
    assert WorkflowSession.objects.get().announced_outcome == "clear"


def test_signals__change(sent: Sent) -> None:
    """A change is told once with its rows, an outcome's change besides."""
    store(copy(status="started", outcome=None))
    assert sent == []
    store(copy(T0 + timedelta(1)), source="admin")
    store(copy(T0 + timedelta(2)), source="admin")
    assert [name for name, _ in sent] == ["change", "outcome"]
    assert [change.field for change in sent[0][1]["changes"]] == ["status", "outcome"]
    assert sent[0][1]["source"] == "admin"
    assert (sent[1][1]["old"], sent[1][1]["new"], sent[1][1]["first_seen"]) == ("", "clear", False)


def test_signals__the_session_of_a_change_in_a_check(sent: Sent) -> None:
    """A receiver reads the whole session, also where only one of its checks has changed."""
    store(copy(checks=(check(),)))
    sent.clear()
    turned = check(at=T0 + timedelta(1), result={"outcome": "attention"})
    store(FetchedSession(SESSION_ID, None, T0, (turned,)))
    (name, kwargs), *_ = sent
    assert name == "change"
    assert kwargs["session"].raw == vendor_example()


def test_signals__receiver_that_fails(sent: Sent, caplog: pytest.LogCaptureFixture) -> None:
    """A receiver's error harms neither the store nor the other receivers."""

    def broken(**kwargs: Any) -> None:
        raise ValueError("receiver")

    signals.session_outcome_changed.connect(broken)
    try:
        row = store(copy())
    finally:
        signals.session_outcome_changed.disconnect(broken)
    assert row.outcome == row.announced_outcome == "clear"
    assert [name for name, _ in sent] == ["outcome"]


def test_announce_outcomes__after_a_kill(sent: Sent) -> None:
    """What a killed process stored but did not announce is announced by the next run, once."""
    session_row("first", outcome="clear", announced_outcome=None)
    session_row("changed", outcome="attention", announced_outcome="clear")
    session_row("known", outcome="clear", announced_outcome="clear")
    session_row("open", outcome="", announced_outcome="")
    assert announce_outcomes(default_account()) == 2
    assert announce_outcomes(default_account()) == 0
    told = {k["session"].pk: (k["old"], k["new"], k["first_seen"]) for _, k in sent}
    assert told == {
        "first": ("", "clear", True),
        "changed": ("clear", "attention", False),
    }


def test_mark_missing__keeps_the_row() -> None:
    """A 404 marks the row of its own account, once, unless a later fetch proves it alive."""
    store(copy())
    session_row("foreign", account="other")
    session_row("alive", fetched_at=T0 + timedelta(2))
    at = T0 + timedelta(1)
    known = mark_missing(default_account(), {SESSION_ID: at, "foreign": at, "alive": at, "new": at})
    assert (known.marked, known.alive) == ([SESSION_ID], ["alive"])
    mark_missing(default_account(), {SESSION_ID: at + timedelta(1)})
    missing = WorkflowSession.objects.exclude(missing_since=None)
    assert list(missing.values_list("pk", "missing_since")) == [(SESSION_ID, at)]
    assert missing.get().raw == vendor_example()


def test_mark_missing__ends_when_it_returns() -> None:
    """A session that answers again is not missing any more, also with unchanged content."""
    store(copy())
    mark_missing(default_account(), {SESSION_ID: T0 + timedelta(1)})
    assert store(copy(T0)).missing_since is not None
    assert store(copy(T0 + timedelta(2))).missing_since is None


def test_store__same_session_twice_in_a_batch() -> None:
    """Of two copies in a batch the newer one stays, in either order."""
    old = copy(updatedAt="2026-01-01T00:00:01Z", workflowDescription="old")
    new = copy(updatedAt="2026-01-01T00:00:02Z", workflowDescription="new")
    for number, pair in enumerate([(old, new), (new, old)]):
        pk = f"s{number}"
        batch = [
            replace(c, session_id=pk, payload=replace(c.payload, id=pk)) for c in pair if c.payload
        ]
        assert store(*batch).workflow_description == "new"
