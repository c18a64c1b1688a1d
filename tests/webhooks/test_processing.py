from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.db.schemas import Schemas
from complycube_sessions.exceptions import (
    ComplyCubeAuthenticationError,
    ComplyCubeConfigurationError,
    ComplyCubeRateLimitError,
)
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    RequestBudget,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.services import refresh_sessions
from complycube_sessions.sync.pending import claim_pending
from complycube_sessions.sync.request_budget import DatabaseSlots, has_room
from complycube_sessions.webhooks import inbox, processing
from tests.builders import default_account, session_row
from tests.fake_api import KEY, FakeAPI, Reply

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    """Give up after the first try, so that no test waits for a retry."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }


@pytest.fixture(params=["all", "one", "run", "background"])
def process(request: pytest.FixtureRequest, api: FakeAPI) -> Any:
    """Return each of the ways in which the inbox is worked off."""

    def one() -> None:
        for pk in WebhookEvent.objects.order_by("pk").values_list("pk", flat=True):
            processing.process_webhook_event(pk)

    def run() -> None:
        api.filters_without_answer.clear()
        refresh_sessions()

    def background() -> None:
        RequestBudget.objects.all().delete()
        processing.work_in_background("default")

    ways = {
        "all": processing.process_webhook_events,
        "one": one,
        "run": run,
        "background": background,
    }
    return ways[request.param]


def received(
    event_type: str = "workflow.session.completed", resource_id: str = "", **fields: Any
) -> WebhookEvent:
    number = WebhookEvent.objects.count()
    return WebhookEvent.objects.create(
        account=fields.pop("account", "default"),
        event_id=f"evt{number}",
        type=event_type,
        resource_id=resource_id,
        **fields,
    )


def due_again() -> None:
    WebhookEvent.objects.filter(processed_at=None).update(next_try_at=None)
    PendingRefresh.objects.update(next_try_at=timezone.now())


def test_session_event__fetches_the_session(api: FakeAPI, process: Any) -> None:
    """An event of a session that is not stored brings the session with its checks."""
    session_id = api.add_session(1, outcome="attention")
    event = received(resource_id=session_id)
    process()
    row = WorkflowSession.objects.get()
    assert (row.pk, row.outcome, row.checks.count()) == (session_id, "attention", 3)
    event.refresh_from_db()
    assert event.processed_at is not None
    assert (event.attempts, event.error, event.next_try_at) == (1, "", None)
    assert not PendingRefresh.objects.exists()


def test_session_event__history_names_the_webhook(api: FakeAPI, process: Any) -> None:
    """What an event has brought to light stands in the history as found by a webhook."""
    session_id = api.add_session(1, status="processing", outcome="")
    received("workflow.session.processing", session_id)
    process()
    api.touch(session_id, status="complete", outcome="clear")
    received("workflow.session.completed", session_id)
    process()
    changes = SessionChange.objects.order_by("pk").values_list("field", "new", "source")
    assert list(changes) == [
        ("status", "complete", "webhook"),
        ("outcome", "clear", "webhook"),
    ]


def test_processing__is_no_run(api: FakeAPI) -> None:
    """The inbox does not fill the list of runs."""
    received(resource_id=api.add_session(1))
    processing.process_webhook_events()
    assert not RefreshRun.objects.exists()


def test_burst__costs_one_fetch(api: FakeAPI, process: Any) -> None:
    """Many events of one session and of its checks are settled by one fetch."""
    session_id = api.add_session(1)
    received(resource_id=session_id)
    processing.process_webhook_events()
    api.requests.clear()
    for _ in range(20):
        received("workflow.session.updated", session_id)
    for index in range(3):
        received("check.completed", f"c{index}{1:022x}")
        received("check.completed.clear", f"c{index}{1:022x}")
    process()
    assert api.count(f"/workflowSessions/{session_id}") == 1
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_event_during_the_fetch__is_not_settled_by_it(api: FakeAPI) -> None:
    """An event that arrives after the request began costs a fetch of its own."""
    session_id = api.add_session(1)
    first = received(resource_id=session_id)
    late: list[WebhookEvent] = []

    def arrive(count: int) -> Reply | None:
        if not late:
            late.append(received("workflow.session.updated", session_id))
        return None

    api.faults[f"/workflowSessions/{session_id}"] = arrive
    processing.process_webhook_event(first.pk)
    first.refresh_from_db()
    assert first.processed_at is not None
    late[0].refresh_from_db()
    assert late[0].processed_at is None
    processing.process_webhook_events()
    assert api.count(f"/workflowSessions/{session_id}") == 2
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_check_event__known_check(api: FakeAPI, process: Any) -> None:
    """An event of a check fetches the session that names it, and finds the new outcome."""
    session_id = api.add_session(1)
    api.add_session(2)
    refresh_sessions()
    check_id = f"c1{1:022x}"
    api.touch_check(check_id, "match_confirmed")
    received("check.updated", check_id)
    api.requests.clear()
    process()
    assert RelatedCheck.objects.get(check_id=check_id).outcome == "match_confirmed"
    assert api.count("/workflowSessions/") == 1
    assert WorkflowSession.objects.get(pk=session_id).needs_review
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_check_event__unknown_check_of_a_known_client(api: FakeAPI, process: Any) -> None:
    """A check that no stored session names fetches the sessions of its client."""
    session_id = api.add_session(1, checks=0)
    refresh_sessions()
    client_id = api.sessions[session_id]["clientId"]
    api.checks["new"] = {"id": "new", "clientId": client_id, "type": "document_check"}
    api.touch(session_id, allRelatedChecks=[{"checkId": "new", "type": "document_check"}])
    event = received("check.pending", "new")
    process()
    assert RelatedCheck.objects.get().check_id == "new"
    event.refresh_from_db()
    assert event.processed_at is not None


def test_check_event__client_in_the_payload(api: FakeAPI) -> None:
    """Where the event names the client, the client's sessions are asked for, and not the check."""
    session_id = api.add_session(1, checks=0)
    refresh_sessions()
    api.requests.clear()
    client_id = api.sessions[session_id]["clientId"]
    received("check.pending", "new", client_id=client_id)
    processing.process_webhook_events()
    of_client = f"/workflowSessions?page=1&pageSize=1000&clientId={client_id}"
    assert api.requests == [of_client, f"/workflowSessions/{session_id}"]


