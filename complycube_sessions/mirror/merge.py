"""
Merging a fetched answer into the stored row: pure functions on rows that the writer has locked.

An older answer never replaces a newer one, unchanged content is not written, and every change of a status,
an outcome or the list of checks is recorded in the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final, Literal

from complycube_sessions.api.payloads import CheckPayload, SessionPayload
from complycube_sessions.db.clocks import is_believable
from complycube_sessions.db.rows import decode_stored, new_row
from complycube_sessions.models import RelatedCheck, SessionChange, WorkflowSession
from complycube_sessions.reviews.needs_review import needs_review

SESSION_CONTENT: Final = tuple(
    f.name for f in fields(SessionPayload) if f.name not in {"id", "related_checks"}
)
FOLLOWED: Final = (SessionChange.Field.STATUS.value, SessionChange.Field.OUTCOME.value)
# How far the vendor's clock and ours may differ; beyond this, a clock or a time is wrong.
CLOCKS_DIFFER: Final = timedelta(minutes=5)
CHECK_CONTENT: Final = (
    *("status", "outcome", "created_at", "updated_at"),
    *("document_id", "monitored", "raw"),
)
_session_content: Final = attrgetter(*SESSION_CONTENT)
_check_content: Final = attrgetter(*CHECK_CONTENT)

Effect = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class FetchedCheck:
    """A check as one answer showed it; its ``result`` is None if this kind of answer has none."""

    payload: CheckPayload
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class FetchedSession:
    """
    A session with the checks that were fetched; ``payload`` is None if only checks moved.

    ``is_whole`` is False if a check could not be fetched; the session stays due then.
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
        change = new_row(
            SessionChange,
            session_id=session.pk,
            check_id=check_id,
            field=str(field_name),
            old=old,
            new=new,
            changed_at=changed_at,
            observed_at=self.observed_at,
            source=self.source,
        )
        change._state.fields_cache["session"] = session
        return change


@dataclass(slots=True)
class MergedSession:
    """A locked session row with its checks, and the changes made to them."""

    row: WorkflowSession
    checks: dict[str, RelatedCheck]
    is_new: bool
    needed_review: bool = False
    is_filled: bool = False  # whether a new row has received the content of its first answer
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
    Return whether an answer is at least as new as the stored row: by the vendor's time first, then by ours.

    Args:
        updated_at: The vendor's time of the answer.
        fetched_at: When the request for it began.
        stored_updated_at: The vendor's time of the stored row. It is ignored if it was in the future when
            the row was fetched.
        stored_fetched_at: None if nothing is stored. A time after ``now`` is ignored.
        now: The time by our clock; None if the stored time is known to come from a correct clock.
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
    """Return whether a vendor's time is later than its request by more than two clocks may differ."""
    return updated_at > fetched_at + CLOCKS_DIFFER


def merge(merged: MergedSession, fetched: FetchedSession, seen: Observation) -> None:
    """Apply one fetched answer to the rows in place and record the changes."""
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
            row.announced_outcome = ""  # nothing to announce; the next outcome counts as a change
    _merge_references(merged, payload, fetched_at, seen, known=known)


def _clear_missing(merged: MergedSession, fetched_at: datetime, now: datetime) -> None:
    """Remove the missing mark if the session was fetched after the API had answered 404."""
    since = merged.row.missing_since
    if since is not None and (fetched_at >= since or not is_believable(since, now)):
        merged.row.missing_since = None
        merged.moved = True


def _take_content(merged: MergedSession, payload: SessionPayload) -> None:
    if payload.updated_at is None or payload.updated_at == merged.row.updated_at:
        decode_stored(merged.row, "raw")  # only compared for the same version, otherwise replaced
    stored = _session_content(merged.row)
    for name, old, new in zip(SESSION_CONTENT, stored, _session_content(payload), strict=True):
        if old != new:
            setattr(merged.row, name, new)
            merged.changed_fields.add(name)


def _merge_references(
    merged: MergedSession,
    payload: SessionPayload,
    fetched_at: datetime,
    seen: Observation,
    *,
    known: bool,
) -> None:
    """Update the check rows from ``allRelatedChecks``: added, gone and reordered checks."""
    row = merged.row
    named = {reference.check_id for reference in payload.related_checks}

    def note(check_id: str, old: str, new: str) -> None:
        if known:
            args = (row, check_id, SessionChange.Field.CHECK, old, new)
            merged.changes.append(seen.change(*args, payload.updated_at))

    for position, reference in enumerate(payload.related_checks):
        check = merged.checks.get(reference.check_id)
        if check is None:
            check = new_row(RelatedCheck, session_id=row.pk, check_id=reference.check_id)
            merged.checks[reference.check_id] = check
            merged.new_checks.add(reference.check_id)
            merged.changed_checks.add(reference.check_id)
            note(reference.check_id, "", "added")
        elif check.missing_since is not None:
            note(reference.check_id, "gone", "added")
        values = {
            "position": position,
            "type": reference.type or check.type,
            "task_id": reference.task_id,
            "missing_since": None,
        }
        _assign(merged, check, values)
    for check in merged.checks.values():
        if check.check_id not in named and check.missing_since is None:
            note(check.check_id, "added", "gone")
            _assign(merged, check, {"missing_since": fetched_at})


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
    values = dict(zip(CHECK_CONTENT, _check_content(payload), strict=True))
    is_same_version = payload.updated_at is not None and payload.updated_at == row.updated_at
    if is_same_version or payload.updated_at is None:
        decode_stored(row, "raw")
    if payload.is_listed and is_same_version:
        values |= _kept_details(row, payload)
    values["type"] = row.type or payload.type
    result_changed = payload.result is not None and payload.result != row.result
    if payload.result is not None:
        values["result"] = payload.result
    _assign(merged, row, values)
    row.fetched_at = fetched.fetched_at
    # An unchanged result only updates `fetched_at`.
    if payload.result is not None and (result_changed or row.result_fetched_at is None):
        row.result_fetched_at = fetched.fetched_at
    merged.touched_checks.add(row.check_id)


def _kept_details(row: RelatedCheck, payload: CheckPayload) -> dict[str, Any]:
    """
    Return the details of a check that a list entry of the same version does not replace.

    A list entry may hold fewer fields than ``GET /checks/{id}``; alternating between the two is no change.
    """
    kept: dict[str, Any] = {"raw": {**row.raw, **payload.raw}}
    if "documentId" not in payload.raw:
        kept["document_id"] = row.document_id
    if "enableMonitoring" not in payload.raw:
        kept["monitored"] = row.monitored
    return kept


def _assign(merged: MergedSession, check: RelatedCheck, values: Mapping[str, object]) -> None:
    columns = vars(check)
    if values.items() <= columns.items():
        return
    changed = [name for name, value in values.items() if columns[name] != value]
    columns.update(values)
    merged.changed_checks.add(check.check_id)
    if check.check_id not in merged.new_checks:
        merged.changed_check_fields.update(changed)
