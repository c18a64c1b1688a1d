"""
The only writer of mirrored rows; ``models/mirrored.py`` refuses all others.

A batch is one transaction with a constant number of statements: it locks the rows (``lock``), merges each
answer into its row (``merge``) and writes the changes. It also refuses sessions of erased persons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from complycube_sessions import signals, tracing
from complycube_sessions.conf import Account
from complycube_sessions.db.bulk import update_rows, upsert
from complycube_sessions.db.clocks import is_believable
from complycube_sessions.db.connections import (
    is_connected,
    is_transient,
    retry_transient,
    write_alias,
)
from complycube_sessions.db.rows import build_row, decode_stored, read_rows
from complycube_sessions.exceptions import ComplyCubeOwnershipError, ComplyCubeStorageError
from complycube_sessions.mirror.announce import OnSignal, is_owed, send_signals
from complycube_sessions.mirror.erased import Refused, refuse_erased
from complycube_sessions.mirror.lock import LockedBatch, lock_batch
from complycube_sessions.mirror.merge import (
    SESSION_CONTENT,
    Effect,
    FetchedSession,
    MergedSession,
    Observation,
    merge,
)
from complycube_sessions.models import (
    PendingRefresh,
    SessionNameWord,
    WorkflowSession,
    allow_mirror_writes,
)
from complycube_sessions.models.name_words import name_rotations
from complycube_sessions.reviews import upkeep
from complycube_sessions.reviews.announce import announce_reopened
from complycube_sessions.statistics.by_day import mark_changed

_SESSION_MOVES: Final = ("fetched_at", "missing_since", "needs_review")
_SESSION_FIELDS: Final = (*SESSION_CONTENT, *_SESSION_MOVES, "first_seen_at", "announced_outcome")
_CHECK_MOVES: Final = ("fetched_at", "result_fetched_at")


@dataclass(slots=True)
class StoredBatch:
    """
    The results of storing a batch, by session id.

    ``foreign`` is the part of ``failed`` that belongs to another account; retrying it is useless.
    """

    effects: dict[str, Effect] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)


def store_batch(
    account: Account,
    fetched: Sequence[FetchedSession],
    *,
    source: str = "refresh",
    on_signal: OnSignal = lambda: None,
) -> StoredBatch:
    """
    Store up to 500 fetched sessions with their checks and history, then send the signals.

    If the database rejects the batch, it is split until the rejected record is found; all others are stored.

    Args:
        account: The account whose key fetched them; rows of another account or environment are not changed.
        fetched: Sessions in any order; if a session occurs more than once, the newest answer wins.
        source: The source in the history: ``refresh``, ``webhook`` or ``admin``.
        on_signal: Called before each signal, as receivers may take long.

    Raises:
        django.db.DatabaseError: The database cannot be reached, or stays locked.
    """
    alias = write_alias()
    try:
        with tracing.span(
            "complycube.store",
            {"complycube.account": account.name, "complycube.sessions": len(fetched)},
        ):
            stored, merged, reopened = retry_transient(
                lambda: _write(account, fetched, source, alias), alias=alias
            )
    except (DatabaseError, InterfaceError) as error:
        if is_transient(error) or not is_connected(alias):
            raise
        if len(fetched) > 1:
            return _store_halves(account, fetched, source, on_signal)
        # The database's message may quote the record.
        reason = (
            f"{ComplyCubeStorageError.__name__}: the database refused it ({type(error).__name__})."
        )
        return StoredBatch(failed={fetched[0].session_id: reason})
    for m in merged:
        decode_stored(m.row, "raw")  # receivers may read it
    send_signals(merged, source, alias, on_signal)
    announce_reopened(reopened, alias, on_signal)
    return stored


@dataclass(frozen=True, slots=True)
class Missing:
    """
    What was done with sessions that the API does not know.

    Args:
        marked: Stored sessions that are marked as missing now.
        alive: Stored sessions that were fetched after the 404, and are not changed.
    """

    marked: list[str] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)


def mark_missing(account: Account, answers: Mapping[str, datetime]) -> Missing:
    """
    Mark stored sessions of this account as missing upstream; they keep all their data.

    Args:
        account: The account whose key got the 404.
        answers: For each id, when the request that was answered with 404 began. A session that was fetched
            later exists, and is not changed.

    Returns:
        The ids of the stored sessions, by what was done with them.
    """
    alias = write_alias()

    def write() -> Missing:
        now = timezone.now()

        def is_alive(row: WorkflowSession) -> bool:
            return answers[row.pk] < row.fetched_at and is_believable(row.fetched_at, now)

        rows = WorkflowSession.objects.using(alias).filter(
            account=account.name, environment=account.environment
        )
        with transaction.atomic(using=alias, durable=True):
            stored = rows.filter(pk__in=list(answers)).order_by("pk")
            locked = list(read_rows(stored.select_for_update()))
            alive = [row.pk for row in locked if not row.missing_since and is_alive(row)]
            gone = [row for row in locked if not row.missing_since and row.pk not in alive]
            for row in gone:
                row.missing_since = answers[row.pk]
            update_rows(gone, unique=["id"], update=["missing_since"], alias=alias)
            _settle(account, [row.pk for row in locked], min(answers.values()), alias)
        return Missing([row.pk for row in locked if row.missing_since], alive)

    return retry_transient(write, alias=alias) if answers else Missing()


def _store_halves(
    account: Account, fetched: Sequence[FetchedSession], source: str, on_signal: OnSignal
) -> StoredBatch:
    middle = len(fetched) // 2
    whole = StoredBatch()
    for half in (fetched[:middle], fetched[middle:]):
        part = store_batch(account, half, source=source, on_signal=on_signal)
        whole.effects |= part.effects
        whole.failed |= part.failed
        whole.foreign |= part.foreign
        whole.erased |= part.erased
    return whole


def _write(
    account: Account, fetched: Sequence[FetchedSession], source: str, alias: str
) -> tuple[StoredBatch, list[MergedSession], list[str]]:
    seen = Observation(source=source, observed_at=timezone.now())
    with transaction.atomic(using=alias, durable=True):
        locked = lock_batch(account, fetched, alias)
        rows = locked.rows
        erased = Refused()
        if locked.touches_erased:
            erased = refuse_erased(account, fetched, rows, alias)
        created = {pk: m.row.created_at for pk, m in rows.items()}
        stored, merged = _merge_all(account, fetched, rows, seen)
        if not signals.session_outcome_changed.has_listeners(WorkflowSession):
            # Without receivers, the outcome is recorded as announced here, which saves a statement.
            for m in merged:
                if (m.is_filled or m.changed_fields) and is_owed(m.row):
                    m.row.announced_outcome = m.row.outcome
        _write_sessions(merged, alias)
        _write_checks(merged, alias)
        _write_name_words([m for m in merged if "entity_name" in m.changed_fields], alias)
        upsert([change for m in merged for change in m.changes], alias=alias)
        reopened = _follow_reviews(locked, merged, seen, alias)
        stored.erased = erased.sessions
        stored.failed |= erased.failed
        counted = [m.row for m in merged if m.effect != "unchanged"]
        moments = [row.created_at for row in counted]
        mark_changed([*moments, *(created[row.pk] for row in counted)], alias=alias)
        complete = [
            f
            for f in fetched
            if f.payload is not None and f.is_whole and f.session_id in stored.effects
        ]
        # A refresh queued since the rows were read was requested after the fetch began, and stays due.
        if settled := [f.session_id for f in complete if f.session_id in locked.due]:
            _settle(account, settled, min(f.fetched_at for f in complete), alias)
    return stored, merged, reopened


def _follow_reviews(
    locked: LockedBatch, merged: list[MergedSession], seen: Observation, alias: str
) -> list[str]:
    """Update the reviews, and return the ids of those that were reopened."""
    followed = [
        upkeep.Followed(
            session=m.row,
            checks=m.checks.values(),
            is_new=m.is_new,
            needed_review=m.needed_review,
            review=locked.reviews.get(m.row.pk),
        )
        for m in merged
    ]
    return upkeep.follow(followed, seen.observed_at, alias)


def _merge_all(
    account: Account,
    fetched: Sequence[FetchedSession],
    rows: Mapping[str, MergedSession],
    seen: Observation,
) -> tuple[StoredBatch, list[MergedSession]]:
    stored = StoredBatch()
    touched: dict[str, MergedSession] = {}
    for answer in fetched:
        merged = rows.get(answer.session_id)
        if merged is None:  # refused as erased, or only checks were fetched and the session is gone
            continue
        owner = (merged.row.account, merged.row.environment)
        if owner != (account.name, account.environment):
            stored.failed[answer.session_id] = ownership_reason(answer.session_id, *owner)
            stored.foreign.add(answer.session_id)
            continue
        merge(merged, answer, seen)
        touched[answer.session_id] = merged
    stored.effects = {pk: merged.effect for pk, merged in touched.items()}
    return stored, list(touched.values())


def ownership_reason(session_id: str, account: str, environment: str) -> str:
    """Return the error text for an answer to a session that another account owns."""
    return (
        f"{ComplyCubeOwnershipError.__name__}: {session_id} is stored for account {account!r}"
        f" ({environment or 'unknown'} environment) and was left as it is."
    )


def _write_sessions(merged: list[MergedSession], alias: str) -> None:
    """Write all rows in one statement; leave out columns that changed in no row, to spare their indexes."""
    fields = {*_SESSION_MOVES, "announced_outcome"}.union(*(m.changed_fields for m in merged))
    if any(m.is_new for m in merged):  # its placeholder is filled
        fields.update(_SESSION_FIELDS)
    rows = [m.row for m in merged if m.is_new or m.moved or m.changed_fields]
    update_rows(rows, unique=["id"], update=sorted(fields), alias=alias)


def _write_checks(merged: list[MergedSession], alias: str) -> None:
    """Insert and update in one statement; leave out columns that changed in no existing row."""
    fields = {*_CHECK_MOVES}.union(*(m.changed_check_fields for m in merged))
    rows = [
        m.checks[check_id]
        for m in merged
        for check_id in sorted(m.changed_checks | m.touched_checks)
    ]
    write = upsert if any(m.new_checks for m in merged) else update_rows
    write(rows, unique=["session", "check_id"], update=sorted(fields), alias=alias)


def _write_name_words(renamed: list[MergedSession], alias: str) -> None:
    if not renamed:
        return
    if old := [m.row.pk for m in renamed if not m.is_new]:
        with allow_mirror_writes():
            SessionNameWord.objects.using(alias).filter(session__in=old).delete()
    new = [
        build_row(SessionNameWord, {"id": None, "session_id": m.row.pk, "words": words})
        for m in renamed
        for words in name_rotations(m.row.entity_name)
    ]
    upsert(new, alias=alias)


def _settle(account: Account, ids: list[str], began_at: datetime, alias: str) -> None:
    """Delete the pending refreshes of these sessions, except those requested after the fetch began."""
    PendingRefresh.objects.using(alias).filter(
        account=account.name, session_id__in=ids, requested_at__lte=began_at
    ).delete()
