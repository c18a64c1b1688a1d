"""
Locking the rows of a batch: missing rows are inserted first, then all are locked in the order of their ids.

If two processes store the same session, one waits and compares its answer with the row that the other wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef

from complycube_sessions.conf import Account
from complycube_sessions.db.bulk import insert_missing
from complycube_sessions.db.rows import attnames, build_row, read_values
from complycube_sessions.mirror.merge import FetchedSession, MergedSession
from complycube_sessions.models import PendingRefresh, RelatedCheck, WorkflowSession
from complycube_sessions.privacy import tombstones
from complycube_sessions.privacy.digests import CLIENT, SESSION
from complycube_sessions.reviews import upkeep

# Marks a row that this transaction has inserted; it is replaced before the transaction ends.
NOT_FETCHED: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LockedBatch:
    """
    The locked rows of a batch, by session id.

    Args:
        rows: The sessions with their checks.
        reviews: The stored values of their reviews.
        due: The sessions for which a refresh was pending when they were locked.
        touches_erased: Whether any session or client of the batch belongs to an erased person.
    """

    rows: dict[str, MergedSession]
    reviews: dict[str, dict[str, Any]]
    due: set[str]
    touches_erased: bool


def lock_batch(account: Account, fetched: Sequence[FetchedSession], alias: str) -> LockedBatch:
    """Insert placeholders for new sessions, then lock all rows of the batch."""
    ids = sorted({f.session_id for f in fetched})
    new = sorted({f.session_id for f in fetched if f.payload is not None})
    # Write first: SQLite rejects a transaction that reads first and then writes while another one writes.
    # The statement also takes the account's shared lock, as an erasure would not see a row inserted meanwhile.
    placeholder = WorkflowSession(
        account=account.name, environment=account.environment, fetched_at=NOT_FETCHED
    )
    insert_missing(placeholder, new, alias=alias, shares=tombstones.advisory_key(account.name))
    due = PendingRefresh.objects.filter(account=account.name, session_id=OuterRef("pk"))
    sessions = WorkflowSession.objects.using(alias).filter(pk__in=ids).order_by("pk")
    sessions = sessions.annotate(is_due=Exists(due))
    if new:
        clients = {f.payload.client_id for f in fetched if f.payload is not None}
        named = {CLIENT: clients, SESSION: new}
        any_erased = tombstones.erased_expression(account.name, alias, named)
        sessions = sessions.annotate(any_erased=any_erased)
    by_id: dict[str, WorkflowSession] = {}
    due_ids: set[str] = set()
    # The same for every row; a batch without session payloads does not query it.
    erased_answer: object = False
    names = [*attnames(WorkflowSession), *sessions.query.annotations]
    for values in read_values(sessions.select_for_update(), names, encoded=["raw"]):
        columns = dict(zip(names, values, strict=True))
        if columns.pop("is_due"):
            due_ids.add(columns["id"])
        erased_answer = columns.pop("any_erased", False)
        by_id[columns["id"]] = build_row(WorkflowSession, columns, alias)
    checks, reviews = _checks_and_reviews(list(by_id), alias)
    rows = {
        pk: MergedSession(
            row=row,
            checks=checks[pk],
            is_new=row.fetched_at == NOT_FETCHED,
            needed_review=row.needs_review,
        )
        for pk, row in by_id.items()
    }
    touches_erased = tombstones.is_erased(erased_answer, account.name, alias)
    return LockedBatch(rows, reviews, due_ids, touches_erased)


def _checks_and_reviews(
    ids: Sequence[str], alias: str
) -> tuple[dict[str, dict[str, RelatedCheck]], dict[str, dict[str, Any]]]:
    """
    Return the checks of each session, and the stored values of its review if it has one, in one query.

    It runs after the lock: a statement that waits for row locks reads other tables as they were before the wait.
    """
    columns = attnames(RelatedCheck)
    names = [f"checks__{name}" for name in columns] + [f"review__{name}" for name in upkeep.STORED]
    rows = WorkflowSession.objects.using(alias).filter(pk__in=ids)
    checks: dict[str, dict[str, RelatedCheck]] = {pk: {} for pk in ids}
    reviews: dict[str, dict[str, Any]] = {}
    for session_id, *values in read_values(rows, ["pk", *names], encoded=["checks__raw"]):
        check = dict(zip(columns, values, strict=False))
        if check["id"] is not None:
            checks[session_id][check["check_id"]] = build_row(RelatedCheck, check, alias)
        if session_id not in reviews:
            review = dict(zip(upkeep.STORED, values[len(columns) :], strict=True))
            if review["state"] is not None:
                reviews[session_id] = review
    return checks, reviews
