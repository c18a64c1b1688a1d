from __future__ import annotations

import gzip
import json
import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import responses

from complycube_sessions.api import retries
from complycube_sessions.exceptions import (
    ComplyCubeAuthenticationError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
)
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)
from complycube_sessions.services import refresh_sessions
from tests.examples import parameters
from tests.fake_api import FakeAPI, served
from tests.reliability.faults import ON_THE_WIRE, REFUSED, TOLERATED, Fault
from tests.reliability.support import (
    assert_equals_source,
    assert_key_is_nowhere,
    configure,
    refresh,
    summary,
)

pytestmark = pytest.mark.django_db
# All kinds are mixed in one run; alone and again, these stand for theirs.
QUICK = {
    *("null", "html", "cut json", "wrong id", "503"),
    *("nulls everywhere", "unknown words", "200 kB of text", "lone surrogate"),
    *("5,000 digits", "nested 2,000 deep", "repeated related checks"),
}


@pytest.fixture(autouse=True)
def impatient(settings: Any) -> None:
    configure(settings)


def put(api: FakeAPI, session_id: str, fault: Fault) -> None:
    """Let a session's own address answer with a fault of it."""
    api.faults[f"/workflowSessions/{session_id}"] = lambda count: fault(api.sessions[session_id])


@pytest.mark.parametrize("name", parameters(REFUSED, quick=QUICK))
def test_faults__refused_alone(api: FakeAPI, name: str) -> None:
    """A record that cannot be read is named with its reason, and every other is stored."""
    fault, reason = REFUSED[name]
    ids = [api.add_session(number) for number in range(4)]
    put(api, ids[1], fault)

    ended = refresh()

    assert ended.code == 1
    assert list(ended.errors) == [ids[1]]
    assert reason in ended.errors[ids[1]]
    assert f"{ids[1]}: " in ended.err
    assert "Traceback" not in ended.said
    assert "Person" not in ended.said
    assert_key_is_nowhere(api, ended)
    assert_equals_source(api, without=[ids[1]])
    assert not WorkflowSession.objects.filter(pk=ids[1]).exists()
    assert PendingRefresh.objects.get().session_id == ids[1]


@pytest.mark.parametrize("name", parameters(TOLERATED, quick=QUICK))
def test_faults__tolerated_alone(api: FakeAPI, name: str) -> None:
    """A strange record is stored as far as it can be, and costs the others nothing."""
    ids = [api.add_session(number) for number in range(4)]
    put(api, ids[1], TOLERATED[name])

    ended = refresh()

    assert (ended.code, ended.errors) == (0, {})
    assert_equals_source(api, without=[ids[1]])
    strange = WorkflowSession.objects.get(pk=ids[1])
    assert strange.raw["id"] == ids[1]
    assert strange.outcome == "clear" or strange not in WorkflowSession.objects.filter(
        outcome="clear"
    )


@pytest.mark.parametrize("name", parameters(TOLERATED, quick=QUICK))
def test_faults__tolerated_twice(api: FakeAPI, name: str) -> None:
    """The same strange record, fetched again, changes nothing and makes no history."""
    session_id = api.add_session(1)
    put(api, session_id, TOLERATED[name])
    refresh()
    own = ("check_id", "status", "outcome", "type", "missing_since", "updated_at")
    checks = list(RelatedCheck.objects.order_by("pk").values_list(*own))
    before: dict[str, Any] = {**WorkflowSession.objects.values().get()}

    ended = refresh(session_id)

    assert summary(ended)["unchanged"] == 1
    after: dict[str, Any] = {**WorkflowSession.objects.values().get()}
    assert after.pop("fetched_at") > before.pop("fetched_at")
    assert after == before
    assert list(RelatedCheck.objects.order_by("pk").values_list(*own)) == checks
    assert not SessionChange.objects.exists()


