"""Changes at the vendor: sent once, whatever becomes of the answer."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.api.throttle import Patience
from complycube_sessions.db.connections import retry_transient
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubeChangeUnderWayError,
    ComplyCubeErasedError,
    ComplyCubeError,
    ComplyCubeInvalidChangeError,
    ComplyCubeInvalidIdError,
    ComplyCubeLostAnswerError,
    ComplyCubeNotFoundError,
    ComplyCubeOwnershipError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeUpstreamOffError,
)
from complycube_sessions.models import RelatedCheck, UpstreamChange, WorkflowSession
from complycube_sessions.services import (
    cancel_session,
    complete_session,
    erase_client,
    validate_check,
)
from complycube_sessions.sync.request_budget import DatabaseSlots
from complycube_sessions.upstream import guards
from complycube_sessions.upstream.requested import RequestedChange
from tests.fake_api import CONNECTION_RESET, KEY, FakeAPI, Reply, served
from tests.upstream.sessions import allow_changes, checks_of, store_attention, store_started

pytestmark = pytest.mark.django_db

Do = Callable[[], Reply]


@pytest.fixture(autouse=True)
def allowed(settings: Settings) -> None:
    allow_changes(settings)


@pytest.fixture
def session(api: FakeAPI) -> str:
    """Return a session whose document and screening are in need of attention."""
    return store_attention(api)


@pytest.fixture
def started(api: FakeAPI) -> str:
    return store_started(api)


def states() -> list[tuple[str, str, str]]:
    rows = UpstreamChange.objects.order_by("pk")
    return list(rows.values_list("action", "state", "actor"))


def done_but_lost(do: Do) -> Reply:
    do()
    return 502, {}, b"<html>Bad gateway"


def lost(do: Do) -> Reply:
    return 504, {}, b""


def test_validate__check(api: FakeAPI, session: str) -> None:
    """A document is confirmed by one request, and the copy has what came of it."""
    document = checks_of(api, session)[0]
    result = validate_check(session, document, "confirmed", comment="Seen the passport.")
    assert api.posts == [
        (f"/checks/{document}/validate", {"outcome": "confirmed", "comment": "Seen the passport."})
    ]
    assert (result.answer_was_lost, result.refresh_error) == (False, None)
    assert result.session == WorkflowSession.objects.get()
    assert RelatedCheck.objects.get(check_id=document).outcome == "clear"
    assert states() == [("validate", "done", "project")]


def test_validate__match_and_user(api: FakeAPI, session: str) -> None:
    """A match is dismissed; the record names who did it and what about, in ids, without the comment."""
    screening = checks_of(api, session)[2]
    user = User.objects.create_user("ann")
    validate_check(session, screening, "rejected", "m1", "Another birth date.", user)
    assert api.posts[0][1]["matchId"] == "m1"
    row = UpstreamChange.objects.get()
    assert (row.session_id, row.check_id, row.match_id) == (session, screening, "m1")
    assert (row.outcome, row.actor, row.state) == ("rejected", f"user:{user.pk}", "done")
    assert "birth" not in str(vars(row))
    stored = RelatedCheck.objects.get(check_id=screening)
    assert stored.outcome == "clear"
    assert WorkflowSession.objects.get().changes.get().source == "admin"


@pytest.mark.parametrize(
    ("work", "status"), [(complete_session, "processing"), (cancel_session, "cancelled")]
)
def test_session__is_moved_on(
    api: FakeAPI, started: str, work: Callable[..., Any], status: str
) -> None:
    """A started session is completed or cancelled by one request without a body; 204 will do."""
    action = work.__name__.removesuffix("_session")
    assert work(started).session.status == status
    assert api.posts == [(f"/workflowSessions/{started}/{action}", {})]
    assert states() == [(action, "done", "project")]


def test_off__unless_the_setting_is_on(api: FakeAPI, session: str, settings: Settings) -> None:
    """Without the setting nothing is sent, and the error names the setting."""
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = False
    before = len(api.requests)
    works: list[Callable[[], object]] = [
        lambda: validate_check(session, checks_of(api, session)[0], "confirmed"),
        lambda: complete_session(session),
        lambda: cancel_session(session),
    ]
    for work in works:
        with pytest.raises(ComplyCubeUpstreamOffError, match="ALLOW_UPSTREAM_CHANGES = True"):
            work()
    assert (api.posts, len(api.requests)) == ([], before)
    assert not UpstreamChange.objects.exists()


@pytest.mark.parametrize(
    ("place", "arguments", "words"),
    [
        (0, {"outcome": "pending"}, "confirmed, rejected, attention"),
        (0, {"outcome": "confirmed", "match_id": "m1"}, "no screening"),
        (2, {"outcome": "confirmed"}, "name the match"),
        (0, {"outcome": "confirmed", "comment": "x" * 4001}, "4001 characters"),
    ],
)
def test_validate__cannot_be_asked_for_so(
    api: FakeAPI, session: str, place: int, arguments: dict[str, Any], words: str
) -> None:
    """What the vendor documents as wrong is refused before anything is sent."""
    with pytest.raises(ComplyCubeInvalidChangeError, match=words):
        validate_check(session, checks_of(api, session)[place], **arguments)
    assert (api.posts, states()) == ([], [])


def test_validate__check_of_another_session(api: FakeAPI, session: str, started: str) -> None:
    """A check is validated only by way of a session that has it, and no id climbs the address."""
    with pytest.raises(ComplyCubeInvalidChangeError, match="has no check"):
        validate_check(started, checks_of(api, session)[0], "confirmed")
    with pytest.raises(ComplyCubeInvalidChangeError, match="without an id"):
        validate_check(started, "", "confirmed")
    with pytest.raises(ComplyCubeInvalidIdError):
        validate_check(session, "../clients/1", "confirmed")
    assert api.posts == []


def test_session__not_stored_is_fetched_first(api: FakeAPI) -> None:
    """A session that is only known at the vendor can be cancelled as well."""
    session_id = api.add_session(3, status="started")
    assert cancel_session(session_id).session == WorkflowSession.objects.get()
    with pytest.raises(ComplyCubeNotFoundError):
        cancel_session("5eb-unknown")
    assert len(api.posts) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ComplyCubeAPIError),
        (401, ComplyCubeAuthenticationError),
        (402, ComplyCubePaymentError),
        (403, ComplyCubePermissionError),
        (404, ComplyCubeNotFoundError),
        (409, ComplyCubeAPIError),
        (422, ComplyCubeAPIError),
        (429, ComplyCubeRateLimitError),
        (302, ComplyCubeAPIError),
    ],
)
def test_refused__is_a_named_error(
    api: FakeAPI, started: str, status: int, kind: type[ComplyCubeAPIError]
) -> None:
    """Each refusal is an error of its own, sent once, and recorded as not done."""
    path = f"/workflowSessions/{started}/cancel"
    api.change_faults[path] = lambda do: (status, {}, b'{"type": "t", "message": "Not now"}')
    with pytest.raises(kind, match=f"answered {status}") as caught:
        cancel_session(started)
    assert caught.value.status_code == status
    assert len(api.posts) == 1
    assert states() == [("cancel", "not_done", "project")]


def test_refused__fetches_what_the_copy_missed(api: FakeAPI, started: str) -> None:
    """A session that has moved on meanwhile is refused, and the copy catches up."""
    api.touch(started, status="processing")
    with pytest.raises(ComplyCubeAPIError, match="Not started"):
        cancel_session(started)
    assert WorkflowSession.objects.get().status == "processing"


def test_lost__done_all_the_same(api: FakeAPI, session: str) -> None:
    """A gateway's 502 after the change: the check shows it, and no second request is sent."""
    document = checks_of(api, session)[0]
    api.change_faults[f"/checks/{document}/validate"] = done_but_lost
    result = validate_check(session, document, "confirmed")
    assert result.answer_was_lost
    assert len(api.posts) == 1
    assert RelatedCheck.objects.get(check_id=document).outcome == "clear"
    assert states() == [("validate", "done", "project")]


