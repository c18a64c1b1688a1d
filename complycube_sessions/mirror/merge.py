"""
What a fetched answer does to the stored row: pure functions on rows that the store has locked.

Older never wins, unchanged content is left alone, and every change of meaning is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from complycube_sessions.api.payloads import CheckPayload, SessionPayload
from complycube_sessions.db.bulk import build_row
from complycube_sessions.db.clocks import is_believable
from complycube_sessions.models import RelatedCheck, SessionChange, WorkflowSession
from complycube_sessions.reviews.needs_review import needs_review

SESSION_CONTENT: Final = tuple(
    f.name for f in fields(SessionPayload) if f.name not in {"id", "related_checks"}
)
FOLLOWED: Final = (SessionChange.Field.STATUS.value, SessionChange.Field.OUTCOME.value)
# The vendor's clock and ours; more is a wrong clock, or a wrong time.
CLOCKS_DIFFER: Final = timedelta(minutes=5)
CHECK_CONTENT: Final = ("status", "outcome", "created_at", "updated_at")
CHECK_DETAILS: Final = ("document_id", "monitored", "raw")
_CHECK_DEFAULTS: Final = {f.attname: f.get_default() for f in RelatedCheck._meta.concrete_fields}

Effect = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class FetchedCheck:
    """A check as one answer showed it; its ``result`` is None where the answer never carries one."""

    payload: CheckPayload
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class FetchedSession:
    """
    A session with those of its checks that were asked for; no payload where only checks moved.

    It is not whole where a check could not be fetched: then it stays due.
    """

    session_id: str
    payload: SessionPayload | None
    fetched_at: datetime
    checks: tuple[FetchedCheck, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """Who saw the changes of a batch, and when."""

    source: str
    observed_at: datetime

    def change(
        self,
        session: WorkflowSession,
        check_id: str,
        field_name: str,
        old: str,
        new: str,
        changed_at: datetime | None,
    ) -> SessionChange:
        columns = {
            "id": None,
            "session_id": session.pk,
            "check_id": check_id,
            "field": str(field_name),
            "old": old,
            "new": new,
            "changed_at": changed_at,
            "observed_at": self.observed_at,
            "source": self.source,
        }
        change = build_row(SessionChange, columns)
        change._state.fields_cache["session"] = session
        return change


@dataclass(slots=True)
class MergedSession:
    """A locked session row with its checks, and what has been done to them."""

    row: WorkflowSession
    checks: dict[str, RelatedCheck]
    is_new: bool
    needed_review: bool = False
    is_filled: bool = False  # a new row has the content of a first answer
    moved: bool = False
    changed_fields: set[str] = field(default_factory=set)
    new_checks: set[str] = field(default_factory=set)
    changed_checks: set[str] = field(default_factory=set)
    touched_checks: set[str] = field(default_factory=set)
    changed_check_fields: set[str] = field(default_factory=set)
    changes: list[SessionChange] = field(default_factory=list)

    @property
    def effect(self) -> Effect:
        if self.is_new:
            return "created"
        return "updated" if self.changed_fields or self.changed_checks else "unchanged"


def supersedes(
    *,
    updated_at: datetime | None,
    fetched_at: datetime,
    stored_updated_at: datetime | None,
    stored_fetched_at: datetime | None,
    now: datetime | None = None,
) -> bool:
    """
    Return whether an answer is at least as new as the stored row: vendor's time first, then ours.

    Args:
        updated_at: The vendor's time of the answer.
        fetched_at: When the request for it began.
        stored_updated_at: The vendor's time of the stored row. One that was of the future when it was
            fetched keeps nothing out.
        stored_fetched_at: None: nothing is stored. A time after ``now`` proves nothing.
        now: By the clock here; None where the stored time is known to be a right clock's.
    """
    if stored_fetched_at is None:
        return True
    if updated_at and stored_updated_at and updated_at != stored_updated_at:
        if updated_at > stored_updated_at:
            return True
        if not is_of_the_future(stored_updated_at, stored_fetched_at):
            return False
    if now is not None and not is_believable(stored_fetched_at, now):
        return True
    return fetched_at >= stored_fetched_at


def is_of_the_future(updated_at: datetime, fetched_at: datetime) -> bool:
    """Return whether a vendor's time lies further ahead of its request than two clocks differ."""
    return updated_at > fetched_at + CLOCKS_DIFFER


def merge(merged: MergedSession, fetched: FetchedSession, seen: Observation) -> None:
    """Apply one fetched answer to the rows in place and note what changed."""
    if fetched.payload is not None:
        _merge_session(merged, fetched.payload, fetched.fetched_at, seen)
    for check in fetched.checks:
        row = merged.checks.get(check.payload.id)
        if row is not None:
            _merge_check(merged, row, check, seen)
    review = needs_review(merged.row, merged.checks.values())
    if review != merged.row.needs_review:
        merged.row.needs_review = review
        merged.moved = True


