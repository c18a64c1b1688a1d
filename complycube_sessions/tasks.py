"""
The services as tasks of Django's Tasks framework, which the project configures with ``TASKS``.

``django.tasks`` is part of Django 6.0 and later; the package ``django-tasks`` provides it for 5.2. Without
either, the names of this module are plain functions. All arguments and results are JSON.
For Celery see ``contrib/celery.py``.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Final, Literal

from django.core.exceptions import ImproperlyConfigured

from complycube_sessions import services
from complycube_sessions.conf import conf
from complycube_sessions.db.schemas import current_schemas
from complycube_sessions.exceptions import ComplyCubeRefreshRunningError
from complycube_sessions.models import RefreshRun
from complycube_sessions.webhooks import processing

logger = logging.getLogger("complycube_sessions.tasks")

_COUNTS: Final = tuple(n for n in RefreshRun.COUNTS if n not in {"kept_out", "requests"})


def _load_framework() -> Any:
    for name in ("django.tasks", "django_tasks"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_framework = _load_framework()


def _task(function: Callable[..., Any]) -> Any:
    return _framework.task(function) if _framework else function


def has_task_engine() -> bool:
    """
    Return whether ``TASKS["default"]`` has workers, unlike the immediate and the dummy backend.

    False if the connection is set to a tenant's schema, which a task does not carry to the worker.
    """
    if _framework is None or not current_schemas().are_public:
        return False
    try:
        backend = _framework.task_backends["default"]
    except ImproperlyConfigured:  # an unknown backend; the framework's own check reports it
        return False
    return type(backend).__name__ not in {"ImmediateBackend", "DummyBackend"}


def engine() -> Literal["celery", "tasks", ""]:
    """Return the task engine that this app uses, or ``""`` for none."""
    if conf.COMPLYCUBE_WEBHOOK_PROCESSING == "celery":
        return "celery"
    return "tasks" if has_task_engine() else ""


def refresh_in_background(account: str, session_ids: Iterable[str]) -> bool:
    """
    Queue these sessions, and let the project's workers refresh them.

    Returns:
        Whether the engine took the tasks. If not, the next refresh run fetches the sessions.

    Raises:
        ComplyCubeConfigurationError: The account's settings are missing or wrong.
    """
    chunks = processing.hand_out(account, session_ids)
    try:
        for _ in range(chunks):
            enqueue("refresh_chunk", account)
    except Exception as error:  # noqa: BLE001 - engines share no class of errors, and the work is stored
        logger.warning("Sessions wait for the next refresh run: %s.", type(error).__name__)
        return False
    return True


def enqueue(name: str, argument: Any) -> None:
    """Enqueue a task of this module with Celery if the settings say so, otherwise with the Tasks framework."""
    if conf.COMPLYCUBE_WEBHOOK_PROCESSING == "celery":
        # Celery is optional.
        from complycube_sessions.contrib import celery

        getattr(celery, name).apply_async((argument,), retry=False)
    else:
        globals()[name].enqueue(argument)


def run_refresh(account: str, **options: Any) -> dict[str, Any]:
    """Refresh an account and return how the run ended; ``running`` if another run is in progress."""
    try:
        run = services.refresh_sessions(account, **options)
    except ComplyCubeRefreshRunningError as error:
        logger.info("%s", error, extra={"account": account})
        return {"state": RefreshRun.State.RUNNING.value}
    return {
        "run": run.pk,
        "state": str(run.state),
        **{name: getattr(run, name) for name in _COUNTS},
    }


def run_in_chunks(account: str, full: bool, enqueue_chunk: Callable[[str], Any]) -> dict[str, Any]:
    """Do the work of ``refresh_account_in_chunks``, with the engine that runs the task."""
    ended = run_refresh(account, full=full, hand_out=True)
    chunks = processing.count_chunks(account)
    for _ in range(chunks):
        enqueue_chunk(account)
    return {**ended, "chunks": chunks}


@_task
def process_webhook_event(event: int) -> dict[str, Any]:
    """Process one stored event, given its primary key, and all other events of its session."""
    return asdict(processing.process_webhook_event(event))


@_task
def process_webhook_events(account: str = "default") -> dict[str, Any]:
    """Process all due events of an account."""
    return asdict(processing.process_webhook_events(account))


@_task
def refresh_session(session_id: str, account: str = "default") -> str:
    """Fetch and store one session with all of its checks; return its id."""
    return str(services.refresh_session(session_id, account=account).pk)


@_task
def refresh_account(account: str = "default", full: bool = False) -> dict[str, Any]:
    """Refresh an account like the command ``refresh_workflow_sessions``, in a single worker."""
    return run_refresh(account, full=full)


@_task
def refresh_chunk(account: str = "default") -> dict[str, Any]:
    """Fetch up to 100 of the sessions that ``refresh_account_in_chunks`` has queued."""
    return asdict(processing.process_chunk(account))


@_task
def refresh_account_in_chunks(account: str = "default", full: bool = False) -> dict[str, Any]:
    """
    Read the lists of an account, then let all available workers fetch the sessions that moved.

    The sessions are queued as ``PendingRefresh`` rows, so a chunk is not lost if its worker dies: the next
    refresh run fetches it.
    """
    return run_in_chunks(account, full, refresh_chunk.enqueue)