def test_lost__not_done(api: FakeAPI, session: str, started: str) -> None:
    """Where the object does not show the change, the error says so, and still nothing is sent again."""
    screening = checks_of(api, session)[2]
    api.change_faults[f"/checks/{screening}/validate"] = lost
    api.change_faults[f"/workflowSessions/{started}/complete"] = lost
    works: list[Callable[[], object]] = [
        lambda: validate_check(session, screening, "rejected", "m1"),
        lambda: complete_session(started),
    ]
    for work in works:
        with pytest.raises(ComplyCubeLostAnswerError, match="does not show it") as caught:
            work()
        assert caught.value.is_done is False
    assert len(api.posts) == 2
    assert [state for _, state, _ in states()] == ["not_done", "not_done"]


def test_lost__cannot_tell(api: FakeAPI, session: str, started: str) -> None:
    """A check that looks as it did, and a session that cannot be fetched, tell nothing."""
    identity = checks_of(api, session)[1]
    api.change_faults[f"/checks/{identity}/validate"] = lost
    with pytest.raises(ComplyCubeLostAnswerError, match="does not tell") as caught:
        validate_check(session, identity, "confirmed")  # it was clear before
    assert caught.value.is_done is None
    api.change_faults[f"/workflowSessions/{started}/cancel"] = done_but_lost
    api.fail(f"/workflowSessions/{started}", 500)
    with pytest.raises(ComplyCubeLostAnswerError, match="does not tell") as caught:
        cancel_session(started)
    assert caught.value.is_done is None
    assert len(api.posts) == 2
    assert [state for _, state, _ in states()] == ["unknown", "unknown"]