def test_check_event__unknown_client(api: FakeAPI) -> None:
    """Of a client without a session here, those that the API lists are fetched, and no others."""
    session_id = api.add_session(1)
    other = api.add_session(2)
    api.ignored_filters.add("clientId")
    received("check.completed", f"c0{1:022x}")
    processing.process_webhook_events()
    assert list(WorkflowSession.objects.values_list("pk", flat=True)) == [session_id]
    assert api.count(f"/workflowSessions/{other}") == 0


def test_check_event__check_that_the_api_does_not_know(api: FakeAPI, process: Any) -> None:
    """It is a failure that is tried again, and no other event waits for it."""
    lost = received("check.completed", "gone")
    received(resource_id=api.add_session(1))
    process()
    assert WorkflowSession.objects.count() == 1
    lost.refresh_from_db()
    assert (lost.processed_at, lost.attempts) == (None, 1)
    assert "404" in lost.error
    assert lost.next_try_at is not None


def test_client_deleted__only_a_404_marks(api: FakeAPI, process: Any) -> None:
    """A deleted client makes each of its sessions due; those that are still there stay as they are."""
    gone, kept = api.add_session(1), api.add_session(2)
    client_id = api.sessions[gone]["clientId"]
    api.sessions[kept]["clientId"] = client_id
    api.add_session(3)
    refresh_sessions()
    del api.sessions[gone]
    event = received("client.deleted", client_id, client_id=client_id)
    api.requests.clear()
    process()
    assert api.count("/workflowSessions/") == 2
    rows = dict(WorkflowSession.objects.values_list("pk", "missing_since"))
    assert rows[gone] is not None
    assert rows[kept] is None
    event.refresh_from_db()
    assert event.processed_at is not None


@pytest.mark.parametrize(
    "event_type", ["client.updated", "document.created", "quantum.entangled", "workflowSession.x"]
)
def test_other_events__ask_for_nothing(api: FakeAPI, event_type: str) -> None:
    """Whatever is no session's, no check's and no deletion is done as it stands."""
    received(event_type, "5eb1276d96be4a0008713af5")
    processing.process_webhook_events()
    assert api.requests == []
    assert WebhookEvent.objects.get().processed_at is not None


