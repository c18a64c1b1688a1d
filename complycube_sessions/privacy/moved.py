"""Removing a stored session that has moved upstream to an erased client."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial

from django.db import transaction

from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeProtectedError
from complycube_sessions.models import Erasure, WebhookEvent, WorkflowSession
from complycube_sessions.privacy import tombstones
from complycube_sessions.privacy.removal import (
    Removal,
    clean_errors,
    delete,
    forget_evidence,
    traces,
    within,
)
from complycube_sessions.privacy.retention import protection
from complycube_sessions.privacy.tombstones import ANY_ACCOUNT

logger = logging.getLogger("complycube_sessions.privacy")


def why_kept(session_id: str, erasure: Erasure) -> str:
    """Return why a hold or the minimum retention protects the session, or ``""``; respect the erasure's override."""
    if erasure.override:
        return ""
    rows = WorkflowSession.objects.using(write_alias()).filter(pk=session_id)
    reason = protection(rows).get(session_id)
    return moved_reason(f"it is protected ({reason}).") if reason else ""


def moved_reason(why: str) -> str:
    """Return the error text for a session that moved to an erased client and is kept."""
    return (
        f"{ComplyCubeProtectedError.__name__}: it has moved to an erased client and should be removed, but "
        f"was left as it is: {why}"
    )


def remove_session(session_id: str, checks: Collection[str]) -> Mapping[str, int]:
    """
    Remove a session and everything that names it, as an erasure does; return the number of rows by model.

    Call it in a transaction.

    Raises:
        ReferencedError: Rows of other apps refer to it and forbid it.
        IntegrityError: The database forbids it.
    """
    rows = WorkflowSession.objects.using(write_alias()).filter(pk=session_id)
    # Delete the session first, as this may be refused.
    counts = delete(rows)
    removal = Removal(dry_run=False)
    ids = frozenset({session_id, *checks})
    removal.take(within(ANY_ACCOUNT, WebhookEvent).filter(resource_id__in=ids))
    for traced in traces(ANY_ACCOUNT, [session_id], checks):
        removal.take(traced)
    clean_errors(ANY_ACCOUNT, ids, removal)
    forget_evidence([session_id], removal)
    log_removal = partial(
        logger.info, "Removed %s: it has moved to an erased client.", tombstones.subject(session_id)
    )
    transaction.on_commit(log_removal, using=write_alias())
    return counts + removal.removed.rows
