from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError, connection, connections
from django.test import Client, RequestFactory
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from complycube_sessions import views
from complycube_sessions.models import WebhookEvent
from complycube_sessions.webhooks import dispatch
from complycube_sessions.webhooks.rate_limited_log import RateLimitedLog
from complycube_sessions.webhooks.receive import MAX_EVENT_BYTES, store_event
from tests.examples import examples
from tests.fake_api import KEY
from tests.unwritable import unwritable
from tests.webhook_requests import SECRET, encoded, event, post, signature

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def receiver(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a secret, process nothing, and let each test begin with logs that are not silent."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "WEBHOOK_SECRETS": ["old-secret", SECRET]},
        "silent": {"API_KEY": KEY},
    }
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    for module, name in (
        (views, "log_refused"),
        (views, "log_unstored"),
        (dispatch, "log_unqueued"),
    ):
        monkeypatch.setattr(module, name, RateLimitedLog(getattr(module, name)._level))


def test_webhook__stores_one_event(client: Client) -> None:
    """A signed event is stored with its ids and words, and nothing else of its body."""
    sent = event("evt1", "check.completed", id="chk1", status="complete", outcome="clear")
    response = post(client, sent)
    assert (response.status_code, response.content) == (200, b"")
    row = WebhookEvent.objects.get()
    assert (row.account, row.event_id, row.type, row.resource_id, row.status, row.outcome) == (
        "default",
        "evt1",
        "check.completed",
        "chk1",
        "complete",
        "clear",
    )
    assert (row.processed_at, row.attempts, row.next_try_at, row.error) == (None, 0, None, "")


def test_webhook__rotated_secret(client: Client) -> None:
    """Each configured secret verifies."""
    assert post(client, event("1"), secret="old-secret").status_code == 200
    assert post(client, event("2")).status_code == 200


def test_webhook__same_event_twice(client: Client) -> None:
    """A repeated id answers 200 and changes nothing, whatever its body says."""
    post(client, event("evt1", id="a"))
    before = WebhookEvent.objects.values().get()
    assert post(client, event("evt1", "client.deleted", id="b")).status_code == 200
    assert WebhookEvent.objects.values().get() == before
    WebhookEvent.objects.update(processed_at=before["received_at"])
    assert post(client, event("evt1", id="a")).status_code == 200
    assert WebhookEvent.objects.get().processed_at == before["received_at"]


def test_webhook__ids_compare_exactly(client: Client) -> None:
    """Ids that differ in case, an accent or a trailing space are different events."""
    for event_id in ("evt", "EVT", "évt", "evt "):
        assert post(client, event(event_id)).status_code == 200
    assert WebhookEvent.objects.count() == 4


def test_webhook__unknown_type(client: Client) -> None:
    """An event type never seen before is stored and acknowledged."""
    assert post(client, event("1", "quantum.entangled", id="x")).status_code == 200
    assert WebhookEvent.objects.get().type == "quantum.entangled"