@pytest.mark.parametrize("resource_id", ["", "../checks/1", "a b", "x" * 127 + "…"])
def test_session_event__without_a_possible_id(api: FakeAPI, resource_id: str) -> None:
    """An event that names no id is given up with its reason; nothing is sent."""
    event = received(resource_id=resource_id)
    processing.process_webhook_events()
    event.refresh_from_db()
    assert api.requests == []
    assert event.processed_at is not None
    assert "no possible id" in event.error


def test_order__does_not_matter(api: FakeAPI) -> None:
    """An event of the start that comes after that of the end does not turn the session back."""
    session_id = api.add_session(1)
    received("workflow.session.completed", session_id)
    processing.process_webhook_events()
    received("workflow.session.started", session_id, status="started")
    processing.process_webhook_events()
    assert WorkflowSession.objects.get().status == "complete"


def test_older_answer__never_wins(api: FakeAPI) -> None:
    """An answer that is older than the copy changes nothing; the event is settled by it."""
    session_id = api.add_session(1)
    received(resource_id=session_id)
    processing.process_webhook_events()
    api.sessions[session_id] |= {"updatedAt": "2025-01-01T00:00:00.000Z", "outcome": "decline"}
    event = received("workflow.session.updated", session_id)
    processing.process_webhook_events()
    assert WorkflowSession.objects.get().outcome == "clear"
    event.refresh_from_db()
    assert event.processed_at is not None


def test_failure__is_kept_and_tried_again_later(api: FakeAPI, process: Any) -> None:
    """A failure stands on the event, grows its delay, is pending, and ends when the API recovers."""
    session_id, other = api.add_session(1), api.add_session(2)
    api.fail(f"/workflowSessions/{session_id}", 500)
    event = received(resource_id=session_id)
    good = received(resource_id=other)
    delays = []
    for attempt in (1, 2, 3):
        process()
        if attempt == 1 and WorkflowSession.objects.count() == 0:
            process()  # in the background, a fault ends the turn: the next event begins another
        event.refresh_from_db()
        assert event.attempts == attempt
        assert event.next_try_at is not None
        assert "500" in event.error
        delays.append(event.next_try_at - timezone.now())
        pending = PendingRefresh.objects.get()
        assert (pending.session_id, pending.attempts) == (session_id, attempt)
        due_again()
    minutes = [round(delay / timedelta(minutes=1)) for delay in delays]
    assert minutes == [1, 2, 4]
    good.refresh_from_db()
    assert good.processed_at is not None
    api.faults.clear()
    process()
    event.refresh_from_db()
    assert (event.processed_at is None, event.error) == (False, "")
    assert not PendingRefresh.objects.exists()


def test_failure__waits_for_its_time(api: FakeAPI, process: Any) -> None:
    """An event that failed costs no request before its next try."""
    session_id = api.add_session(1)
    api.fail(f"/workflowSessions/{session_id}", 500)
    received(resource_id=session_id)
    process()
    api.requests.clear()
    process()
    assert api.count(f"/workflowSessions/{session_id}") == 0


def test_failure__given_up_after_ten_tries(api: FakeAPI) -> None:
    """A session that never existed is asked for ten times; its error stays with the event."""
    received(resource_id="5eb2b61e02df0a0008f1cf2b")
    for _ in range(12):
        processing.process_webhook_events()
        due_again()
    event = WebhookEvent.objects.get()
    assert (event.attempts, event.processed_at is None) == (10, False)
    assert "Invalid workflow session id" in event.error
    assert len(api.requests) == 10
    assert not WorkflowSession.objects.exists()


