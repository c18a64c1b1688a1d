"""What the actions on sessions share: the stored row, where to go on, and the admin's own log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest

from complycube_sessions.admin.base import ReadOnlyAdmin, with_list_state
from complycube_sessions.db.connections import write_alias
from complycube_sessions.models import WorkflowSession
from complycube_sessions.privacy import tombstones

REPR_LENGTH: Final = 200


def stored_session(session_id: str) -> QuerySet[WorkflowSession]:
    """Return the session where it is written: a replica may not have it yet."""
    rows = WorkflowSession.objects.using(write_alias())
    # PostgreSQL raises an error for what no row can hold.
    return rows.none() if "\0" in session_id else rows.filter(pk=session_id)


def after_action(page: ReadOnlyAdmin, request: HttpRequest, session_id: str = "") -> str:
    """Return where to go on: to the session, for one who may see it, and from there back to the same list."""
    if not page.has_view_permission(request):
        return page.url("fetch")
    if session_id and stored_session(session_id).exists():
        return with_list_state(request, page.url("change", session_id))
    return page.list_url()


def _told(message: str, session_id: str) -> str:
    """Return what *Recent actions* shows of a line: what was done, without its particulars, and the session."""
    done = re.split(r"[.:,(]", message, maxsplit=1)[0].strip()
    return f"{done}: {session_id}"[:REPR_LENGTH] if session_id else done[:REPR_LENGTH]


def log(
    request: HttpRequest,
    message: str,
    *,
    session: WorkflowSession | None = None,
    flag: int = CHANGE,
) -> None:
    """Write a line of the admin's own log; it names ids, never people, and none of the erased."""
    line = LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type=ContentType.objects.get_for_model(WorkflowSession),
        object_id=session.pk if session else None,
        object_repr=_told(message, session.pk if session else ""),
        action_flag=flag,
        change_message=message,
    )
    # An erasure that came before the line has not seen it; one that comes after will.
    if session is not None and tombstones.erased_anywhere([session.pk]):
        line.delete()


def log_each(request: HttpRequest, session_ids: Iterable[str], message: str) -> None:
    """Write a line of the admin's own log for each session that was not erased meanwhile."""
    session_ids = list(session_ids)
    content_type = ContentType.objects.get_for_model(WorkflowSession)
    LogEntry.objects.bulk_create(
        [
            LogEntry(
                user_id=cast("int", request.user.pk),
                content_type=content_type,
                object_id=session_id,
                object_repr=_told(message, session_id),
                action_flag=CHANGE,
                change_message=message,
            )
            for session_id in session_ids
        ],
        batch_size=500,
    )
    if erased := tombstones.erased_anywhere(session_ids):
        LogEntry.objects.filter(content_type=content_type, object_id__in=erased).delete()
