"""Starting to process the inbox: in the project's task engine, or in a thread of this process."""

from __future__ import annotations

import logging

from django.db import transaction

from complycube_sessions.conf import conf
from complycube_sessions.db.connections import is_durable, write_alias
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.webhooks.processing import process_here
from complycube_sessions.webhooks.rate_limited_log import RateLimitedLog

log_unqueued = RateLimitedLog(logging.WARNING)


def process_soon(account: str, event: int | None = None) -> bool:
    """
    Process one stored event, or all due events of an account, after the open transaction is committed.

    Returns:
        Whether processing was started. If not, the next refresh run or ``process_webhook_events`` does it.
    """
    try:
        mode = conf.COMPLYCUBE_WEBHOOK_PROCESSING
    except ComplyCubeConfigurationError as error:
        log_unqueued(str(error), account=account)
        return False
    if mode == "off":
        return False
    alias = write_alias()
    if is_durable(alias):
        return _hand_over(mode, account, event)
    transaction.on_commit(lambda: _hand_over(mode, account, event), using=alias)
    return True


def _hand_over(mode: str, account: str, event: int | None) -> bool:
    """Hand the work to the task engine or the thread; if that fails, the event waits in the inbox."""
    try:
        is_enqueued = mode != "process" and _enqueue(mode, account, event)
    except Exception as error:  # noqa: BLE001 - engines share no class of errors, and the event is stored
        name = type(error).__name__
        log_unqueued(f"A webhook event waits in the inbox: {name} of the task engine.", error=name)
        return False
    if not is_enqueued:
        process_here(account)
    return True


def _enqueue(mode: str, account: str, event: int | None) -> bool:
    """Hand the work to the project's task engine; return whether there is one."""
    # Imported here because importing the tasks makes the project's engine check them.
    from complycube_sessions import tasks

    if mode == "auto" and not tasks.has_task_engine():
        return False
    if event is None:
        tasks.enqueue("process_webhook_events", account)
    else:
        tasks.enqueue("process_webhook_event", event)
    return True