def test_process_again(api: FakeAPI) -> None:
    """An event that was given up or done is due again when an operator says so."""
    session_id = api.add_session(1)
    event = received(resource_id=session_id)
    inbox.abandon([event.pk], "for a reason")
    assert inbox.process_again(WebhookEvent.objects.all()) == 1
    processing.process_webhook_events()
    event.refresh_from_db()
    assert (event.error, event.attempts) == ("", 1)
    assert WorkflowSession.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "error"), [(401, ComplyCubeAuthenticationError), (429, ComplyCubeRateLimitError)]
)
def test_refused_key__costs_no_attempt(api: FakeAPI, status: int, error: type[Exception]) -> None:
    """While the key is refused the events wait a little, with the reason and without an attempt."""
    sent = [received(resource_id=api.add_session(n)) for n in range(3)]
    for session_id in api.sessions:
        api.fail(f"/workflowSessions/{session_id}", status)
    with pytest.raises(error):
        processing.process_webhook_events()
    for event in sent:
        event.refresh_from_db()
        assert (event.attempts, event.processed_at) == (0, None)
        assert str(status) in event.error
    api.faults.clear()
    due_again()
    processing.process_webhook_events()
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_run__settles_what_the_sweep_would_fetch_again(api: FakeAPI) -> None:
    """A run fetches a session of the inbox once, and not again when its list shows it."""
    session_id = api.add_session(1)
    received(resource_id=session_id)
    run = refresh_sessions()
    assert (run.state, run.fetched, run.unchanged) == ("succeeded", 1, 1)
    assert api.count(f"/workflowSessions/{session_id}") == 1


def test_run__limit_leaves_the_rest_due(api: FakeAPI) -> None:
    """What a limited run did not ask for is due for the next one at once."""
    for number in range(5):
        received(resource_id=api.add_session(number))
    run = refresh_sessions(limit=2)
    assert (run.state, run.fetched) == ("partial", 2)
    assert WebhookEvent.objects.filter(processed_at=None, next_try_at=None).count() == 3
    refresh_sessions()
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_dry_run__leaves_the_inbox_alone(api: FakeAPI) -> None:
    """A dry run takes no event."""
    received(resource_id=api.add_session(1))
    before = WebhookEvent.objects.values().get()
    refresh_sessions(dry_run=True)
    assert WebhookEvent.objects.values().get() == before


def test_foreign_session__is_given_up(api: FakeAPI, process: Any) -> None:
    """An event about another account's row is no work of ours, and does not repeat."""
    session_id = api.add_session(1)
    session_row(session_id, environment="live")
    session_row("a session of this key's own environment")
    event = received(resource_id=session_id)
    process()
    event.refresh_from_db()
    assert event.processed_at is not None
    assert "Ownership" in event.error
    assert api.count(f"/workflowSessions/{session_id}") == 0


def test_accounts__are_apart(api: FakeAPI, settings: Settings) -> None:
    """The inbox of an account is worked off with its own key, and another's is left alone."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000},
        "other": {"API_KEY": "test_other"},
    }
    event = received(resource_id=api.add_session(1), account="other")
    processing.process_webhook_events("default")
    event.refresh_from_db()
    assert event.processed_at is None
    assert api.requests == []


def test_event_of_an_account_that_was_removed(api: FakeAPI) -> None:
    """An event whose account is not configured any more names that."""
    event = received(resource_id="x", account="gone")
    with pytest.raises(ComplyCubeConfigurationError, match="gone"):
        processing.process_webhook_event(event.pk)


def test_taken_event__is_left_to_its_worker(api: FakeAPI) -> None:
    """An event in the hands of another costs no request, until that one's time is over."""
    session_id = api.add_session(1)
    event = received(resource_id=session_id)
    assert [e.pk for e in inbox.claim_events(default_account(), most=1)] == [event.pk]
    assert processing.process_webhook_event(event.pk).taken == 0
    assert processing.process_webhook_events().taken == 0
    assert api.requests == []
    WebhookEvent.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert processing.process_webhook_event(event.pk).stored == 1


def test_processed_event__costs_one_query(api: FakeAPI, django_assert_num_queries: Any) -> None:
    """A task for an event that is done, or was pruned, ends at once."""
    event = received("client.updated")
    processing.process_webhook_events()
    with django_assert_num_queries(1):
        assert processing.process_webhook_event(event.pk).taken == 0
    assert processing.process_webhook_event(987654321).taken == 0


@pytest.mark.django_db(transaction=True)
def test_processing__inside_a_transaction(api: FakeAPI) -> None:
    """HTTP inside a transaction is refused before anything is taken."""
    event = received(resource_id=api.add_session(1))
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        processing.process_webhook_events()
    event.refresh_from_db()
    assert event.next_try_at is None
    assert api.requests == []


