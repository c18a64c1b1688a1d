"""Keeping erased persons out of a batch that is about to be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError

from complycube_sessions.conf import Account
from complycube_sessions.mirror.merge import FetchedSession, MergedSession, supersedes
from complycube_sessions.models import (
    PendingRefresh,
    WebhookEvent,
    WorkflowSession,
    allow_mirror_writes,
)
from complycube_sessions.privacy import tombstones
from complycube_sessions.privacy.digests import CHECK, SESSION
from complycube_sessions.privacy.moved import moved_reason, remove_session, why_kept
from complycube_sessions.privacy.removal import ReferencedError, why_left


@dataclass(slots=True)
class Refused:
    """The sessions of erased persons in a batch; ``failed`` maps stored ones that must be kept to the reason."""

    sessions: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


def refuse_erased(
    account: Account,
    fetched: Sequence[FetchedSession],
    rows: dict[str, MergedSession],
    alias: str,
) -> Refused:
    """
    Take the sessions of erased persons out of the batch, and delete pending work and events that name them.

    A stored session that has moved to an erased client is removed, as an erasure would remove it.
    """
    tombstones.lock_shared(account.name, alias)
    answers = [(f, f.payload) for f in fetched if f.payload is not None]
    erased_ids = tombstones.find(
        account.name,
        clients=[payload.client_id for _, payload in answers],
        sessions=[answer.session_id for answer, _ in answers],
    )
    refused = Refused()
    for answer, payload in answers:
        session_id, row = answer.session_id, rows.get(answer.session_id)
        of_erased = payload.client_id in erased_ids.clients
        if session_id not in erased_ids.sessions and not of_erased:
            continue
        if row is not None and not row.is_new and _is_others_or_newer(account, row.row, answer):
            continue  # the merge leaves the row unchanged, or records an ownership error
        erasure = tombstones.erasure_of(account.name, payload.client_id) if of_erased else None
        checks = {reference.check_id for reference in payload.related_checks}
        removed: Mapping[str, int] | None = None
        if erasure is not None and row is not None and not row.is_new:
            if why := why_kept(session_id, erasure):
                refused.failed[session_id] = why
                continue
            checks.update(row.checks)
            try:
                removed = remove_session(session_id, row.checks)
            except (ReferencedError, IntegrityError) as error:
                refused.failed[session_id] = moved_reason(why_left(error))
                continue
        refused.sessions.add(session_id)
        if erasure is not None:
            named = {SESSION: [session_id], CHECK: checks}
            tombstones.add_tombstones_of_client(erasure, named, alias=alias, removed=removed)
        pending = PendingRefresh.objects.using(alias).filter(session_id=session_id)
        pending.filter(account=account.name).delete()
        events = WebhookEvent.objects.using(alias).filter(account=account.name)
        events.filter(resource_id__in=[session_id, *checks]).delete()
    new = [pk for pk in refused.sessions if pk in rows and rows[pk].is_new]
    with allow_mirror_writes():
        WorkflowSession.objects.using(alias).filter(pk__in=new).delete()
    for pk in (*refused.sessions, *refused.failed):
        rows.pop(pk, None)
    return refused


def _is_others_or_newer(account: Account, row: WorkflowSession, answer: FetchedSession) -> bool:
    """Return whether a stored row belongs to another account or is newer than the answer."""
    assert answer.payload is not None  # noqa: S101 - the caller looked
    if (row.account, row.environment) != (account.name, account.environment):
        return True
    return not supersedes(
        updated_at=answer.payload.updated_at,
        fetched_at=answer.fetched_at,
        stored_updated_at=row.updated_at,
        stored_fetched_at=row.fetched_at,
    )
