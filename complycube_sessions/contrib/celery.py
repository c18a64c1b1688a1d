"""
The services as Celery tasks, and a schedule for Celery beat; needs the extra ``celery``.

::

    app.autodiscover_tasks(["complycube_sessions"], related_name="contrib.celery")
    app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}

All tasks may run twice: what they do is kept in the database, and older never wins.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from celery import shared_task

from complycube_sessions import services
from complycube_sessions.conf import account_names
from complycube_sessions.tasks import run_refresh
from complycube_sessions.webhooks import processing

# A task is acknowledged when it has ended, so that one whose worker dies is given to another.
_OPTIONS: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "ignore_result": True,
}


@shared_task(name="complycube_sessions.process_webhook_event", **_OPTIONS)
def process_webhook_event(event: int) -> dict[str, Any]:
    """Work off one stored event, by the primary key of its row, with all others of its session."""
    return asdict(processing.process_webhook_event(event))


@shared_task(name="complycube_sessions.process_webhook_events", **_OPTIONS)
def process_webhook_events(account: str = "default") -> dict[str, Any]:
    """Work off all events of an account that are due."""
    return asdict(processing.process_webhook_events(account))


@shared_task(name="complycube_sessions.refresh_session", **_OPTIONS)
def refresh_session(session_id: str, account: str = "default") -> str:
    """Fetch and store one session with all of its checks; return its id."""
    return str(services.refresh_session(session_id, account=account).pk)


@shared_task(name="complycube_sessions.refresh_account", **_OPTIONS)
def refresh_account(account: str = "default", full: bool = False) -> dict[str, Any]:
    """Refresh an account as ``refresh_workflow_sessions`` does, in this one worker."""
    return run_refresh(account, full=full)


@shared_task(name="complycube_sessions.refresh_chunk", **_OPTIONS)
def refresh_chunk(account: str = "default") -> dict[str, Any]:
    """Fetch up to 100 of the sessions that ``refresh_account_in_chunks`` has made due."""
    return asdict(processing.process_chunk(account))


@shared_task(name="complycube_sessions.refresh_account_in_chunks", **_OPTIONS)
def refresh_account_in_chunks(account: str = "default", full: bool = False) -> dict[str, Any]:
    """Read the lists of an account, then let as many workers as there are fetch what moved."""
    ended = run_refresh(account, full=full, hand_out=True)
    chunks = processing.count_chunks(account)
    for _ in range(chunks):
        refresh_chunk.delay(account)
    return {**ended, "chunks": chunks}


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the entries for Celery beat: the inbox each minute, a refresh each quarter of an hour."""
    schedule: dict[str, dict[str, Any]] = {}
    for name in account_names():
        schedule[f"complycube-inbox-{name}"] = {
            "task": process_webhook_events.name,
            "schedule": timedelta(minutes=1),
            "args": (name,),
            "options": {"expires": 60},
        }
        schedule[f"complycube-refresh-{name}"] = {
            "task": refresh_account.name,
            "schedule": timedelta(minutes=15),
            "args": (name,),
            "options": {"expires": 15 * 60},
        }
    return schedule
