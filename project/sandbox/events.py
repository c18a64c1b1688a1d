"""
The events of the sandbox: which payload each type carries, and who gets them.

Source:
    API reference, "Webhooks".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import requests
from django.db import transaction

from project.sandbox.data import Body
from project.sandbox.deliver import build_event, deliver
from project.sandbox.models import SandboxWebhook

logger = logging.getLogger(__name__)

ALL_EVENTS: Final = "*"

Event = dict[str, Any]
Delivery = tuple[str, str, Event]


def check_event(event_type: str, check: Body) -> Event:
    """Return an event of a check: a summary, with the outcome once there is one."""
    payload = {name: check[name] for name in ("id", "status", "createdAt", "updatedAt")}
    if "result" in check:
        payload["outcome"] = check["result"]["outcome"]
    return build_event(event_type, payload)


def session_event(session: Body, name: str = "") -> Event:
    """Return the event that a session has come to its status, or another of its events."""
    if not name:
        name = "completed" if session["status"] == "complete" else session["status"]
    names = ("id", "status", "outcome", "createdAt", "updatedAt")
    payload = {key: session[key] for key in names if key in session}
    return build_event(f"workflow.session.{name}", payload)


def client_event(event_type: str, client: Body) -> Event:
    """Return an event of a client; of one that is gone, only the id is left."""
    names = ("id",) if event_type.endswith(".deleted") else tuple(client)
    return build_event(event_type, {name: client[name] for name in names})


def announce(events: Sequence[Event]) -> None:
    """Send events to the webhooks that ask for them, once they are stored, while the caller goes on."""
    hooks = SandboxWebhook.objects.filter(enabled=True).order_by("created_at", "id")
    deliveries = [
        (hook.url, hook.secret, event)
        for hook in hooks
        for event in events
        if ALL_EVENTS in hook.events or event["type"] in hook.events
    ]
    if deliveries:
        transaction.on_commit(partial(_start, deliveries))


def _start(deliveries: list[Delivery]) -> None:
    thread = threading.Thread(
        target=deliver_all, args=[deliveries], name="sandbox-webhooks", daemon=True
    )
    thread.start()


def deliver_all(deliveries: list[Delivery]) -> None:
    """Deliver each event once; a receiver that does not answer costs its own events alone."""
    for url, secret, event in deliveries:
        try:
            status = deliver(url, secret, event)
        except requests.RequestException as error:
            logger.warning("%s: %s.", event["type"], type(error).__name__)
            continue
        if status // 100 != 2:
            logger.warning("%s: the receiver answered %s.", event["type"], status)
