"""Starting the processing of the inbox: by the project's task engine, or by a thread of this process."""

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
    Have a stored event processed, or all that is due of an account, once the open transaction is committed.

    Returns:
        Whether it was started. If not, the next refresh run or ``process_webhook_events`` does it.
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
    """Give the work to the task engine or to the thread; where that fails, it waits in the inbox."""
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
    """Give the work to the project's task engine; return whether there is one."""
    # Importing the tasks asks the project's engine whether it can run them.
    from complycube_sessions import tasks

    if mode == "auto" and not tasks.has_task_engine():
        return False
    if event is None:
        tasks.enqueue("process_webhook_events", account)
    else:
        tasks.enqueue("process_webhook_event", event)
    return True
