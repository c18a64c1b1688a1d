from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from complycube_sessions import signals
from complycube_sessions.api.payloads import parse_check, parse_session
from complycube_sessions.conf import get_account
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.models import (
    PendingRefresh,
    RelatedCheck,
    Review,
    SessionChange,
    WorkflowSession,
)
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.privacy.tombstones import add_tombstones as bury_ids
from tests.builders import by_hand
from tests.examples import parameters
from tests.fake_api import FakeAPI

# The transaction is the outermost, so that BEGIN and COMMIT are counted as well.
pytestmark = pytest.mark.django_db(transaction=True)
MOST = 12
FETCHED_AT = datetime(2026, 3, 1, tzinfo=UTC)
Change = Callable[[FakeAPI, list[str]], None]


def first(api: FakeAPI, ids: list[str]) -> None:
    """Leave all as it is."""


def every_session(api: FakeAPI, ids: list[str]) -> None:
    for session_id in ids:
        api.touch(session_id, outcome="attention", status="complete")


def every_check(api: FakeAPI, ids: list[str]) -> None:
    for session_id in ids:
        for related in api.sessions[session_id]["allRelatedChecks"]:
            api.touch_check(related["checkId"], "attention")


def renamed(api: FakeAPI, ids: list[str]) -> None:
    for number, session_id in enumerate(ids):
        api.touch(session_id, entityName=f"Other Name {number}")


