"""
The live part of the demo: people who walk through a workflow while a visitor watches.

Each one begins, hands everything in, and is done; after every step the sandbox sends its events, signed, as
the vendor would. Nothing else tells the site about them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import requests
from django.db import connections, transaction
from django.utils import timezone

from project.sandbox.data import Body, generate, iso
from project.sandbox.deliver import deliver
from project.sandbox.events import check_event, session_event
from project.sandbox.models import SandboxCheck, SandboxClient, SandboxSession
from project.sandbox.people import client_of

WALKERS: Final = 3
STEP_SECONDS: Final = 2.0
# What a session has only once it is complete, and what it has once its checks run.
OF_THE_END: Final = ("outcome", "completedAt", "policyAssurance", "lastCompletedTaskId")
OF_THE_CHECKS: Final = "allRelatedChecks"

Event = dict[str, Any]


class LiveSandbox:
    """
    Walk people through the sandbox, in a thread, for some time and then no more.

    Args:
        url: The receiver of the events.
        secret: What signs them.
        seconds: For how long new people come; who is under way then still gets to the end.
    """

    def __init__(self, url: str, secret: str, *, seconds: float) -> None:
        self._url, self._secret, self._seconds = url, secret, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self.run, name="live-sandbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End within the step that is under way."""
        self._stopped.set()
        self._thread.join()

    def run(self) -> None:
        """Do what the thread does: walk until the time is over, or until nobody listens any more."""
        try:
            self._walk()
        except requests.RequestException:
            pass  # the site is gone, and with it everybody who might watch
        finally:
            connections.close_all()

    def _walk(self) -> None:
        deadline = time.monotonic() + self._seconds
        walkers: deque[Iterator[list[Event]]] = deque()
        while not self._stopped.wait(STEP_SECONDS):
            if time.monotonic() < deadline:
                if len(walkers) < WALKERS:
                    walkers.append(walk())
            elif not walkers:
                return
            walker = walkers.popleft()
            events = next(walker, None)
            if events is None:
                continue
            walkers.append(walker)
            for event in events:
                deliver(self._url, self._secret, event)


def walk() -> Iterator[list[Event]]:
    """Bring one new session from ``started`` to ``complete``; yield the events after each step."""
    session, checks = _story()
    started: Body = {
        **{k: v for k, v in session.items() if k not in {*OF_THE_END, OF_THE_CHECKS}},
        "status": "started",
        "tasks": [{**task, "status": "pending"} for task in _bare(session["tasks"])],
        "createdAt": iso(timezone.now()),
    }
    yield [_store(started, [])]

    processing = {**started, "status": "processing", OF_THE_CHECKS: session[OF_THE_CHECKS]}
    began = iso(timezone.now())
    pending = [
        {**{k: v for k, v in check.items() if k != "result"}, "status": "pending"}
        | {"createdAt": began, "updatedAt": began}
        for check in checks
    ]
    yield [_store(processing, pending)]

    now = iso(timezone.now())
    done = [{**check, "createdAt": began, "updatedAt": now} for check in checks]
    times = {"createdAt": started["createdAt"], "completedAt": now}
    told = _store({**session, **times, "tasks": _bare(session["tasks"])}, done)
    yield [*(check_event("check.completed", check) for check in done), told]


def _story() -> tuple[Body, list[Body]]:
    """Return an invented session that is complete, with its checks."""
    while True:
        ((session, checks),) = generate(1, secrets.token_hex(8), timezone.now())
        if session["status"] == "complete":
            return session, checks


def _bare(tasks: list[Body]) -> list[Body]:
    return [{k: v for k, v in task.items() if k not in {"createdAt", "outcome"}} for task in tasks]


def _store(session: Body, checks: list[Body]) -> Event:
    """Let the sandbox serve this from now on, and return the event that says so."""
    session = {**session, "updatedAt": iso(timezone.now())}
    with transaction.atomic():
        SandboxClient.from_body(client_of(session)).save()
        SandboxSession.from_body(session).save()
        for check in checks:
            SandboxCheck.from_body(check).save()
    return session_event(session)