def _merge_session(
    merged: MergedSession,
    payload: SessionPayload,
    fetched_at: datetime,
    seen: Observation,
) -> None:
    row = merged.row
    _clear_missing(merged, fetched_at, seen.observed_at)
    is_stored = not merged.is_new or merged.is_filled
    if is_stored and not supersedes(
        updated_at=payload.updated_at,
        fetched_at=fetched_at,
        stored_updated_at=row.updated_at,
        stored_fetched_at=row.fetched_at,
        now=seen.observed_at,
    ):
        return
    known = not merged.is_new
    if known:
        for name in FOLLOWED:
            old, new = getattr(row, name), getattr(payload, name)
            if old != new:
                merged.changes.append(seen.change(row, "", name, old, new, payload.updated_at))
    if fetched_at != row.fetched_at:
        row.fetched_at = fetched_at
        merged.moved = True
    _take_content(merged, payload)
    if merged.is_new:
        merged.is_filled = True
        if row.outcome == "":
            row.announced_outcome = ""  # nothing to announce: what comes next is a change
    _merge_references(merged, payload, fetched_at, seen, known=known)


def _clear_missing(merged: MergedSession, fetched_at: datetime, now: datetime) -> None:
    """Take back the mark of a session that was fetched after the API had said that it is gone."""
    since = merged.row.missing_since
    if since is not None and (fetched_at >= since or not is_believable(since, now)):
        merged.row.missing_since = None
        merged.moved = True


def _take_content(merged: MergedSession, payload: SessionPayload) -> None:
    columns = vars(merged.row)
    for name in SESSION_CONTENT:
        value = getattr(payload, name)
        if columns[name] != value:
            columns[name] = value
            merged.changed_fields.add(name)


def _merge_references(
    merged: MergedSession,
    payload: SessionPayload,
    fetched_at: datetime,
    seen: Observation,
    *,
    known: bool,
) -> None:
    """Let the check rows follow ``allRelatedChecks``: those added, those gone, those moved."""
    row = merged.row
    named = {reference.check_id for reference in payload.related_checks}

    def note(check_id: str, old: str, new: str) -> None:
        if known:
            args = (row, check_id, SessionChange.Field.CHECK, old, new)
            merged.changes.append(seen.change(*args, payload.updated_at))

    for position, reference in enumerate(payload.related_checks):
        check = merged.checks.get(reference.check_id)
        if check is None:
            check = _new_check(row, reference.check_id)
            merged.checks[reference.check_id] = check
            merged.new_checks.add(reference.check_id)
            merged.changed_checks.add(reference.check_id)
            note(reference.check_id, "", "added")
        elif check.missing_since is not None:
            note(reference.check_id, "gone", "added")
        wanted = {
            "position": position,
            "type": reference.type or check.type,
            "task_id": reference.task_id,
            "missing_since": None,
        }
        _assign(merged, check, wanted)
    for check in merged.checks.values():
        if check.check_id not in named and check.missing_since is None:
            note(check.check_id, "added", "gone")
            _assign(merged, check, {"missing_since": fetched_at})


def _new_check(session: WorkflowSession, check_id: str) -> RelatedCheck:
    told = {"session_id": session.pk, "check_id": check_id, "result": {}, "raw": {}}
    return build_row(RelatedCheck, _CHECK_DEFAULTS | told)


def _merge_check(
    merged: MergedSession,
    row: RelatedCheck,
    fetched: FetchedCheck,
    seen: Observation,
) -> None:
    payload = fetched.payload
    current = supersedes(
        updated_at=payload.updated_at,
        fetched_at=fetched.fetched_at,
        stored_updated_at=row.updated_at,
        stored_fetched_at=row.fetched_at,
        now=seen.observed_at,
    )
    if not current:
        return
    first = row.fetched_at is None
    for name in FOLLOWED:
        old, new = getattr(row, name), getattr(payload, name)
        is_first_outcome = name == "outcome" and old == ""
        if old != new and not first and not is_first_outcome:
            args = (merged.row, row.check_id, name, old, new, payload.updated_at)
            merged.changes.append(seen.change(*args))
    wanted: dict[str, object] = {name: getattr(payload, name) for name in CHECK_CONTENT}
    wanted |= check_details(row, payload)
    wanted["type"] = row.type or payload.type
    result_changed = payload.result is not None and payload.result != row.result
    if payload.result is not None:
        wanted["result"] = payload.result
    _assign(merged, row, wanted)
    row.fetched_at = fetched.fetched_at
    # The same result again moves nothing but `fetched_at`.
    if payload.result is not None and (result_changed or row.result_fetched_at is None):
        row.result_fetched_at = fetched.fetched_at
    merged.touched_checks.add(row.check_id)


def check_details(row: RelatedCheck, payload: CheckPayload) -> dict[str, Any]:
    """
    Return what is to be stored of the details of an answer.

    A list may tell less of a check than an answer to GET: of the same version, what only the latter
    told stays. So the two by turns are no change.
    """
    told: dict[str, Any] = {name: getattr(payload, name) for name in CHECK_DETAILS}
    is_same = payload.updated_at is not None and payload.updated_at == row.updated_at
    if not (payload.is_listed and is_same):
        return told
    if "documentId" not in payload.raw:
        told["document_id"] = row.document_id
    if "enableMonitoring" not in payload.raw:
        told["monitored"] = row.monitored
    told["raw"] = {**row.raw, **payload.raw}
    return told


def _assign(merged: MergedSession, check: RelatedCheck, wanted: Mapping[str, object]) -> None:
    columns = vars(check)
    changed = [name for name, value in wanted.items() if columns[name] != value]
    if not changed:
        return
    columns.update((name, wanted[name]) for name in changed)
    merged.changed_checks.add(check.check_id)
    if check.check_id not in merged.new_checks:
        merged.changed_check_fields.update(changed)
