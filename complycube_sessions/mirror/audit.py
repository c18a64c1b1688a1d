"""Storing the vendor's audit log of a session; an entry never changes, so what is there stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from complycube_sessions.api.audit_logs import AuditPayload
from complycube_sessions.conf import Account
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.models import AuditEntry, WorkflowSession, allow_mirror_writes


def store_audit_entries(
    account: Account, session_id: str, entries: Sequence[AuditPayload], fetched_at: datetime
) -> int:
    """
    Store the entries that are not there yet, and return how many.

    Nothing is stored of a session that is another account's, or is gone because its person was erased.

    Args:
        account: Whose key fetched them.
        session_id: The session that they are about, or one of whose checks.
        entries: In any order.
        fetched_at: When the request that brought them began.
    """
    alias = write_alias()

    @allow_mirror_writes()
    def write() -> int:
        with transaction.atomic(using=alias, durable=True):
            sessions = WorkflowSession.objects.using(alias).select_for_update().only("pk")
            own = sessions.filter(account=account.name, environment=account.environment)
            # An erasure removes the session last, and waits for whoever holds its row.
            if own.filter(pk=session_id).first() is None:
                return 0
            rows = AuditEntry.objects.using(alias)
            known = set(rows.filter(session=session_id).values_list("entry_id", flat=True))
            new = {entry.id: entry for entry in entries if entry.id not in known}
            rows.bulk_create(
                [
                    AuditEntry(
                        session_id=session_id,
                        entry_id=entry.id,
                        resource_type=entry.resource_type,
                        resource_id=entry.resource_id,
                        member_id=entry.member_id,
                        action=entry.action,
                        trigger=entry.trigger,
                        diff=entry.diff,
                        created_at=entry.created_at,
                        fetched_at=fetched_at,
                    )
                    for entry in new.values()
                ],
                batch_size=100,
            )
            return len(new)

    return retry_transient(write, alias=alias) if entries else 0