@pytest.mark.parametrize(
    "fault", [requests.ConnectionError(KEY), requests.ReadTimeout(KEY), ConnectionResetError(KEY)]
)
def test_lost__no_answer_at_all(api: FakeAPI, started: str, fault: Exception) -> None:
    """A timeout and a reset are lost answers too."""

    def fail(do: Do) -> Reply:
        raise fault

    api.change_faults[f"/workflowSessions/{started}/cancel"] = fail
    with pytest.raises(ComplyCubeLostAnswerError) as caught:
        cancel_session(started)
    assert caught.value.is_done is False
    assert KEY not in str(caught.value)
    assert len(api.posts) == 1


@pytest.mark.parametrize("is_done", [True, False])
def test_lost__over_a_real_connection(
    api: FakeAPI, started: str, settings: Settings, mocked: responses.RequestsMock, is_done: bool
) -> None:
    """A server that closes the connection without a byte gets no second request, kept-alive or not."""

    def close(do: Do) -> Reply:
        if is_done:
            do()
        return CONNECTION_RESET, {}, b""

    api.change_faults[f"/workflowSessions/{started}/cancel"] = close
    mocked.stop(allow_assert=False)
    try:
        with served(api) as url:
            settings.COMPLYCUBE_ACCOUNTS["default"] |= {"BASE_URL": url, "MAX_RETRIES": 3}
            if is_done:
                assert cancel_session(started).answer_was_lost
            else:
                with pytest.raises(ComplyCubeLostAnswerError):
                    cancel_session(started)
    finally:
        mocked.start()
    assert len(api.posts) == 1
    assert WorkflowSession.objects.get().status == ("cancelled" if is_done else "started")


@pytest.mark.parametrize("status", [200, 201, 204])
@pytest.mark.parametrize("name", ["cut", "html", "huge", "broken gzip"])
def test_done__whatever_the_body_is(
    api: FakeAPI,
    started: str,
    settings: Settings,
    mocked: responses.RequestsMock,
    status: int,
    name: str,
) -> None:
    """The status says that a change was done; a body that cannot be read changes nothing of that."""
    bodies: dict[str, tuple[dict[str, str], bytes]] = {
        "cut": ({"Content-Length": "500"}, b'{"status": "canc'),
        "html": ({"Content-Type": "text/html"}, b"<html>"),
        "huge": ({}, b" " * 17_000_000),
        "broken gzip": ({"Content-Encoding": "gzip"}, b"not compressed"),
    }

    def strange(do: Do) -> Reply:
        do()
        headers, body = bodies[name]
        return status, headers, b"" if status == 204 else body

    api.change_faults[f"/workflowSessions/{started}/cancel"] = strange
    mocked.stop(allow_assert=False)
    try:
        with served(api) as url:
            settings.COMPLYCUBE_ACCOUNTS["default"] |= {"BASE_URL": url, "TIMEOUT": 5}
            result = cancel_session(started)
    finally:
        mocked.start()
    assert not result.answer_was_lost
    assert (len(api.posts), states()) == (1, [("cancel", "done", "project")])


def test_lost__slow_server(
    api: FakeAPI, started: str, settings: Settings, mocked: responses.RequestsMock
) -> None:
    """A server that does the change and does not answer in time gets no second request."""
    is_asked_about = threading.Event()
    api.on_request = lambda number, path: is_asked_about.set()

    def slow(do: Do) -> Reply:
        reply = do()
        is_asked_about.wait(20)
        return reply

    api.change_faults[f"/workflowSessions/{started}/cancel"] = slow
    mocked.stop(allow_assert=False)
    try:
        with served(api) as url:
            settings.COMPLYCUBE_ACCOUNTS["default"] |= {"BASE_URL": url, "TIMEOUT": 0.5}
            assert cancel_session(started).answer_was_lost
    finally:
        mocked.start()
    assert len(api.posts) == 1


