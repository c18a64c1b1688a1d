"""Who gets the work: the task engine that the project has, or nobody."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import django
import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from complycube_sessions import tasks
from complycube_sessions.models import PendingRefresh, WebhookEvent, WorkflowSession
from tests.fake_api import KEY, FakeAPI
from tests.webhook_requests import SECRET, event, post

framework = pytest.importorskip(
    "django.tasks" if django.VERSION >= (6, 0) else "django_tasks", reason="no tasks framework"
)
BaseTaskBackend: Any = importlib.import_module(
    f"{framework.__name__}.backends.base"
).BaseTaskBackend


class BrokenError(Exception):
    """What an engine raises whose broker is away."""


class QueueBackend(BaseTaskBackend):  # type: ignore[misc]
    """An engine that hands tasks to workers; here, to a list."""

    sent: ClassVar[list[tuple[str, Any]]] = []
    is_away: ClassVar[bool] = False

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> None:
        if self.is_away:
            raise BrokenError
        self.sent.append((task.func.__name__, *args))


class FaultyBackend(QueueBackend):
    """An engine that is not installed as it should be."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("Model class … isn't in an application in INSTALLED_APPS.")


def use(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Configure ``TASKS`` with one backend."""
    handler = type(framework.task_backends)({"default": {"BACKEND": backend}})
    monkeypatch.setattr(framework, "task_backends", handler)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Configure an engine with workers, and return what it is given."""
    use(monkeypatch, f"{__name__}.QueueBackend")
    monkeypatch.setattr(QueueBackend, "sent", [])
    monkeypatch.setattr(QueueBackend, "is_away", False)
    return QueueBackend.sent


@pytest.fixture
def celery(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Configure Celery with a broker in memory, and return what it is given."""
    app = pytest.importorskip("celery").Celery("tests", broker="memory://", set_as_current=True)
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "celery"
    sent: list[tuple[str, Any]] = []

    def send_task(name: str, args: Any, *rest: Any, **options: Any) -> None:
        sent.append((name.rpartition(".")[2], *args))

    monkeypatch.setattr(app, "send_task", send_task)
    return sent


@pytest.mark.parametrize("backend", ["immediate.ImmediateBackend", "dummy.DummyBackend"])
def test_engine__none_without_workers(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """A backend that works in the caller, or not at all, is no engine."""
    use(monkeypatch, f"{framework.__name__}.backends.{backend}")
    assert tasks.engine() == ""


def test_engine__unknown_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that cannot be imported is no engine either."""
    use(monkeypatch, "no.such.Backend")
    assert tasks.engine() == ""


def test_engine__tasks(queue: Any) -> None:
    """Any other backend has workers."""
    assert tasks.engine() == "tasks"


def test_engine__celery(settings: Settings) -> None:
    """Celery is used where the project says so."""
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "celery"
    assert tasks.engine() == "celery"


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["auto", "tasks"])
def test_webhook__enqueues(client: Client, settings: Settings, queue: Any, mode: str) -> None:
    """A stored event is a task for the engine, once as long as it waits."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "WEBHOOK_SECRETS": [SECRET]}
    }
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = mode
    assert post(client, event("one", id="s1")).status_code == 200
    stored = WebhookEvent.objects.get()
    assert queue == [("process_webhook_event", stored.pk)]


@pytest.mark.django_db
def test_webhook__engine_away(client: Client, settings: Settings, queue: Any) -> None:
    """An engine that does not answer costs nothing: the event is stored and acknowledged."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "WEBHOOK_SECRETS": [SECRET]}
    }
    QueueBackend.is_away = True
    assert post(client, event("one", id="s1")).status_code == 200
    assert WebhookEvent.objects.get().processed_at is None


@pytest.mark.django_db
def test_webhook__engine_faulty(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that cannot even be asked whether it has workers."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "WEBHOOK_SECRETS": [SECRET]}
    }
    use(monkeypatch, f"{__name__}.FaultyBackend")
    assert post(client, event("one", id="s1")).status_code == 200
    assert WebhookEvent.objects.get().processed_at is None


@pytest.mark.django_db(transaction=True)
def test_refresh_in_background__chunks(queue: Any, api: FakeAPI) -> None:
    """Sessions are made due, a task for each hundred, and the tasks fetch them all."""
    ids = [api.add_session(number, checks=0) for number in range(101)]
    assert tasks.refresh_in_background("default", ids) is True
    assert queue == [("refresh_chunk", "default")] * 2
    assert PendingRefresh.objects.count() == 101
    for _name, account in queue:
        tasks.refresh_chunk.func(account)
    assert not PendingRefresh.objects.exists()
    assert WorkflowSession.objects.count() == 101


@pytest.mark.django_db
def test_refresh_in_background__engine_away(queue: Any) -> None:
    """An engine that does not answer leaves the sessions due for the next run."""
    QueueBackend.is_away = True
    assert tasks.refresh_in_background("default", ["s1"]) is False
    assert PendingRefresh.objects.get().session_id == "s1"


@pytest.mark.django_db
def test_refresh_in_background__celery(celery: Any) -> None:
    """With Celery the chunks are Celery's tasks."""
    assert tasks.refresh_in_background("default", ["s1"]) is True
    assert celery == [("refresh_chunk", "default")]


@pytest.mark.django_db
def test_webhook__celery(client: Client, settings: Settings, celery: Any) -> None:
    """With Celery a stored event is a task of Celery's."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "WEBHOOK_SECRETS": [SECRET]}
    }
    assert post(client, event("one", id="s1")).status_code == 200
    assert celery == [("process_webhook_event", WebhookEvent.objects.get().pk)]


@pytest.mark.django_db
def test_process_again__is_one_task_for_an_account(
    admin_client: Client, settings: Settings, queue: Any
) -> None:
    """Events that are processed again from the admin are work for the engine, as new ones are."""
    rows = [WebhookEvent(account="default", event_id=str(n), type="client.updated") for n in "ab"]
    WebhookEvent.objects.bulk_create(rows)
    keys = list(WebhookEvent.objects.values_list("pk", flat=True))
    url = reverse("admin:complycube_sessions_webhookevent_changelist")
    admin_client.post(url, {"action": "process_again", "_selected_action": keys})
    assert queue == [("process_webhook_events", "default")]
    queue.clear()
    QueueBackend.is_away = True
    again = {"action": "process_again", "_selected_action": keys}
    assert (
        "or the command process_webhook_events processes them"
        in admin_client.post(url, again, follow=True).text
    )


@pytest.mark.django_db
def test_process_again__celery(admin_client: Client, celery: Any) -> None:
    """With Celery that is a task of Celery's."""
    row = WebhookEvent.objects.create(account="default", event_id="a", type="client.updated")
    url = reverse("admin:complycube_sessions_webhookevent_changelist")
    admin_client.post(url, {"action": "process_again", "_selected_action": [row.pk]})
    assert celery == [("process_webhook_events", "default")]
