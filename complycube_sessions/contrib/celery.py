"""
The services as Celery tasks, and a schedule for Celery beat; needs the extra ``celery``.

::

    app.autodiscover_tasks(["complycube_sessions"], related_name="contrib.celery")
    app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}

All tasks may run twice: their work is recorded in the database, and older answers never replace newer ones.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task

from complycube_sessions import tasks
from complycube_sessions.conf import account_names

# Tasks are acknowledged after they end, so that the task of a worker that dies is given to another one.
_OPTIONS: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "ignore_result": True,
}


def _shared(task: Any) -> Any:
    """Return a Celery task for a function of ``tasks``, which the Tasks framework may have wrapped."""
    function = getattr(task, "func", task)
    return shared_task(name=f"complycube_sessions.{function.__name__}", **_OPTIONS)(function)


process_webhook_event = _shared(tasks.process_webhook_event)
process_webhook_events = _shared(tasks.process_webhook_events)
refresh_session = _shared(tasks.refresh_session)
refresh_account = _shared(tasks.refresh_account)
refresh_chunk = _shared(tasks.refresh_chunk)


@shared_task(name="complycube_sessions.refresh_account_in_chunks", **_OPTIONS)
def refresh_account_in_chunks(account: str = "default", full: bool = False) -> dict[str, Any]:
    """Read the lists of an account, then let all available workers fetch the sessions that moved."""
    return tasks.run_in_chunks(account, full, refresh_chunk.delay)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the entries for Celery beat: the inbox every minute, a refresh every quarter of an hour."""
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