def test_done__though_the_session_cannot_be_fetched(api: FakeAPI, started: str) -> None:
    """A change that was done is told as done, with the reason why the copy is not up to date."""

    def break_after(do: Do) -> Reply:
        api.fail(f"/workflowSessions/{started}", 500)
        return do()

    api.change_faults[f"/workflowSessions/{started}/complete"] = break_after
    result = complete_session(started)
    assert (result.session, result.answer_was_lost) == (None, False)
    assert "500" in str(result.refresh_error)
    assert states() == [("complete", "done", "project")]


def test_done__though_the_record_cannot_be_updated(
    api: FakeAPI, started: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that fails after the request makes nobody think that it was not sent."""
    calls = iter([False, True])

    def fail(work: Callable[[], Any], *, alias: str) -> Any:
        if next(calls, False):
            raise DatabaseError("locked")
        return retry_transient(work, alias=alias)

    monkeypatch.setattr("complycube_sessions.upstream.changes.retry_transient", fail)
    with caplog.at_level(logging.WARNING, "complycube_sessions.upstream"):
        assert cancel_session(started).session is not None
    assert states() == [("cancel", "sent", "project")]
    assert "stays" in caplog.text


def test_second__while_the_first_is_under_way(api: FakeAPI, started: str) -> None:
    """Who asks for the same meanwhile sends nothing; what a kill has left stops nobody for long."""

    def press_again(do: Do) -> Reply:
        with pytest.raises(ComplyCubeChangeUnderWayError):
            cancel_session(started)
        return do()

    path = f"/workflowSessions/{started}/cancel"
    api.change_faults[path] = press_again
    cancel_session(started)
    assert (len(api.posts), states()) == (1, [("cancel", "done", "project")])
    del api.change_faults[path]
    api.touch(started, status="started")
    UpstreamChange.objects.update(state="sent")
    with pytest.raises(ComplyCubeChangeUnderWayError):
        cancel_session(started)
    for moved in (timedelta(minutes=-6), timedelta(days=1)):
        UpstreamChange.objects.update(requested_at=timezone.now() + moved, state="sent")
        cancel_session(started)
        api.touch(started, status="started")
    assert len(api.posts) == 3


def test_guard__is_asked_before(
    api: FakeAPI, started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever guards changes is asked with the change and the user; a refusal sends nothing."""
    asked: list[tuple[RequestedChange, Any]] = []

    @guards.add_guard
    def refuse(change: RequestedChange, user: Any) -> None:
        asked.append((change, user))
        raise ComplyCubeError("A second person has to agree.")

    user = User.objects.create_user("ann")
    try:
        with pytest.raises(ComplyCubeError, match="second person"):
            cancel_session(started, user)
    finally:
        guards.remove_guard(refuse)
    assert asked == [(RequestedChange(UpstreamChange.Action.CANCEL, started), user)]
    assert (api.posts, states()) == ([], [])


def test_others__rows_and_erased_people(api: FakeAPI, started: str, settings: Settings) -> None:
    """A row of another account is not changed, nor is an erased person's session."""
    settings.COMPLYCUBE_ACCOUNTS["other"] = {"API_KEY": "test_of-another-account"}
    with pytest.raises(ComplyCubeOwnershipError):
        cancel_session(started, account="other")
    erase_client(WorkflowSession.objects.get().client_id)
    with pytest.raises(ComplyCubeErasedError):
        cancel_session(started)
    assert api.posts == []


def test_erase__takes_the_records_along(api: FakeAPI, started: str) -> None:
    """What was changed for a person goes with the person, and is counted."""
    cancel_session(started)
    removed = erase_client(WorkflowSession.objects.get().client_id)
    assert removed.rows["UpstreamChange"] == 1
    assert not UpstreamChange.objects.exists()


def test_budget__who_waits_too_long_sends_nothing(api: FakeAPI, started: str) -> None:
    """Where others use the budget, the change is not sent, and says so."""
    DatabaseSlots(KEY).postpone(60)
    with pytest.raises(ComplyCubeBusyError):
        cancel_session(started, patience=Patience())
    assert api.posts == []
    assert states() == [("cancel", "not_done", "project")]


def test_log__names_ids_alone(api: FakeAPI, session: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the ids and what became of it, and neither comment, person nor key."""
    screening = checks_of(api, session)[2]
    with caplog.at_level(logging.INFO, "complycube_sessions"):
        validate_check(session, screening, "rejected", "m1", "Ann is another one.")
    line = next(r for r in caplog.records if r.name == "complycube_sessions.upstream")
    assert line.getMessage().startswith(
        f"validate of {session} {screening} m1 rejected by project: done"
    )
    assert not any(word in caplog.text for word in ("Ann", "Person", KEY))
    assert json.dumps({"outcome": "rejected"}) not in caplog.text
