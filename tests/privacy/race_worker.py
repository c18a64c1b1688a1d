"""
Two connections that meet in the middle of a transaction; see ``test_races.py``.

Usage: ``python -m tests.privacy.race_worker WRITER FIRST``: which kind of writer meets an erasure, and
which of the two (``writer`` or ``erasure``) has begun when the other comes. Prints what is left, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django
from django.db import connections

SECONDS = 30
BLOCKED_FOR = 0.5
CLIENT, KNOWN, NEW, CHECK = "client-x", "session-known", "session-new", "check-new"


class Pause:
    """Let the first call of one thread stop after its work until it is told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def after(self, function: Callable[..., Any], thread: str) -> Callable[..., Any]:
        def paused(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if threading.current_thread().name == thread and not self.reached.is_set():
                self.reached.set()
                assert self.go_on.wait(SECONDS)
            return result

        return paused


def main(writer: str, first: str) -> None:
    django.setup()
    from complycube_sessions.api.payloads import parse_session
    from complycube_sessions.conf import get_account
    from complycube_sessions.mirror.merge import FetchedSession
    from complycube_sessions.mirror.write import store_batch
    from complycube_sessions.models import (
        Erasure,
        PendingRefresh,
        RelatedCheck,
        WebhookEvent,
        WorkflowSession,
    )
    from complycube_sessions.privacy import tombstones
    from complycube_sessions.privacy.erase import erase_client
    from complycube_sessions.sync import pending
    from complycube_sessions.webhooks import receive
    from complycube_sessions.webhooks.receive import EventPayload

    def store(session_id: str) -> None:
        related = [{"checkId": CHECK, "type": "t", "taskId": "1"}]
        source = {"id": session_id, "clientId": CLIENT, "allRelatedChecks": related}
        payload = parse_session(source, session_id=session_id)
        store_batch(get_account(), [FetchedSession(session_id, payload, datetime.now(UTC))])

    def receive_event() -> None:
        happened = EventPayload("evt", "workflow.session.updated", KNOWN, "", "", "", None)
        receive.store_event("default", happened)

    writers: dict[str, Callable[[], object]] = {
        "store": lambda: store(NEW),
        "event": receive_event,
        "queue": lambda: pending.enqueue_sessions(get_account(), [KNOWN], pending.REASON_WEBHOOK),
    }
    store(KNOWN)
    pause, errors = Pause(), []
    if first == "writer":
        # It knows that nobody was erased, and has not committed.
        tombstones.is_erased = pause.after(tombstones.is_erased, "writer")
        tombstones.find = pause.after(tombstones.find, "writer")
    else:
        tombstones.add_tombstones = pause.after(tombstones.add_tombstones, "erasure")

    def start(name: str, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(repr(error))
                raise
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, name=name)
        thread.start()
        return thread

    works = {"writer": writers[writer], "erasure": lambda: erase_client(CLIENT)}
    (second,) = works.keys() - {first}
    one = start(first, works[first])
    assert pause.reached.wait(SECONDS)
    other = start(second, works[second])
    other.join(BLOCKED_FOR)
    waited = other.is_alive()
    pause.go_on.set()
    for thread in (one, other):
        thread.join(SECONDS)
    left = {
        "waited": waited,
        "errors": errors,
        "rows": sum(
            model._default_manager.count()
            for model in (WorkflowSession, RelatedCheck, WebhookEvent, PendingRefresh)
        ),
        "hashes": sorted(Erasure.objects.values_list("kind", flat=True)),
    }
    sys.stdout.write(json.dumps(left))


if __name__ == "__main__":
    main(*sys.argv[1:])