@pytest.mark.parametrize(
    ("account", "headers"),
    [
        ("default", {}),
        ("default", {"ComplyCube-Signature": ""}),
        ("default", {"ComplyCube-Signature": "é" * 64}),
        ("default", {"ComplyCube-Signature": "0" * 64}),
        ("silent", None),
        ("unknown", None),
        ("", {"ComplyCube-Signature": signature(encoded(event()), "")}),
        ("nul%00", None),
        ("'; --", None),
    ],
)
def test_webhook__refusals_are_alike(
    client: Client, account: str, headers: dict[str, str] | None
) -> None:
    """Wrong signature, account without a secret and unknown account answer the same bare 400."""
    response = post(client, event(), account=account or "silent", headers=headers)
    assert (response.status_code, response.content) == (400, b"")
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("secrets", [[], None, "text", [""], [None], {}])
def test_webhook__faulty_secrets_fail_closed(
    client: Client, settings: Settings, secrets: Any
) -> None:
    """Secrets that are no list of texts verify nothing."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "WEBHOOK_SECRETS": secrets}}
    for secret in ("", "t", "text"):
        assert post(client, event(), secret=secret).status_code == 400


@pytest.mark.parametrize("accounts", [None, [], {"default": None}, {"default": []}])
def test_webhook__faulty_accounts_fail_closed(
    client: Client, settings: Settings, accounts: Any
) -> None:
    """Settings that are no accounts refuse every event, without an error page."""
    settings.COMPLYCUBE_ACCOUNTS = accounts
    assert post(client, event()).status_code == 400


def test_webhook__missing_key_still_stores(client: Client, settings: Settings) -> None:
    """An account whose key is missing for a while loses no event."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"WEBHOOK_SECRETS": [SECRET]}}
    assert post(client, event()).status_code == 200


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"{}", b"\xff", b'{"id":"value"}'])
def test_webhook__signed_but_no_event(client: Client, body: bytes) -> None:
    """A valid signature over something that is not an event object is refused."""
    assert post(client, body).status_code == 400
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_webhook__post_only(client: Client, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Other methods are not allowed, and who sends millions of them writes no line of a log."""
    url = reverse("complycube_sessions:webhook", args=["default"])
    response = getattr(client, method)(url)
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert not caplog.records


def test_webhook__no_csrf_token_needed() -> None:
    """The vendor has no token of ours."""
    assert post(Client(enforce_csrf_checks=True), event()).status_code == 200


def test_webhook__behind_login_required_middleware(client: Client, settings: Settings) -> None:
    """A site that wants a login everywhere receives events all the same."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert post(client, event()).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_webhook__atomic_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``ATOMIC_REQUESTS`` an event is committed before the view ends."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    seen: list[bool] = []
    stored = store_event

    def store(account: str, payload: Any) -> int | None:
        pk = stored(account, payload)
        seen.append(connection.in_atomic_block)
        return pk

    monkeypatch.setattr(views, "store_event", store)
    assert post(client, event()).status_code == 200
    assert seen == [False]
    assert WebhookEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_webhook__inside_a_transaction(client: Client, settings: Settings) -> None:
    """Where a middleware holds a transaction open, the event is stored, and handed on, all the same."""
    settings.MIDDLEWARE = ["tests.middleware.open_transactions", *settings.MIDDLEWARE]
    assert post(client, event()).status_code == 200
    assert WebhookEvent.objects.count() == 1


@pytest.mark.vendors("postgresql", "mysql")  # SQLite takes no second connection that writes
@pytest.mark.django_db(transaction=True)
def test_webhook__inside_a_transaction_that_is_undone(client: Client, settings: Settings) -> None:
    """What was acknowledged is stored, whatever becomes of the transaction around it."""
    settings.MIDDLEWARE = ["tests.middleware.rolled_back_transactions", *settings.MIDDLEWARE]
    assert post(client, event()).status_code == 200
    assert WebhookEvent.objects.count() == 1


def test_webhook__inside_a_transaction_of_a_test_case(client: Client, settings: Settings) -> None:
    """The tests of a host, each in a transaction that is undone, post events through such a middleware."""
    settings.MIDDLEWARE = ["tests.middleware.open_transactions", *settings.MIDDLEWARE]
    assert post(client, event()).status_code == 200
    assert WebhookEvent.objects.count() == 1


@pytest.mark.parametrize("length", ["1048577", "99999999999999999999", "9" * 5000, "-1", "x", "１"])
def test_webhook__length_is_looked_at_before_the_body(length: str) -> None:
    """A body that is announced as too large, or by no number, is not read."""
    request = RequestFactory().post("/", b"{}", "application/json")
    request.META["CONTENT_LENGTH"] = length

    class Untouchable:
        def read(self, *args: object) -> bytes:
            raise AssertionError("The body was read.")

    request._stream = Untouchable()  # type: ignore[assignment]  # all that is used of one
    assert views.webhook(request, "default").status_code == 400


def test_webhook__body_of_unknown_length(client: Client) -> None:
    """Of a body whose length was not told, no more than the bound is read."""
    taken: list[int] = []

    class Endless:
        def read(self, size: int) -> bytes:
            taken.append(size)
            return b"x" * size

    request = RequestFactory().post("/", b"{}", "application/json")
    request.META["CONTENT_LENGTH"] = ""
    request._stream = Endless()  # type: ignore[assignment]  # all that is used of one
    assert views.webhook(request, "default").status_code == 400
    assert taken == [MAX_EVENT_BYTES + 1]


def test_webhook__connection_lost(client: Client) -> None:
    """A body that breaks off is refused, without an error page."""

    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError

    request = RequestFactory().post("/", b"{}", "application/json")
    request._stream = Broken()  # type: ignore[assignment]  # all that is used of one
    assert views.webhook(request, "default").status_code == 400


def test_webhook__body_that_a_middleware_has_read() -> None:
    """A middleware that looked at the body before does not break the signature."""
    body = encoded(event())
    request = RequestFactory().post(
        "/", body, "application/json", headers={"ComplyCube-Signature": signature(body)}
    )
    assert request.body == body
    assert views.webhook(request, "default").status_code == 200


def test_webhook__largest_body(client: Client) -> None:
    """An event of nearly a megabyte is stored, one above is not."""
    sent = event("1", "client.updated", id="c", note="")
    room = MAX_EVENT_BYTES - len(encoded(sent))
    sent["payload"]["note"] = "x" * room
    assert post(client, sent).status_code == 200
    sent["payload"]["note"] += "x"
    assert post(client, sent).status_code == 400


def test_webhook__one_warning_for_many(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A flood of bad requests costs one line without the signature, and no mail to the admins."""
    settings.ADMINS = [("Admin", "admin@example.org")]
    wrong = "deadbeef" * 8
    with caplog.at_level(logging.DEBUG):
        for _ in range(50):
            post(client, event(), headers={"ComplyCube-Signature": wrong})
    (record,) = [r for r in caplog.records if not r.name.startswith("asyncio")]
    assert (record.name, record.levelname) == ("complycube_sessions.webhook", "WARNING")
    assert wrong not in caplog.text
    assert mail.outbox == []


def test_rare_log__counts_what_it_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a minute the next line tells how many were silent."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for _ in range(3):
        views.log_refused("Refused.")
    now[0] += 61
    views.log_refused("Refused.")
    assert [r.getMessage() for r in caplog.records] == [
        "Refused. (0 more since the last such line)",
        "Refused. (2 more since the last such line)",
    ]


def test_webhook__database_away(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be stored is not acknowledged, so that the vendor sends it again."""

    def away(account: str, payload: Any) -> int | None:
        raise OperationalError("connection refused, with a value")

    monkeypatch.setattr(views, "store_event", away)
    assert post(client, event()).status_code == 503
    assert "OperationalError" in caplog.text
    assert "with a value" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_webhook__database_takes_no_write(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is locked or read-only is told with a 503 while the vendor still waits."""
    monkeypatch.setattr(views, "PATIENCE_SECONDS", 0.02)
    with unwritable():
        assert post(client, event()).status_code == 503
    assert "could not be stored" in caplog.text
    assert post(client, event()).status_code == 200


def test_webhook__statements(client: Client, django_assert_num_queries: Any) -> None:
    """Receiving costs one insert and one look at the row, besides the savepoint of the test."""
    post(client, event("evt0"))  # the very first one of an account makes its lock row on MariaDB
    with django_assert_num_queries(4):
        post(client, event())


headers = st.dictionaries(
    st.sampled_from(["ComplyCube-Signature", "Content-Type", "X-Other", "Content-Encoding"]),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=80),
    max_size=4,
)
accounts = st.sampled_from(["default", "silent", "unknown", "Default"])


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.vendors("sqlite")  # none of them comes as far as the database
def test_webhook__random_requests(quiet: None) -> None:
    """Random bodies and headers, thousands where it is thorough: never an error, never a row."""

    @settings(
        max_examples=examples(100, 10_000),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(body=st.binary(max_size=300), headers=headers, account=accounts)
    def send(body: bytes, headers: dict[str, str], account: str) -> None:
        request = RequestFactory().post("/", body, "application/json", headers=headers)
        assert views.webhook(request, account).status_code == 400

    send()
    assert not WebhookEvent.objects.exists()


def test_webhook__random_signed_bodies(quiet: None) -> None:
    """Random bodies with a valid signature are no events: never an error, never a row."""

    @settings(
        max_examples=examples(50, 500),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.binary(max_size=300) | st.text(max_size=50).map(lambda t: f'{{"id":"{t}"}}'.encode()))
    def send(body: bytes) -> None:
        headers = {"ComplyCube-Signature": signature(body)}
        request = RequestFactory().post("/", body, "application/json", headers=headers)
        assert views.webhook(request, "default").status_code == 400

    send()
    assert not WebhookEvent.objects.exists()
