from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.admin import actions
from complycube_sessions.admin import refresh as refresh_admin
from complycube_sessions.evidence import build, verify
from complycube_sessions.evidence.html import render_page
from complycube_sessions.exceptions import ComplyCubeErasedError
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.models import (
    Erasure,
    PendingRefresh,
    RefreshRun,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.privacy.removal import Removal
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.sync import batch
from complycube_sessions.sync.pending import REASON_CHUNK, enqueue_sessions
from complycube_sessions.sync.run import RunRecord
from complycube_sessions.webhooks import processing
from tests.admin.builders import make_staff
from tests.admin.conftest import SignIn
from tests.builders import by_hand, default_account, session_row
from tests.examples import parameters
from tests.fake_api import FakeAPI
from tests.privacy.support import (
    NAME,
    Person,
    add_person,
    dump,
    everything,
    leave_traces,
    run,
)
from tests.webhook_requests import event, post

pytestmark = pytest.mark.django_db
ERASE = "erase_complycube_client"


@pytest.fixture
def person(api: FakeAPI) -> Person:
    """Store a person among others, with a trace in every table."""
    for number in (1, 2, 3):
        api.add_session(number)
    person = add_person(api, 40, 50)
    leave_traces(person, api)
    return person


def hold(session: WorkflowSession) -> str:
    return "court order 12" if session.entity_name == NAME else ""


def hold_that_fails(session: WorkflowSession) -> str:
    raise KeyError(session.entity_name)


def assert_nowhere(person: Person, log: str = "") -> None:
    text = dump() + log
    for trace in person.traces:
        assert trace not in text, [line for line in text.splitlines() if trace in line]


def assert_not_asked(api: FakeAPI, person: Person) -> None:
    for found in person.ids:
        assert not any(found in request for request in api.requests)


def test_erase__leaves_nothing_but_hashes(
    person: Person, api: FakeAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """No table and no log names the person; others keep all their rows."""
    text = dump()
    assert all(trace in text for trace in person.traces)
    caplog.set_level(logging.DEBUG)
    caplog.clear()

    said = run(ERASE, person.client_id, "--reason", "request 2026-17")

    assert (said.code, said.err) == (0, "")
    assert_nowhere(person, caplog.text + said.out)
    assert WorkflowSession.objects.count() == 3
    assert WebhookEvent.objects.get().error == "500 for [erased]: try again"
    assert PendingRefresh.objects.get().error == "Like [erased]."
    assert RefreshRun.objects.get(mode="full").errors == {
        "default": "The list of sessions does not show [erased], which is there.",
        "another": "500",
    }
    assert not LogEntry.objects.exists()
    client = Erasure.objects.get(kind="client")
    assert (client.actor, client.reason, client.override) == ("command", "request 2026-17", "")
    others = Erasure.objects.exclude(kind="client")
    # A session that only an event has named is nobody's.
    assert others.filter(client_digest=client.digest).count() == len(person.ids) - 1
    assert len(client.digest) == 64
    assert client.removed["WorkflowSession"] == 2


def test_erase__output(person: Person) -> None:
    """The command says how many rows of which model are gone."""
    said = run(ERASE, person.client_id)
    assert said.out == (
        "Erased. Removed: 1 PendingRefresh, 1 RefreshRun.errors, 6 RelatedCheck, 2 Review, 2 ReviewEvent, 2 SessionChange, "
        "1 SessionEvidence.session_id, 4 SessionNameWord, 5 WebhookEvent, 2 WorkflowSession, "
        "3 admin.LogEntry.\n"
        "Keyed hashes are kept, so that nothing about this client is stored again.\n"
    )


def test_erase__dry_run(person: Person) -> None:
    """A dry run tells the same counts and writes nothing."""
    before = everything()
    dry = run(ERASE, person.client_id, "--dry-run")
    assert everything() == before
    said = run(ERASE, person.client_id)
    counts = said.out.splitlines()[0].removeprefix("Erased. Removed: ")
    assert dry.out == f"Dry run, nothing removed; would be: {counts}\n"


def test_erase__json(person: Person) -> None:
    """With --json there is one object and nothing else."""
    said = run(ERASE, person.client_id, "--json")
    assert json.loads(said.out)["removed"]["WorkflowSession"] == 2
    assert json.loads(run(ERASE, person.client_id, "--lift", "--json").out)["lifted"] == 9


def test_erase__again(person: Person) -> None:
    """An erasure can be run again and finds nothing."""
    run(ERASE, person.client_id)
    count = Erasure.objects.count()
    said = run(ERASE, person.client_id)
    assert (said.code, said.out.splitlines()[0]) == (0, "Erased. Removed: no rows.")
    assert Erasure.objects.count() == count


@pytest.mark.parametrize(
    "arguments",
    [(" ",), ("x" * 129,), ("x", "--account", "other"), ("x", "--lift", "--reason", "y")],
)
def test_erase__bad_arguments(arguments: tuple[str, ...]) -> None:
    """What cannot be meant ends with 2 and does nothing."""
    assert run(ERASE, *arguments).code == 2
    assert not Erasure.objects.exists()


@pytest.mark.parametrize("full", parameters([False, True], quick={True}))
def test_refresh__does_not_bring_back(person: Person, api: FakeAPI, full: bool) -> None:
    """Neither an incremental nor a full refresh asks for an erased person, even one who has changed."""
    erase_client(person.client_id)
    for session_id in person.sessions[:2]:
        api.touch(session_id, outcome="clear")
    new = api.add_session(90, clientId=person.client_id, entityName=NAME)
    api.requests.clear()

    ended = refresh_sessions(full=full)

    assert ended.state == "succeeded", ended.errors
    person.sessions.append(new)
    assert_not_asked(api, person)
    assert_nowhere(person)


def test_refresh_by_id__is_refused(
    person: Person, api: FakeAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """An erased id that is asked for gets a named error without a request, which does not repeat it."""
    erase_client(person.client_id)
    api.requests.clear()
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ComplyCubeErasedError) as caught:
        refresh_session(person.sessions[0])
    assert person.sessions[0] not in str(caught.value)
    other = f"{1:024x}"

    said = run("refresh_workflow_sessions", person.sessions[0], other, "--no-progress")

    assert said.code == 1
    assert "ComplyCubeErasedError: The person was erased (hash " in said.err
    assert_not_asked(api, person)
    assert_nowhere(person, caplog.text + said.out + said.err)


def test_refresh_by_id__unknown_session_of_an_erased_client(person: Person, api: FakeAPI) -> None:
    """A session that was never seen here is refused once its client is known, and then without a request."""
    erase_client(person.client_id)
    new = api.add_session(90, clientId=person.client_id, entityName=NAME)
    for _ in range(2):
        with pytest.raises(ComplyCubeErasedError):
            refresh_session(new)
    assert api.count(f"/workflowSessions/{new}") == 1
    person.sessions.append(new)
    assert_nowhere(person)


@pytest.mark.parametrize(
    "resource", parameters(["session", "check", "client", "document"], quick={"check"})
)
def test_webhook__late_event(
    person: Person, api: FakeAPI, client: Client, resource: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A late event is acknowledged and leaves no row, whichever of the person's ids it names."""
    erase_client(person.client_id)
    api.requests.clear()
    caplog.set_level(logging.DEBUG)
    kind, payload = {
        "session": ("workflow.session.updated", {"id": person.sessions[0]}),
        "check": ("check.completed", {"id": person.checks[2]}),
        "client": ("client.updated", {"id": person.client_id}),
        "document": ("document.created", {"id": "d1", "clientId": person.client_id}),
    }[resource]
    for number in range(2):
        response = post(client, event(f"late{number}", kind, **payload))
        assert response.status_code == 200
    processing.process_webhook_events()
    assert not WebhookEvent.objects.filter(event_id__startswith="late").exists()
    assert_not_asked(api, person)
    assert_nowhere(person, caplog.text)


@pytest.mark.parametrize(
    "kind", parameters(["session", "check", "check with client"], quick={"check with client"})
)
def test_webhook__of_what_was_never_seen(
    person: Person, api: FakeAPI, client: Client, kind: str
) -> None:
    """An event of a new session or check costs one request at most, and then leaves nothing."""
    erase_client(person.client_id)
    new = api.add_session(90, checks=1, clientId=person.client_id, entityName=NAME)
    check = api.sessions[new]["allRelatedChecks"][0]["checkId"]
    api.checks[check] |= {"clientId": person.client_id, "entityName": NAME}
    person.sessions.append(new)
    person.checks.append(check)
    event_type = "workflow.session.started" if kind == "session" else "check.completed"
    payload = {"id": new if kind == "session" else check}
    if kind == "check with client":
        payload["clientId"] = person.client_id
    for number in range(2):
        assert post(client, event(f"new{number}", event_type, **payload)).status_code == 200
        processing.process_webhook_events()
    assert api.count(f"/workflowSessions/{new}") == (kind == "session")
    assert api.count(f"/checks/{check}") <= 1
    assert_nowhere(person)


def test_run_under_way__does_not_bring_back(
    person: Person, api: FakeAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that has fetched the person before the erasure stores and names nothing of the person after it."""
    PendingRefresh.objects.all().delete()
    WebhookEvent.objects.all().delete()
    for session_id in person.sessions[:2]:
        api.touch(session_id, outcome="clear")
    new = api.add_session(90, clientId=person.client_id, entityName=NAME)
    other = api.add_session(91)
    person.sessions.append(new)
    api.fail(f"/workflowSessions/{person.sessions[0]}", 500)
    fetched: list[str] = []

    def store_late(account: Any, batch: Any, **kwargs: Any) -> Any:
        if not fetched:
            fetched.extend(copy.session_id for copy in batch)
            caplog.clear()
            erase_client(person.client_id)
        return store_batch(account, batch, **kwargs)

    monkeypatch.setattr(batch, "store_batch", store_late)
    monkeypatch.setattr(batch, "SMALLEST_BATCH", 500)
    caplog.set_level(logging.DEBUG)

    ended = refresh_sessions()

    assert {new, person.sessions[1], other} <= set(fetched)
    assert WorkflowSession.objects.filter(pk=other).exists()
    assert not set(person.ids) & set(ended.errors)
    assert_nowhere(person, caplog.text)


def test_run_under_way__forgets_its_errors(person: Person) -> None:
    """A run that has named the person before the erasure writes none of the person's ids after it."""
    record = RunRecord(default_account(), RefreshRun.Mode.FULL)
    record.begin(lease=True)
    record.fail(person.sessions[0], "500", retry=True)
    record.fail("another", f"It is like {person.checks[0]}.", retry=True)
    erase_client(person.client_id)
    record.fail(person.sessions[1], f"500 for {person.sessions[1]}", retry=True)

    run = record.finish(RefreshRun.State.PARTIAL, 3)

    assert run.errors == {"another": "It is like [erased]."}
    assert_nowhere(person)


def test_admin__cannot_bring_back(
    person: Person,
    api: FakeAPI,
    sign_in: SignIn,
) -> None:
    """One who fetches an erased session by its id is told so, and the admin's log does not name it."""
    erase_client(person.client_id)
    client = sign_in("refresh_workflowsession", "view_workflowsession")
    response = client.post(
        "/admin/complycube_sessions/workflowsession/fetch/",
        {"session_id": person.sessions[0], "account": "default"},
    )
    assert "was erased and is not stored again" in response.content.decode()
    assert_nowhere(person)


def test_queue__leaves_out_the_erased(person: Person) -> None:
    """What hands sessions to other workers makes none of an erased person due."""
    erase_client(person.client_id)
    enqueue_sessions(default_account(), [*person.sessions[:2], "new"], REASON_CHUNK)
    assert PendingRefresh.objects.filter(reason="chunk").get().session_id == "new"
    assert_nowhere(person)


def test_lift__brings_back_what_the_api_holds(person: Person, api: FakeAPI) -> None:
    """After the erasure is lifted, a full refresh stores the person as before."""
    run(ERASE, person.client_id)
    dry = run(ERASE, person.client_id, "--lift", "--dry-run")
    assert dry.out == "Dry run, nothing changed; would remove 9 hashes.\n"
    assert Erasure.objects.count() == 9

    said = run(ERASE, person.client_id, "--lift")

    assert (said.code, Erasure.objects.count()) == (0, 0)
    assert said.out.startswith("Lifted: 9 hashes removed.")
    refresh_sessions(full=True)
    assert WorkflowSession.objects.for_client(person.client_id).count() == 2
    again = run(ERASE, person.client_id, "--lift")
    assert again.out == "This client was not erased. Nothing was changed.\n"


def test_lift__of_one_of_two(api: FakeAPI) -> None:
    """Lifting one erasure leaves the other in force."""
    one, two = add_person(api, 10), add_person(api, 20)
    refresh_sessions()
    erase_client(one.client_id)
    erase_client(two.client_id)
    run(ERASE, one.client_id, "--lift")
    refresh_sessions(full=True)
    assert [row.pk for row in WorkflowSession.objects.all()] == one.sessions


def test_other_account__is_left_alone_when_told(person: Person) -> None:
    """With --account a client of another account with the same id keeps its rows and may be stored."""
    row = session_row("of-other", account="other", client_id=person.client_id)
    erase_client(person.client_id, account="default")
    assert WorkflowSession.objects.get(client_id=person.client_id) == row
    assert set(Erasure.objects.values_list("account", flat=True)) == {"default"}


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("hold", "legal hold: court order 12"),
        ("hold_that_fails", "legal hold: the function could not tell (KeyError)"),
    ],
)
def test_legal_hold__refuses_by_name(
    person: Person, settings: Settings, function: str, why: str
) -> None:
    """A held session refuses the whole erasure by name; who cannot be asked holds."""
    settings.COMPLYCUBE_LEGAL_HOLD = f"tests.privacy.test_erase.{function}"
    before = everything()
    said = run(ERASE, person.client_id)
    assert (said.code, everything()) == (1, before)
    for session_id in person.sessions[:2]:
        assert f"{session_id}: {why}" in said.err
    assert "nothing was removed. Use --override REASON" in said.err
    assert NAME not in said.err
    assert json.loads(run(ERASE, person.client_id, "--json").out)["erased"] is False


def test_override__is_recorded(person: Person, settings: Settings) -> None:
    """With a reason the hold is overridden, and the reason is kept with the erasure."""
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_erase.hold"
    assert run(ERASE, person.client_id, "--override", " ").code != 0
    assert not Erasure.objects.exists()
    said = run(ERASE, person.client_id, "--override", "released by the court")
    assert said.code == 0
    assert Erasure.objects.get(kind="client").override == "released by the court"
    assert_nowhere(person)


def test_minimum_retention__refuses_what_is_younger(person: Person, settings: Settings) -> None:
    """A session that the law wants kept is not erased before its time."""
    settings.COMPLYCUBE_MINIMUM_RETENTION = timedelta(days=365 * 5)
    old = timezone.now() - timedelta(days=365 * 6)
    with by_hand():
        WorkflowSession.objects.filter(pk=person.sessions[0]).update(updated_at=old)
    said = run(ERASE, person.client_id)
    assert said.code == 1
    assert f"{person.sessions[1]}: minimum retention, until 20" in said.err
    assert f"{person.sessions[0]}:" not in said.err
    with by_hand():
        WorkflowSession.objects.filter(pk=person.sessions[1]).update(updated_at=old)
    assert run(ERASE, person.client_id).code == 0


def test_secret_key__rotation(person: Person, settings: Settings, api: FakeAPI) -> None:
    """A hash that was made with a former key counts while that key is among the fallbacks."""
    settings.SECRET_KEY = "the-first"
    erase_client(person.client_id)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the-second", ["the-first"]
    refresh_sessions(full=True)
    assert_nowhere(person)
    with pytest.raises(ComplyCubeErasedError):
        refresh_session(person.sessions[0])
    assert run(ERASE, person.client_id, "--lift").out.startswith("Lifted: 9")


def test_secret_key__lost(person: Person, settings: Settings, django_db_blocker: Any) -> None:
    """The check of the database tells when a key is gone that hashes were made with."""
    from complycube_sessions.database_checks import check_erasures_are_comparable

    erase_client(person.client_id)
    assert check_erasures_are_comparable(databases=["default"]) == []
    settings.SECRET_KEY = "another"
    (warning,) = check_erasures_are_comparable(databases=["default"])
    assert warning.id == "complycube_sessions.W041"
    assert "9 hashes" in warning.msg
    settings.SECRET_KEY_FALLBACKS = ["only-for-tests"]
    assert check_erasures_are_comparable(databases=["default"]) == []


def test_batches__large_client(api: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with more sessions than fit into one batch is removed whole."""
    for number in range(1100):
        session_row(f"s{number:05}", client_id="big", entity_name=NAME)
    session_row("other", client_id="small")
    assert erase_client("big").rows["WorkflowSession"] == 1100
    assert WorkflowSession.objects.get().pk == "other"
    assert Erasure.objects.count() == 1101


def test_batches__of_a_killed_erasure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that was killed has its record tell what is gone; run again, it tells all."""
    for number in range(600):
        session_row(f"s{number:05}", client_id="big")

    def killed(removal: Removal, keys: Any, *args: Any) -> None:
        if len(keys) < 500:
            raise KeyboardInterrupt
        take(removal, keys, *args)

    take = Removal.take_parts
    monkeypatch.setattr(Removal, "take_parts", killed)
    with pytest.raises(KeyboardInterrupt):
        erase_client("big", reason="request 17")
    assert Erasure.objects.get(kind="client").removed == {"WorkflowSession": 500}
    monkeypatch.undo()
    erase_client("big", reason="request 17")
    assert Erasure.objects.get(kind="client").removed == {"WorkflowSession": 600}


def test_evidence__of_a_person_who_is_erased_meanwhile(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that has read the session before the erasure records it without its id."""

    def render(*args: Any, **kwargs: Any) -> bytes:
        erase_client(person.client_id)
        return render_page(*args, **kwargs)

    monkeypatch.setattr(build, "render_page", render)
    exported = build.export_evidence(person.sessions[0])
    assert exported.record.session_id == ""
    assert verify.verify_evidence(exported.json)[0].record == exported.record
    assert_nowhere(person)


def test_admin_log__of_a_person_who_is_erased_meanwhile(
    person: Person, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh from the admin that ends after the erasure leaves no line in the admin's log."""

    def refresh(session_id: str, **kwargs: Any) -> WorkflowSession:
        session = refresh_session(session_id, **kwargs)
        erase_client(person.client_id)
        return session

    monkeypatch.setattr(refresh_admin, "refresh_session", refresh)
    client = sign_in("refresh_workflowsession")
    client.post(f"/admin/complycube_sessions/workflowsession/{person.sessions[0]}/refresh/")
    assert Erasure.objects.exists()
    assert not LogEntry.objects.exists()


def test_admin_log__of_a_selection(person: Person, rf: RequestFactory) -> None:
    """The lines of a selection leave out those who were erased meanwhile."""
    erase_client(person.client_id)
    request = rf.post("/")
    request.user = make_staff()
    actions.log_each(request, [person.sessions[0], f"{1:024x}"], "Handed over.")
    assert LogEntry.objects.get().object_id == f"{1:024x}"


def test_erase__event_that_is_left(api: FakeAPI) -> None:
    """An event that an interrupted erasure has left is removed by whoever meets it, and asks for nothing."""
    person = add_person(api, 40)
    other = api.add_session(1)
    refresh_sessions()
    erase_client(person.client_id)
    for number, session_id in enumerate([person.sessions[0], other]):
        WebhookEvent.objects.create(
            account="default",
            event_id=f"left{number}",
            type="workflow.session.completed",
            resource_id=session_id,
        )
    api.requests.clear()
    done = processing.process_webhook_events()
    assert (done.stored, done.errors) == (1, {})
    assert api.count(f"/workflowSessions/{person.sessions[0]}") == 0
    assert WebhookEvent.objects.get().resource_id == other
