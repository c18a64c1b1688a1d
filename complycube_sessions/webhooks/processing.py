"""
Processing the inbox: each session is fetched once for all its events.

``webhooks/inbox.py`` claims the events. ``sync/due.py`` fetches what is due; refresh runs process the inbox
with it too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from django.db import DatabaseError, InterfaceError, connections, transaction

from complycube_sessions import tracing
from complycube_sessions.conf import Account, get_account
from complycube_sessions.db.connections import ensure_no_open_transaction, write_alias
from complycube_sessions.db.schemas import Schemas, current_schemas
from complycube_sessions.exceptions import ComplyCubeConfigurationError, ComplyCubeError
from complycube_sessions.models import RefreshRun, WebhookEvent
from complycube_sessions.sync import pending
from complycube_sessions.sync.account_run import AccountRun
from complycube_sessions.sync.options import RunOptions, wanted_results
from complycube_sessions.sync.request_budget import has_room, shared_throttle
from complycube_sessions.sync.run import RunRecord, logger
from complycube_sessions.webhooks import inbox

AT_ONCE: Final = 50
CHUNK_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class Processed:
    """
    The results of one call, and how many events are left.

    ``errors`` has a reason for each session that failed; ``waiting`` counts all unprocessed events, due or
    not.
    """

    taken: int
    stored: int
    missing: int
    requests: int
    errors: dict[str, str]
    waiting: int = 0


def process_webhook_events(
    account: str = "default", *, go_on: Callable[[], bool] = lambda: True
) -> Processed:
    """
    Process all events of an account that are due, and the sessions that earlier events made due.

    Call it outside of a transaction. Any number of processes may do so at the same time.

    Args:
        account: A name of ``COMPLYCUBE_ACCOUNTS``.
        go_on: Called before each step; processing stops when it returns False.

    Raises:
        ComplyCubeConfigurationError: The account's settings are missing or wrong.
        ComplyCubeError: The API refuses the key, has used up its quota or does not answer; the
            events wait.
    """
    return _process(
        get_account(account),
        lambda r: r.due.process(most=AT_ONCE, reason=pending.REASON_WEBHOOK, go_on=go_on),
    )


def process_webhook_event(event: int) -> Processed:
    """
    Process one stored event and all other events of the same session.

    Nothing happens if the event is processed already, waits for a retry or is claimed by another worker.

    Args:
        event: The primary key of a ``WebhookEvent``.

    Raises:
        ComplyCubeError: As for ``process_webhook_events``.
    """
    names = WebhookEvent.objects.using(write_alias()).filter(pk=event, processed_at=None)
    name = names.values_list("account", flat=True).first()
    if name is None:
        return Processed(0, 0, 0, 0, {})
    account = get_account(name)

    def work(refresh: AccountRun) -> int:
        taken = refresh.due.process(most=1, only=event)
        # An event about a client or an unknown check only queues sessions; process them as well.
        if taken:
            taken += refresh.due.process(
                most=AT_ONCE, reason=pending.REASON_WEBHOOK, pending_only=True
            )
        return taken

    return _process(account, work, one_at_a_time=True)


def process_chunk(account: str = "default") -> Processed:
    """
    Fetch some of the sessions that a refresh has handed out to many workers.

    Raises:
        ComplyCubeError: As for ``process_webhook_events``.
    """
    steps = iter([True])
    return _process(
        get_account(account),
        lambda r: r.due.process(
            most=CHUNK_SIZE,
            reason=pending.REASON_CHUNK,
            pending_only=True,
            go_on=lambda: next(steps, False),
        ),
        source="refresh",
    )


def hand_out(account: str, session_ids: Iterable[str]) -> int:
    """
    Queue sessions for workers that call ``process_chunk``; the next refresh run fetches the rest.

    Returns:
        The number of ``process_chunk`` calls that it takes to fetch all queued sessions.

    Raises:
        ComplyCubeConfigurationError: The account's settings are missing or wrong.
    """
    pending.enqueue_sessions(get_account(account), session_ids, pending.REASON_CHUNK)
    return count_chunks(account)


def count_chunks(account: str = "default") -> int:
    """Return the number of ``process_chunk`` calls that it takes to fetch all queued sessions."""
    return -(-pending.count_pending(get_account(account), pending.REASON_CHUNK) // CHUNK_SIZE)


def process_here(account: str) -> None:
    """
    Process the inbox in a background thread of this process, after the open transaction is committed.

    One thread serves all accounts, each in the schemas of the calling thread. It sends one request at a time, without
    retries, and only while the key's request budget has room. The next refresh run or ``process_webhook_events``
    does the rest.
    """
    schemas = current_schemas()
    transaction.on_commit(lambda: _background.wake(account, schemas), using=write_alias())


class Background:
    """A thread that runs while there is work, and closes its database connections when it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: set[tuple[str, Schemas]] = set()
        self._thread: threading.Thread | None = None

    def wake(self, account: str, schemas: Schemas = Schemas()) -> None:  # noqa: B008 - never changes
        """Make sure that a thread processes the account's inbox, in these schemas, after this call."""
        with self._lock:
            self._accounts.add((account, schemas))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="complycube-inbox", daemon=True
                )
                self._thread.start()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the thread to end; return whether it has ended."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_seconds)
        return self._thread is None

    def _work(self) -> None:
        try:
            while (next_account := self._next()) is not None:
                account, schemas = next_account
                with schemas.in_use():
                    work_in_background(account)
        finally:
            connections.close_all()

    def _next(self) -> tuple[str, Schemas] | None:
        with self._lock:
            if self._accounts:
                return self._accounts.pop()
            self._thread = None
            return None


def work_in_background(name: str) -> None:
    """Process an account's inbox while its request budget has room, and log errors."""
    try:
        account = replace(get_account(name), max_retries=0)
        _process(
            account,
            lambda r: r.due.process(
                most=1,
                reason=pending.REASON_WEBHOOK,
                go_on=lambda: r.is_answered and has_room(account),
            ),
            one_at_a_time=True,
        )
    except (ComplyCubeError, ComplyCubeConfigurationError) as error:
        logger.warning("The inbox waits: %s", error, extra={"account": name})
    except (DatabaseError, InterfaceError) as error:
        # The database's message may quote a row.
        logger.warning("The inbox waits: %s", type(error).__name__, extra={"account": name})


def _process(
    account: Account,
    work: Callable[[AccountRun], int],
    *,
    source: str = "webhook",
    one_at_a_time: bool = False,
) -> Processed:
    ensure_no_open_transaction()
    record = RunRecord(account, RefreshRun.Mode.IDS, keep=False)
    options = RunOptions(wanted_results(), source=source, one_at_a_time=one_at_a_time)
    refresh = AccountRun(account, record, shared_throttle(account), options)
    try:
        with tracing.span("complycube.process_events", {"complycube.account": account.name}):
            taken = work(refresh)
            tracing.note({"complycube.taken": taken})
    finally:
        refresh.close()
    run = record.run
    stored = run.created + run.updated + run.unchanged
    waiting = inbox.count_waiting(account)
    return Processed(taken, stored, run.missing, refresh.requests, run.errors, waiting)


_background = Background()


def _forget_thread() -> None:
    global _background
    _background = Background()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_thread)
