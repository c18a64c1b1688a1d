"""Storing the vendor's audit log of a session. Entries never change, so stored ones are not updated."""

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
    Store the entries that are not stored yet, and return how many.

    Nothing is stored if the session belongs to another account, or was removed with an erased person.

    Args:
        account: The account whose key fetched the entries.
        session_id: The session that they, or the checks that they are about, belong to.
        entries: The entries in any order.
        fetched_at: When the request that returned them began.
    """
    alias = write_alias()

    @allow_mirror_writes()
    def write() -> int:
        with transaction.atomic(using=alias, durable=True):
            sessions = WorkflowSession.objects.using(alias).select_for_update().only("pk")
            own = sessions.filter(account=account.name, environment=account.environment)
            # An erasure deletes the session last, and waits for this row lock.
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