def mixed(api: FakeAPI, ids: list[str]) -> None:
    every_session(api, ids[::3])
    every_check(api, ids[1::3])
    renamed(api, ids[::7])
    for session_id in ids[::11]:
        api.touch(session_id, allRelatedChecks=[])
    for number in range(len(ids) // 5):
        api.add_session(10_000 + number)


def fetched(api: FakeAPI, at: datetime) -> list[FetchedSession]:
    """Return what a run would store of all that the API holds."""
    return [
        FetchedSession(
            session_id,
            parse_session(source, session_id=session_id),
            at,
            tuple(
                FetchedCheck(parse_check(api.checks[c["checkId"]], check_id=c["checkId"]), at)
                for c in source["allRelatedChecks"]
            ),
        )
        for session_id, source in api.sessions.items()
    ]


def bury(number: int) -> None:
    """Leave the hashes of some persons, of whom none is in the batch."""
    ids = {"session": [f"s{index}" for index in range(number)]}
    bury_ids("default", "erased-client", ids, actor="x", reason="", alias="default")


def store(api: FakeAPI, at: datetime) -> list[str]:
    """Store all of it as one batch and return the queries, with BEGIN and COMMIT around those of the batch."""
    batch = fetched(api, at)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        stored = store_batch(get_account(), batch)
    assert not stored.failed
    return [query["sql"] for query in queries.captured_queries]


def all_at_once(api: FakeAPI, ids: list[str]) -> None:
    """Change, rename and await everything, so that a batch has something to do in every table."""
    mixed(api, ids)
    every_check(api, ids)
    renamed(api, ids)
    every_session(api, ids)
    PendingRefresh.objects.bulk_create(
        PendingRefresh(account="default", session_id=session_id, reason="webhook")
        for session_id in ids
    )
    PendingRefresh.objects.update(requested_at=FETCHED_AT)


def decided_before(api: FakeAPI, ids: list[str]) -> None:
    """Besides, let each session have a review that was decided, and is opened again by what changes."""
    Review.objects.all().delete()
    Review.objects.bulk_create(
        Review(session_id=pk, state="decided", decision="approved", seen_fingerprint="another")
        for pk in WorkflowSession.objects.values_list("pk", flat=True)
    )
    all_at_once(api, ids)


CHANGES = [first, every_session, every_check, renamed, mixed, all_at_once, decided_before]
# With those of a batch that has something to do in every table, BEGIN and COMMIT are two more.
TRANSACTION: dict[Change, int] = {all_at_once: 2, decided_before: 2}


@pytest.mark.parametrize("erased", parameters([700, 0], quick={700}))
@pytest.mark.parametrize("change", parameters(CHANGES, quick={all_at_once}))
def test_store_queries__batch_of_500(change: Change, erased: int) -> None:
    """
    Storing 500 sessions with 3 checks each takes at most 12 queries, whatever changed in them.

    BEGIN and COMMIT are among them, except where everything changed at once. That nobody of them was erased
    is asked in the same transaction, and takes none of its own.
    """
    api = FakeAPI()
    bury(erased)
    ids = [api.add_session(number) for number in range(500)]

    new = store(api, FETCHED_AT)
    change(api, ids)
    again = store(api, FETCHED_AT + timedelta(hours=1))

    most = MOST + TRANSACTION.get(change, 0)
    assert new.index("COMMIT") == len(new) - 1 < MOST, "\n".join(sql[:120] for sql in new)
    assert again.index("COMMIT") == len(again) - 1 < most, "\n".join(sql[:120] for sql in again)
    assert WorkflowSession.objects.count() == len(api.sessions)
    assert RelatedCheck.objects.filter(missing_since=None).count() == sum(
        len(source["allRelatedChecks"]) for source in api.sessions.values()
    )


def test_store_queries__somebody_listens() -> None:
    """Where outcomes are announced, that they were is one statement after the batch, and 12 are enough."""
    api = FakeAPI()
    ids = [api.add_session(number) for number in range(500)]
    store(api, FETCHED_AT)
    all_at_once(api, ids)
    heard = []

    def listen(session: WorkflowSession, **kwargs: Any) -> None:
        heard.append(session.pk)

    signals.session_outcome_changed.connect(listen)
    try:
        statements = store(api, FETCHED_AT + timedelta(hours=1))
    finally:
        signals.session_outcome_changed.disconnect(listen)

    end = statements.index("COMMIT")
    assert len(heard) == len(api.sessions)
    assert end < MOST + TRANSACTION[all_at_once], "\n".join(sql[:120] for sql in statements)
    assert len(statements[end + 1 :]) == 1
    assert not PendingRefresh.objects.exists()


@pytest.mark.parametrize("change", parameters(CHANGES, quick={first, all_at_once}))
def test_store_queries__constant(change: Change) -> None:
    """The number of statements does not depend on the number of sessions."""
    counts = []
    warm = FakeAPI()
    warm.add_session(999)
    store(warm, FETCHED_AT)  # the very first batch of an account makes its lock row on MariaDB
    for size in (20, 300):
        with by_hand():
            WorkflowSession.objects.all().delete()
        api = FakeAPI()
        ids = [api.add_session(number) for number in range(size)]
        new = store(api, FETCHED_AT)
        change(api, ids)
        counts.append((len(new), len(store(api, FETCHED_AT + timedelta(hours=1)))))

    assert counts[0] == counts[1]


def test_store_queries__many_checks_of_one_session() -> None:
    """A session with a thousand checks costs no more statements than one with three."""
    api = FakeAPI()
    api.add_session(1, checks=10)
    few = len(store(api, FETCHED_AT))
    api.add_session(2, checks=10)
    source: dict[str, Any] = api.sessions[f"{2:024x}"]
    template = dict(api.checks[source["allRelatedChecks"][0]["checkId"]])
    for number in range(1000):
        check_id = f"many{number:020}"
        api.checks[check_id] = {**template, "id": check_id}
        source["allRelatedChecks"].append({"checkId": check_id, "type": "x", "taskId": "t"})

    assert len(store(api, FETCHED_AT + timedelta(hours=1))) <= few + 2
    assert RelatedCheck.objects.count() == 1020


def test_store_queries__same_session_twice_in_a_batch() -> None:
    """Of two copies of a session in one batch the newer is stored, and counted once."""
    api = FakeAPI()
    session_id = api.add_session(1)
    (old,) = fetched(api, FETCHED_AT)
    api.touch(session_id, outcome="attention")
    (new,) = fetched(api, FETCHED_AT + timedelta(seconds=1))
    late = replace(old, fetched_at=FETCHED_AT + timedelta(hours=1))

    stored = store_batch(get_account(), [new, old, late])

    assert stored.effects == {session_id: "created"}
    assert WorkflowSession.objects.get().outcome == "attention"
    assert not SessionChange.objects.exists()


def test_store_queries__an_erased_person_in_the_batch() -> None:
    """An erased person is taken out of a batch, and the others are stored."""
    api = FakeAPI()
    ids = [api.add_session(number) for number in range(20)]
    erase_client(api.sessions[ids[3]]["clientId"], block_unknown=True)
    bury_ids("default", "another", {"session": [ids[5]]}, actor="x", reason="", alias="default")

    stored = store_batch(get_account(), fetched(api, FETCHED_AT))

    assert stored.erased == {ids[3], ids[5]}
    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == set(ids) - stored.erased
    assert stored.effects.keys() == set(ids) - stored.erased