def test_faults__tolerated_values(api: FakeAPI) -> None:
    """What a strange value becomes is said in its place, and the rest of the record is whole."""
    ids = {name: api.add_session(number) for number, name in enumerate(TOLERATED)}
    for name, session_id in ids.items():
        put(api, session_id, TOLERATED[name])

    assert refresh().code == 0

    def stored(name: str) -> WorkflowSession:
        return WorkflowSession.objects.get(pk=ids[name])

    second = stored("impossible second")
    assert second.completed_at is None
    assert second.raw["completedAt"] == "2025-01-01T14:06:91.913Z"
    assert second.updated_at == datetime(
        2026, 1, 1, 0, list(ids).index("impossible second") + 1, tzinfo=UTC
    )
    assert stored("year 2099").completed_at is None
    assert stored("unknown words").outcome == "véry_ünknown "
    assert stored("extra fields").raw["newField"] == {"a": [1, None, {"b": "c"}]}
    text = stored("200 kB of text")
    assert text.workflow_description == "é" * 200_000 == text.raw["workflowDescription"]
    assert text.entity_name == "ñ" * 254 + "…"
    assert text.raw["entityName"] == "ñ" * 200_000
    word = stored("200 kB in every word")
    assert len(word.outcome) == 64
    assert word.raw["outcome"] == "o" * 200_000
    assert stored("nul").entity_name == "Ann\ufffda" == stored("lone surrogate").entity_name
    assert stored("nul in a key").tasks == [{"a\ufffdb": "\ufffd"}]
    assert stored("whole surrogate pair").entity_name == "\U0001f600"
    assert stored("nan").workflow_version is None
    assert stored("nan").raw["workflowVersion"] == "[NaN]"
    assert stored("infinity deep inside").tasks == [{"score": ["[-Infinity]", "[inf]", "[NaN]"]}]
    assert stored("5,000 digits").raw["workflowVersion"] == "[number of 5000 digits]"
    assert stored("300 digits").tasks == [int("7" * 300)]
    assert stored("huge version").raw["workflowVersion"] == 2**64
    assert stored("version as text").workflow_version == 3
    assert "[cut: nested deeper than" in json.dumps(stored("nested 2,000 deep").tasks)
    names = {c.check_id for c in stored("half-empty related checks").checks.all()}
    assert "only-an-id" in names
    assert len(names) == 4
    assert stored("repeated related checks").checks.count() == 3
    for name in ("nulls everywhere", "missing fields", "wrong types"):
        bare = stored(name)
        assert (bare.status, bare.outcome, bare.entity_name) == ("", "", "")
        assert (bare.created_at, bare.workflow_version) == (None, None)


@pytest.mark.parametrize("name", ON_THE_WIRE)
def test_faults__on_the_wire(
    settings: Any, mocked: responses.RequestsMock, api: FakeAPI, name: str
) -> None:
    """A body that never comes whole fails its record within a bounded time."""
    fault, reason = ON_THE_WIRE[name]
    ids = [api.add_session(number) for number in range(3)]
    put(api, ids[1], fault)
    mocked.stop(allow_assert=False)
    try:
        with served(api) as url:
            configure(settings, BASE_URL=url, TIMEOUT=0.5)
            began = time.monotonic()
            ended = refresh()
            seconds = time.monotonic() - began
    finally:
        mocked.start()

    assert ended.code == 1
    assert list(ended.errors) == [ids[1]]
    assert reason in ended.errors[ids[1]]
    assert seconds < 5
    assert "Traceback" not in ended.said
    assert_equals_source(api, without=[ids[1]])


@pytest.mark.parametrize("length", ["5, 6", "5\r\nContent-Length: 6", "-1, 2"])
@pytest.mark.parametrize("is_lasting", [False, True])
def test_faults__header_of_an_answer(
    settings: Any,
    api: FakeAPI,
    mocked: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    length: str,
    is_lasting: bool,
) -> None:
    """A header that breaks one answer costs one try, or the record where it stays, and no other record."""
    monkeypatch.setattr(retries, "FIRST_BACKOFF_SECONDS", 0.01)
    ids = [api.add_session(number, checks=0) for number in range(6)]
    broken = 200, {"Content-Length": length}, json.dumps(api.sessions[ids[1]]).encode()
    api.faults[f"/workflowSessions/{ids[1]}"] = lambda count: (
        broken if is_lasting or count == 1 else None
    )
    mocked.stop(allow_assert=False)
    try:
        with served(api) as url:
            configure(settings, BASE_URL=url, MAX_RETRIES=2)
            ended = refresh()
    finally:
        mocked.start()

    assert ended.code == (1 if is_lasting else 0)
    assert list(ended.errors) == (ids[1:2] if is_lasting else [])
    assert api.count(f"/workflowSessions/{ids[1]}") == (3 if is_lasting else 2)
    assert_equals_source(api, without=ids[1:2] if is_lasting else [])