def test_background__leaves_events_while_the_budget_is_in_use(api: FakeAPI) -> None:
    """While others have reserved the key's slots, a web process asks for nothing."""
    event = received(resource_id=api.add_session(1))
    account = default_account()
    assert has_room(account)
    DatabaseSlots(account.api_key).reserve(8, 1.0)
    assert not has_room(account)
    processing.work_in_background("default")
    assert api.requests == []
    event.refresh_from_db()
    assert event.next_try_at is None


def test_background__errors_are_one_line(
    api: FakeAPI, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused key or a faulty setting ends the turn with a line in the log."""
    received(resource_id=api.add_session(1))
    api.fail(f"/workflowSessions/{1:024x}", 401)
    processing.work_in_background("default")
    settings.COMPLYCUBE_ACCOUNTS = {}
    processing.work_in_background("default")
    assert [r.getMessage().split(":")[0] for r in caplog.records] == ["The inbox waits"] * 2
    assert KEY not in caplog.text


def test_background__one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst wakes one thread, which looks once more after it was woken meanwhile."""
    looked: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def work(account: str) -> None:
        looked.append(account)
        entered.set()
        assert leave.wait(10)

    monkeypatch.setattr(processing, "work_in_background", work)
    background = processing.Background()
    before = threading.active_count()
    background.wake("default")
    assert entered.wait(10)
    for _ in range(100):
        background.wake("default")
    assert threading.active_count() == before + 1
    leave.set()
    assert background.wait(10)
    assert looked == ["default", "default"]
    background.wake("default")
    assert background.wait(10)
    assert len(looked) == 3


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the accounts whose inbox the process was told to look at."""
    accounts: list[str] = []

    def wake(background: processing.Background, account: str, schemas: Schemas) -> None:
        assert not connection.in_atomic_block
        accounts.append(account)

    monkeypatch.setattr(processing.Background, "wake", wake)
    return accounts


@pytest.mark.django_db(transaction=True)
def test_process_here__after_the_commit(woken: list[str]) -> None:
    """The thread is woken when the open transaction is committed, and not when it is rolled back."""
    with transaction.atomic():
        processing.process_here("default")
        assert woken == []
    assert woken == ["default"]
    with transaction.atomic():
        processing.process_here("default")
        transaction.set_rollback(True)
    assert woken == ["default"]
    processing.process_here("default")
    assert woken == ["default", "default"]


def test_hand_out__makes_sessions_due_for_others(api: FakeAPI) -> None:
    """A refresh in chunks fetches no session, earns its watermark, and leaves the sessions due."""
    ids = {api.add_session(number) for number in range(7)}
    run = refresh_sessions(hand_out=True)
    assert (run.state, run.fetched) == ("succeeded", 0)
    assert run.watermark is not None
    assert api.count("/workflowSessions/") == 0
    assert set(PendingRefresh.objects.values_list("session_id", flat=True)) == ids
    assert processing.count_chunks() == 1
    done = processing.process_chunk()
    assert (done.taken, done.stored) == (7, 7)
    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == ids
    assert (PendingRefresh.objects.count(), processing.count_chunks()) == (0, 0)
    assert processing.process_chunk().taken == 0


def test_hand_out__a_lost_chunk_is_the_next_runs(api: FakeAPI) -> None:
    """Sessions that a killed worker had taken are fetched by the next run."""
    ids = {api.add_session(number) for number in range(3)}
    refresh_sessions(hand_out=True)
    assert set(claim_pending(default_account(), most=10)) == ids
    assert refresh_sessions().fetched == 0  # they are still another's
    PendingRefresh.objects.update(next_try_at=timezone.now())
    assert refresh_sessions().fetched == 3
    assert not PendingRefresh.objects.exists()


def test_chunk__fetches_what_was_handed_out(api: FakeAPI) -> None:
    """A worker that was started for a chunk takes the chunk, whatever waits in the inbox."""
    awaited, asked_for = api.add_session(1), api.add_session(2)
    received("workflow.session.completed", awaited)
    assert processing.hand_out("default", [asked_for]) == 1
    processing.process_chunk()
    assert list(WorkflowSession.objects.values_list("pk", flat=True)) == [asked_for]
    processing.process_webhook_events()
    assert WorkflowSession.objects.filter(pk=awaited).exists()
