"""The app under what other apps put around a cursor: each parameter is one that any of them understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from complycube_sessions.models import SessionChange, WebhookEvent, WorkflowSession
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.services import refresh_session, refresh_sessions
from tests.admin.builders import make_staff
from tests.fake_api import KEY, FakeAPI
from tests.webhook_requests import SECRET, event, post

pytestmark = pytest.mark.django_db

PLAIN = (str, int, float, bool, bytes, date, datetime, type(None))
Recorded = list[dict[str, Any]]


@pytest.fixture
def toolbar(settings: Settings) -> Iterator[Recorded]:
    """Wrap each cursor as django-debug-toolbar does; yield what its panel would show."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    settings.DEBUG_TOOLBAR_CONFIG = {"ENABLE_STACKTRACES": False}  # of where it was called from
    assert apps.is_installed("debug_toolbar")
    # Only an installed app can be imported.
    tracking: Any = import_module("debug_toolbar.panels.sql.tracking")

    recorded: Recorded = []

    class Logger:
        def record(self, **query: Any) -> None:
            recorded.append(query)

        def current_transaction_id(self, alias: str) -> str:
            return alias

        def new_transaction_id(self, alias: str) -> str:
            return alias

    wrapped: Any = connection
    tracking.wrap_cursor(wrapped)
    wrapped._djdt_logger = Logger()
    yield recorded
    wrapped._djdt_logger = None
    for name in ("cursor", "chunked_cursor"):
        setattr(wrapped, name, getattr(wrapped, f"_djdt_{name}"))
    del wrapped._djdt_cursor, wrapped._djdt_chunked_cursor


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Wrap ``execute`` and ``executemany`` of all cursors, as Sentry and other tracers do."""
    recorded: Recorded = []

    def traced(name: str) -> Callable[..., Any]:
        real = getattr(CursorWrapper, name)

        def call(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
            recorded.append({"raw_sql": sql, "params": params, "many": name == "executemany"})
            return real(self, sql, params)

        return call

    for name in ("execute", "executemany"):
        monkeypatch.setattr(CursorWrapper, name, traced(name))
    return recorded


def use_everything(api: FakeAPI, client: Client, settings: Settings) -> None:
    """Do what writes and reads: runs, a webhook event, evidence, the admin's pages, an erasure."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "WEBHOOK_SECRETS": [SECRET]}
    }
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
    ids = [api.add_session(number) for number in range(4)]
    client.force_login(make_staff(superuser=True))

    assert refresh_sessions().created == 4
    api.touch(ids[0], outcome="attention", entityName="Müller 100% \\ 'x' %s")
    api.touch_check(f"c1{1:022x}", "attention")
    assert refresh_sessions().updated == 2
    del api.sessions[ids[3]]
    assert refresh_sessions(full=True, confirm_missing=True).missing == 1
    refresh_session(ids[1])
    assert post(client, event(id=ids[2], clientId=f"client{2:018x}")).status_code == 200
    call_command("process_webhook_events", verbosity=0)
    for name in ("workflowsession_changelist", "relatedcheck_changelist"):
        assert client.get(reverse(f"admin:complycube_sessions_{name}")).status_code == 200
    for name in ("evidence", "refresh"):
        address = reverse(f"admin:complycube_sessions_workflowsession_{name}", args=[ids[0]])
        assert client.post(address).status_code in {200, 302}, name
    erase_client(f"client{2:018x}", reason="asked")

    assert WorkflowSession.objects.count() == 3
    assert SessionChange.objects.filter(session=ids[0], new="attention").exists()
    assert not WebhookEvent.objects.filter(processed_at=None).exists()


def test_wrapped_cursors__debug_toolbar(
    toolbar: Recorded, api: FakeAPI, client: Client, settings: Settings
) -> None:
    """All that the app does works under django-debug-toolbar, and its panel shows the statements."""
    use_everything(api, client, settings)
    shown = [query["sql"] for query in toolbar]
    assert any(WorkflowSession._meta.db_table in sql and "Person 1" in sql for sql in shown)


def test_wrapped_cursors__tracer(
    tracer: Recorded, api: FakeAPI, client: Client, settings: Settings
) -> None:
    """Parameters of a statement are plain values of one sequence, which any wrapper can show."""
    use_everything(api, client, settings)
    assert tracer
    for query in tracer:
        assert not query["many"], query["raw_sql"]
        assert isinstance(query["params"] or (), tuple | list), query["raw_sql"]
        assert all(is_plain(value) for value in query["params"] or ()), query["raw_sql"]


def is_plain(value: object) -> bool:
    """Return whether a wrapper can show a value; Django itself wraps JSON for psycopg."""
    return isinstance(value, PLAIN) or type(value).__module__.startswith("psycopg.types.json")