def test_faults__compressed_bomb(api: FakeAPI) -> None:
    """A body that is small on the wire and huge once it is unpacked is refused all the same."""
    good, bad = api.add_session(1), api.add_session(2)
    packed = gzip.compress(b" " * 50_000_000)
    api.fail(f"/workflowSessions/{bad}", 200, packed, **{"Content-Encoding": "gzip"})

    ended = refresh()

    assert ended.code == 1
    assert "larger than" in ended.errors[bad]
    assert WorkflowSession.objects.get().pk == good


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ComplyCubeAuthenticationError),
        (402, ComplyCubePaymentError),
        (403, ComplyCubePermissionError),
    ],
)
def test_faults__every_answer_refused(api: FakeAPI, status: int, error: type[Exception]) -> None:
    """An account that may nothing stops the run at once, with exit code 2 and the run recorded."""
    api.add_session(1)
    api.fail("/workflowSessions", status)

    ended = refresh()

    assert ended.code == 2
    assert str(status) in ended.err
    assert len(api.requests) == 1
    assert ended.run is not None
    assert (ended.run.state, ended.run.watermark) == (RefreshRun.State.FAILED, None)
    with pytest.raises(error):
        refresh_sessions()


@pytest.mark.parametrize("status", [401, 402])
def test_faults__refused_in_the_middle(api: FakeAPI, status: int) -> None:
    """A key that is withdrawn in the middle stops the run; what was fetched before is stored."""
    ids = [api.add_session(number) for number in range(30)]
    api.fail(f"/workflowSessions/{ids[0]}", status)  # the oldest comes last

    ended = refresh()

    assert ended.code == 2
    assert ended.run is not None
    assert (ended.run.state, ended.run.watermark) == (RefreshRun.State.FAILED, None)
    assert WorkflowSession.objects.count() >= 20


def test_faults__quota(api: FakeAPI) -> None:
    """A 429 that does not go away ends the run as partial and says what it may be."""
    ids = [api.add_session(number) for number in range(30)]
    api.fail(f"/workflowSessions/{ids[0]}", 429)

    ended = refresh()

    assert ended.code == 1
    assert ended.run is not None
    assert (ended.run.state, ended.run.watermark) == (RefreshRun.State.PARTIAL, None)
    assert "quota" in ended.errors["default"]
    assert WorkflowSession.objects.count() >= 20


def test_faults__unknown_id(api: FakeAPI) -> None:
    """An id that the API does not know and that was never stored is a failure, not a missing row."""
    good = api.add_session(1)

    ended = refresh(good, "a" * 24)

    assert ended.code == 1
    assert "404" in ended.errors["a" * 24]
    assert WorkflowSession.objects.get().pk == good
    assert not PendingRefresh.objects.exists()


def test_faults__key_in_the_answer(api: FakeAPI) -> None:
    """An API that repeats the key in its errors does not bring it into the log, the output or a row."""
    ids = [api.add_session(number) for number in range(4)]
    told = {"type": api.key, "message": "x" * 190 + f"The key {api.key} may not"}
    api.fail(f"/workflowSessions/{ids[1]}", 422, told)
    api.fail(f"/workflowSessions/{ids[2]}", 200, {"id": api.key})
    api.fail(f"/workflowSessions/{ids[3]}", 302, Location=f"https://{api.key}.example/")

    ended = refresh()

    assert ended.code == 1
    assert sorted(ended.errors) == ids[1:]
    assert api.key[:10] not in ended.said
    assert_key_is_nowhere(api, ended)


def test_faults__key_refused_by_name(api: FakeAPI) -> None:
    """A 401 whose message repeats the key does not bring it anywhere."""
    told = {"type": "unauthorized", "message": f"Invalid key {api.key}"}
    api.fail("/workflowSessions", 401, told)

    ended = refresh()

    assert ended.code == 2
    assert_key_is_nowhere(api, ended)


@pytest.mark.parametrize("path", ["/workflowSessions", "/checks"])
@pytest.mark.parametrize(
    "body",
    parameters(
        [None, [], 7, {}, {"items": 3, "totalItems": 1}, {"items": [], "totalItems": "many"}],
        quick=[None, {"items": 3, "totalItems": 1}],
    ),
)
def test_faults__list_that_is_none(api: FakeAPI, path: str, body: object) -> None:
    """A list that is no list fails the run by name, marks nothing and earns no watermark."""
    session_id = api.add_session(1)
    refresh()
    mark = RefreshRun.objects.latest("pk").watermark
    api.touch(session_id, outcome="attention")
    api.fail(path, 200, json.dumps(body).encode())

    ended = refresh("--full")

    assert ended.code == 1
    assert "page 1 of the list" in ended.errors["default"]
    assert ended.run is not None
    assert ended.run.watermark is None
    assert mark is not None
    assert WorkflowSession.objects.get().missing_since is None
    api.faults.clear()
    assert refresh().code == 0
    assert_equals_source(api)


