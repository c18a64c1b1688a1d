"""
How long sessions are kept, and which ones must not be removed yet.

The age of a session counts from its last change upstream (``updated_at``, or else ``created_at``). List items
of the API have the same two times, so a removed session is not fetched again. A session without both is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db.models import Q
from django.utils import timezone

from complycube_sessions.api.payloads import SessionSummary
from complycube_sessions.conf import conf
from complycube_sessions.models import WorkflowSession

MAX_REASON: Final = 200


class Keeps:
    """Whether ``COMPLYCUBE_RETENTION`` would keep a session that the API lists, as of now."""

    def __init__(self) -> None:
        self._before = cutoff("WorkflowSession")

    def __call__(self, item: SessionSummary) -> bool:
        time = item.updated_at or item.created_at
        return self._before is None or time is None or time >= self._before


def cutoff(model: str) -> datetime | None:
    """Return the time before which rows of a model are removed, or None if all are kept."""
    age = conf.COMPLYCUBE_RETENTION.get(model)
    return None if age is None else timezone.now() - age


def expired(before: datetime) -> Q:
    """Return the condition for sessions that were last changed before a time."""
    return Q(updated_at__lt=before) | Q(updated_at=None, created_at__lt=before)


def protection(sessions: Iterable[WorkflowSession]) -> dict[str, str]:
    """
    Return the protected sessions by id, with the reason why they must not be removed.

    The minimum retention counts from a session's last change upstream or, if that is unknown, from the time
    when it was first seen. ``COMPLYCUBE_LEGAL_HOLD`` is called at most once for each session.
    """
    minimum, hold = conf.COMPLYCUBE_MINIMUM_RETENTION, conf.COMPLYCUBE_LEGAL_HOLD
    if minimum is None and hold is None:
        return {}
    reasons = {}
    for session in sessions:
        time = session.updated_at or session.created_at or session.first_seen_at
        if minimum is not None and time >= timezone.now() - minimum:
            until = (time + minimum).date().isoformat()
            reasons[str(session.pk)] = f"minimum retention, until {until}"
        elif hold is not None and (held := _held(hold, session)):
            reasons[str(session.pk)] = f"legal hold: {held}"
    return reasons


def _held(hold: object, session: WorkflowSession) -> str:
    """Return why a session is on hold, or ``""``; if the project's function fails, it is on hold."""
    assert callable(hold)  # noqa: S101 - the settings were checked
    try:
        answer = hold(session)
    except Exception as error:  # noqa: BLE001 - the project's code may raise anything
        return f"the function could not tell ({type(error).__name__})"
    if not answer:
        return ""
    return answer[:MAX_REASON] if isinstance(answer, str) else "yes"
