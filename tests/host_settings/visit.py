"""
What a host project does with the app, whatever it is like itself.

``test_guests.py`` runs this file once for each host, in a process with that host's settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import AsyncClient, Client
from django.urls import reverse
from requests import PreparedRequest

from complycube_sessions.conf import account_names, get_account, webhook_secrets
from complycube_sessions.evidence.verify import is_as_exported, verify_evidence
from complycube_sessions.models import RefreshRun, RelatedCheck, WorkflowSession
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.webhooks.processing import process_webhook_events
from tests.fake_api import FakeAPI
from tests.webhook_requests import encoded, event, post, signature

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ACCOUNTS = account_names()
# Only the settings of the hosts have these two.
SITES: list[str] = getattr(settings, "ADMIN_SITES", [])
BOSS: dict[str, str] = getattr(settings, "BOSS", {})
# Beside a transaction that is open, SQLite stores nothing; the admin says so.
ASKS_NOBODY = (
    getattr(settings, "HOLDS_TRANSACTIONS", False) and connections["default"].vendor == "sqlite"
)
PAGES = ("workflowsession", "relatedcheck", "sessionchange", "refreshrun", "pendingrefresh")


@pytest.fixture
def apis(mocked: responses.RequestsMock) -> dict[str, FakeAPI]:
    """Answer for each account, and to its key only."""
    return {name: _answering(mocked, name, number) for number, name in enumerate(ACCOUNTS)}


def _answering(mocked: responses.RequestsMock, name: str, number: int) -> FakeAPI:
    account = get_account(name)
    fake = FakeAPI(key=account.api_key)
    for minute in range(3):
        fake.add_session(100 * number + minute)

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = fake.answer(str(request.path_url), request.headers)
        assert isinstance(body, bytes)
        return status, headers, body

    address = re.compile(re.escape(account.base_url) + "/.*")
    mocked.add_callback(responses.GET, address, callback=answer)
    return fake


@pytest.fixture
def boss(client: Client) -> Client:
    """Return the browser of one who may do everything."""
    client.force_login(_boss())
    return client


def _boss() -> Any:
    return get_user_model().objects.create_superuser(password="secret", **BOSS)


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def url(site: str, page: str, *args: Any) -> str:
    return reverse(f"admin:complycube_sessions_{page}", args=args, current_app=site)


def in_store(pk: str) -> WorkflowSession:
    return WorkflowSession.objects.using(_alias()).get(pk=pk)


def _alias() -> str:
    return "kyc" if "kyc" in connections else "default"


def test_visit__checks_and_migrations_are_clean() -> None:
    """Nothing of the host's settings calls for another migration, or for a warning."""
    call_command("check", databases=list(connections), fail_level="WARNING")
    call_command("makemigrations", "complycube_sessions", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_visit__refresh(apis: dict[str, FakeAPI], account: str) -> None:
    """A first run, one of what changed, a full one and one session: all is stored, for its account."""
    fake = apis[account]
    assert refresh_sessions(account=account).state == RefreshRun.State.SUCCEEDED
    first, *_ = fake.sessions
    fake.touch(first, outcome="attention")
    run = refresh_sessions(account=account)
    assert (run.state, run.updated) == (RefreshRun.State.SUCCEEDED, 1)
    run = refresh_sessions(account=account, full=True)
    assert (run.state, run.missing) == (RefreshRun.State.SUCCEEDED, 0)
    stored = WorkflowSession.objects.using(_alias())
    assert set(stored.values_list("pk", "account")) == {(pk, account) for pk in fake.sessions}
    fake.touch(first, outcome="clear")
    session = refresh_session(first, account=account)
    assert (session.outcome, session.raw) == ("clear", fake.sessions[first])
    assert session.created_at is not None
    assert session.created_at.isoformat() == fake.sessions[first]["createdAt"].replace(
        ".000Z", "+00:00"
    )
    assert RelatedCheck.objects.using(_alias()).filter(session=first).count() == 3
    others = [name for name in ACCOUNTS if name != account]
    assert all(apis[name].requests == [] for name in others)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_visit__webhook(client: Client, apis: dict[str, FakeAPI], account: str) -> None:
    """A signed event refreshes its session; one signed for another account is refused."""
    fake = apis[account]
    first, *_ = fake.sessions
    (secret,) = webhook_secrets(account)
    body = event("evt1", id=first)
    assert post(client, body, secret="another", account=account).status_code == 400
    assert post(client, body, secret=secret, account=account).status_code == 200
    process_webhook_events(account=account)
    assert in_store(first).account == account


def test_visit__pages(boss: Client, apis: dict[str, FakeAPI], site: str) -> None:
    """Every list, the overview and the pages of rows open, and show what is stored."""
    for account in ACCOUNTS:
        refresh_sessions(account=account)
    session = WorkflowSession.objects.using(_alias()).order_by("pk")[0]
    check = session.checks.using(_alias()).all()[0]
    run = RefreshRun.objects.using(_alias()).all()[0]
    addresses = [url(site, f"{name}_changelist") for name in PAGES]
    addresses += [
        reverse("admin:index", current_app=site),
        url(site, "workflowsession_overview"),
        url(site, "workflowsession_fetch"),
        url(site, "workflowsession_change", session.pk),
        url(site, "workflowsession_history", session.pk),
        url(site, "relatedcheck_change", check.pk),
        url(site, "refreshrun_change", run.pk),
        url(site, "workflowsession_changelist") + "?q=person&review=yes",
    ]
    prefix = reverse("admin:index", current_app=site)
    for address in addresses:
        response = boss.get(address, follow=True)
        assert response.status_code == 200, address
        links = set(re.findall(r'href="(/[^"]*complycube_sessions/[^"]*)"', response.text))
        assert all(link.startswith((prefix, "/static/")) for link in links), (address, links)
    assert "Person 0" in boss.get(url(site, "workflowsession_changelist")).text


def test_visit__refresh_from_the_admin(boss: Client, apis: dict[str, FakeAPI], site: str) -> None:
    """The button, the action and the fetch by id store the session and write the admin's log."""
    fake = apis["default"]
    first, second, third = fake.sessions
    fetched = boss.post(
        url(site, "workflowsession_fetch"), {"session_id": first, "account": "default"}
    )
    if ASKS_NOBODY:
        assert "A middleware of this site holds a database transaction open" in fetched.text
        assert fake.requests == []
        return
    assert fetched["Location"] == url(site, "workflowsession_change", first)
    refresh_sessions(ids=[second, third])
    fake.touch(first, outcome="attention")
    fake.touch(second, outcome="attention")
    assert boss.post(url(site, "workflowsession_refresh", first)).status_code == 302
    chosen = {"action": "refresh_selected", "_selected_action": [second]}
    assert boss.post(url(site, "workflowsession_changelist"), chosen).status_code == 302
    assert [in_store(pk).outcome for pk in (first, second)] == ["attention", "attention"]
    logged = LogEntry.objects.order_by("object_id").values_list("object_id", flat=True)
    assert list(logged) == [first, first, second]


def test_visit__evidence(boss: Client, apis: dict[str, FakeAPI], site: str) -> None:
    """The evidence of a session is sent, and its record is stored."""
    refresh_sessions()
    first, *_ = apis["default"].sessions
    answer = boss.post(url(site, "workflowsession_evidence", first))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert is_as_exported(verify_evidence(answer.content))


def test_visit__asgi(apis: dict[str, FakeAPI], async_client: AsyncClient) -> None:
    """Behind ASGI the receiver and the admin answer just the same."""
    refresh_sessions()
    first, *_ = apis["default"].sessions
    boss = _boss()

    async def visit() -> list[int]:
        await async_client.aforce_login(boss)
        body = encoded(event("evt1", id=first))
        (secret,) = webhook_secrets("default")
        accepted = await async_client.post(
            reverse("complycube_sessions:webhook", args=["default"]),
            data=body,
            content_type="application/json",
            headers={"ComplyCube-Signature": signature(body, secret)},
        )
        listed = await async_client.get(url("admin", "workflowsession_changelist"))
        shown = await async_client.get(url("admin", "workflowsession_change", first))
        refreshed = await async_client.post(url("admin", "workflowsession_refresh", first))
        return [answer.status_code for answer in (accepted, listed, shown, refreshed)]

    assert async_to_sync(visit)() == [200, 200, 200, 302]
    assert process_webhook_events().taken == 1


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for connection in connections.all():
        assert not connection.in_atomic_block