@pytest.mark.parametrize("path", ["/workflowSessions", "/checks"])
@pytest.mark.parametrize(
    "body", parameters([b"null", b"<html></html>", b'{"items": [', b"{}"], quick={b"null"})
)
def test_faults__list_page_once(settings: Any, api: FakeAPI, path: str, body: bytes) -> None:
    """A page of a list that comes broken once is asked for again, like any other fault of a moment."""
    configure(settings, MAX_RETRIES=1)
    for number in range(5):
        api.add_session(number)
    api.page_size_limit = 2
    api.faults[path] = lambda count: (200, {}, body) if count == 2 else None

    ended = refresh()

    assert (ended.code, ended.errors) == (0, {})
    assert_equals_source(api)


@pytest.mark.parametrize(
    "item",
    parameters(
        [None, 7, "x", [], {}, {"id": None}, {"id": 5}, {"id": "../x"}, {"id": ""}],
        quick=[None, {"id": None}, {"id": "../x"}],
    ),
)
def test_faults__item_of_the_list(api: FakeAPI, item: object) -> None:
    """An item that cannot be read is named once, the others are stored, and the watermark moves."""
    ids = [api.add_session(number) for number in range(3)]
    listed = [{**api.sessions[i]} for i in ids]
    page = {"page": 1, "pageSize": 100, "totalItems": 4, "pages": 1, "items": [*listed, item]}
    api.fail("/workflowSessions", 200, page)

    ended = refresh()

    assert ended.code == 1
    assert [name for name in ended.errors if name.startswith("list of sessions: ")]
    assert len(ended.errors) == 1
    assert ended.run is not None
    assert ended.run.watermark is not None
    assert refresh().code == 0
    assert_equals_source(api)


@pytest.mark.parametrize("name", parameters((n for n in REFUSED if n != "403"), quick=QUICK))
def test_faults__breakdown_alone(api: FakeAPI, name: str) -> None:
    """A check whose breakdown cannot be read costs that breakdown; session and outcomes are stored."""
    fault, reason = REFUSED[name]
    session_id = api.add_session(1, outcome="attention")
    check_id = api.sessions[session_id]["allRelatedChecks"][1]["checkId"]
    api.checks[check_id]["result"]["outcome"] = "attention"
    api.faults[f"/checks/{check_id}"] = lambda count: fault(api.checks[check_id])

    ended = refresh()

    assert ended.code == 1
    assert reason in ended.errors[session_id]
    assert check_id in ended.errors[session_id]
    assert WorkflowSession.objects.get().outcome == "attention"
    assert RelatedCheck.objects.filter(outcome="clear").count() == 2
    api.faults.clear()
    PendingRefresh.objects.update(next_try_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert refresh().code == 0
    assert RelatedCheck.objects.get(check_id=check_id).result == api.checks[check_id]["result"]


@pytest.mark.parametrize("size", parameters([100, 1000], quick={100}))
def test_faults__mixed(api: FakeAPI, size: int) -> None:
    """
    Each kind of wrong answer comes in one run, in the thorough one for one of ten of 1,000 sessions.

    Every good record is stored as it is at the source, every bad one is named with its reason.
    """
    rng = random.Random(1)
    ids = [api.add_session(number) for number in range(size)]
    cheap = [n for n in REFUSED if n not in {"many megabytes", "nested without measure"}]
    kinds = [*cheap, *TOLERATED]
    some = rng.sample(ids, max(len(kinds), size // 10 - 2))
    chosen = {session_id: kinds[i % len(kinds)] for i, session_id in enumerate(some)}
    chosen |= {ids[3]: "many megabytes", ids[-3]: "nested without measure"}
    refused = {i: REFUSED[name][1] for i, name in chosen.items() if name in REFUSED}
    for session_id, name in chosen.items():
        put(api, session_id, REFUSED[name][0] if name in REFUSED else TOLERATED[name])

    ended = refresh()

    assert ended.code == 1
    assert ended.errors.keys() == refused.keys()
    assert all(refused[i] in reason for i, reason in ended.errors.items())
    assert "Traceback" not in ended.said
    assert "Person" not in ended.said
    assert_key_is_nowhere(api, ended)
    assert_equals_source(api, without=chosen)
    assert WorkflowSession.objects.count() == size - len(refused)
    assert set(PendingRefresh.objects.values_list("session_id", flat=True)) == set(refused)
    assert ended.run is not None
    assert ended.run.watermark is not None  # what failed is pending and does not hold it back
    api.faults.clear()
    PendingRefresh.objects.update(next_try_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert refresh().code == 0
    assert_equals_source(api, without=[i for i, name in chosen.items() if name in TOLERATED])
