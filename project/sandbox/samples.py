"""Which event the vendor would send of each type, made of something that is in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from django.db.models import Q, QuerySet

from project.sandbox.data import Body
from project.sandbox.deliver import build_event
from project.sandbox.events import Event, check_event, client_event, session_event
from project.sandbox.models import SandboxCheck, SandboxClient, SandboxSession

SESSIONS: Final[dict[str, Q]] = {
    "workflow.session.started": Q(status="started"),
    "workflow.session.processing": Q(status="processing"),
    "workflow.session.completed": Q(status="complete"),
    "workflow.session.updated": Q(status="complete"),
    "workflow.session.cancelled": Q(status="cancelled"),
    "workflow.session.abandoned": Q(status="abandoned"),
}
COMPLETE: Final = Q(status="complete")
CHECKS: Final[dict[str, Q]] = {
    "check.pending": Q(status="pending"),
    "check.failed": Q(status="failed"),
    "check.updated": COMPLETE,
    "check.completed": COMPLETE,
    "check.completed.clear": COMPLETE & Q(outcome="clear"),
    "check.completed.attention": COMPLETE & Q(outcome="attention"),
    "check.completed.rejected": COMPLETE & Q(outcome="rejected"),
    "check.completed.match_confirmed": COMPLETE & Q(outcome="match_confirmed"),
    "check.monitoring.attention": COMPLETE & Q(outcome="attention", type__contains="screening"),
}
# Of documents and addresses the sandbox knows the ids alone.
PARTS: Final[dict[str, str]] = {"document": "document_id", "address": "address_id"}
ACTIONS: Final = ("created", "updated", "deleted")
TYPES: Final = (
    *SESSIONS,
    *CHECKS,
    *(f"{kind}.{action}" for kind in ("client", *PARTS) for action in ACTIONS),
)


class NoSampleError(Exception):
    """The type is none that is known, or nothing in the sandbox could have such an event."""


def sample_event(event_type: str, session_id: str = "") -> Event:
    """
    Return an event of a type as the vendor would send it.

    Args:
        event_type: One of the vendor's.
        session_id: The session that it is about, or of whose checks or client; the newest that fits when
            it is left out.

    Raises:
        NoSampleError: Nothing in the sandbox could have such an event, or the type is not known.
    """
    session = _session(session_id) if session_id else None
    makers: tuple[Callable[[str, Body | None], Event | None], ...] = (
        _of_session,
        _of_check,
        _of_client,
        _of_part,
    )
    if event_type not in TYPES:
        raise NoSampleError(f"No event has the type {event_type}. Known are {', '.join(TYPES)}.")
    events = (make(event_type, session) for make in makers)
    event = next((event for event in events if event), None)
    if event is None:
        of = f" of the session {session_id}" if session_id else ""
        raise NoSampleError(
            f"Nothing{of} in the sandbox could have the event {event_type}; it has no such session. "
            "Load it with load_sandbox."
        )
    return event


def _session(session_id: str) -> Body:
    found = _newest(SandboxSession.objects.filter(pk=session_id))
    if found is None:
        raise NoSampleError("The sandbox has no such session. Load it with load_sandbox.")
    return found


def _of_session(event_type: str, session: Body | None) -> Event | None:
    if event_type not in SESSIONS:
        return None
    found = session or _newest(SandboxSession.objects.filter(SESSIONS[event_type]))
    return session_event(found, event_type.removeprefix("workflow.session.")) if found else None


def _of_check(event_type: str, session: Body | None) -> Event | None:
    if event_type not in CHECKS:
        return None
    found = _newest(_checks(session).filter(CHECKS[event_type]))
    return check_event(event_type, found) if found else None


def _of_client(event_type: str, session: Body | None) -> Event | None:
    if not event_type.startswith("client."):
        return None
    rows = SandboxClient.objects.all()
    rows = rows.filter(pk=session["clientId"]) if session else rows
    found = _newest(rows, "item")
    return client_event(event_type, found) if found else None


def _of_part(event_type: str, session: Body | None) -> Event | None:
    column = PARTS.get(event_type.partition(".")[0])
    if column is None:
        return None
    rows = _checks(session).exclude(**{column: ""}).order_by("-created_at", "-pk")
    found = rows.values_list(column, flat=True).first()
    return build_event(event_type, {"id": found}) if found else None


def _checks(session: Body | None) -> QuerySet[SandboxCheck]:
    rows = SandboxCheck.objects.all()
    if session is None:
        return rows
    return rows.filter(pk__in=[check["checkId"] for check in session.get("allRelatedChecks", [])])


def _newest(rows: QuerySet[Any], column: str = "body") -> Body | None:
    text = rows.order_by("-created_at", "-pk").values_list(column, flat=True).first()
    found: Body | None = json.loads(text) if text else None
    return found
