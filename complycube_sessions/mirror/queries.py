"""Queries that a refresh run makes over the mirror."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from complycube_sessions.api.payloads import CheckPayload, SessionSummary
from complycube_sessions.conf import Account, CheckResults, conf
from complycube_sessions.db import keyset
from complycube_sessions.db.batches import BATCH_SIZE, chunks, pages
from complycube_sessions.db.connections import write_alias
from complycube_sessions.mirror.merge import is_of_the_future, supersedes
from complycube_sessions.models import RefreshRun, RelatedCheck, WorkflowSession
from complycube_sessions.models.session_queries import WorkflowSessionQuerySet

# More than one, so that a window can be proven even if the newest session was deleted upstream.
NEWEST: Final = 3
# How many checks of all accounts to read first, and then if most of those belong to other accounts.
LOOKED_AT: Final = (10, 1_000)
# The columns that an item of the session list also contains. The project's scrubber is not applied to list
# items, and may have changed the second group in the stored rows.
LISTED: Final = ("client_id", "status", "outcome", "created_at")
LISTED_UNLESS_SCRUBBED: Final = (
    "entity_name",
    "workflow_template_id",
    "workflow_template_name",
    "workflow_id",
    "workflow_version",
)
SUBJECTS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Newest:
    """One of the newest stored rows, which the window of a list must include."""

    id: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SessionState:
    """The stored state of a listed session; ``listed`` has the other columns that list items contain."""

    updated_at: datetime | None
    fetched_at: datetime
    listed: dict[str, object]


@dataclass(frozen=True, slots=True)
class CheckState:
    """A stored check that a list shows differently."""

    session_id: str
    needs_result: bool


@dataclass(frozen=True, slots=True)
class KnownCheck:
    """The stored state of a check."""

    updated_at: datetime | None
    has_result: bool


def own_sessions(account: Account) -> WorkflowSessionQuerySet:
    """Return the sessions of the account in its key's environment."""
    rows = WorkflowSession.objects.using(write_alias())
    return rows.filter(account=account.name, environment=account.environment)


def own_ids(account: Account, ids: Sequence[str]) -> set[str]:
    """Return the ids that are stored for the account, including those marked as missing."""
    return _owned(account, ids) if ids else set()


def newest_sessions(account: Account) -> list[Newest]:
    """
    Return the sessions that were updated last and are not marked as missing, newest first.

    Sessions with a time in the future are excluded: a window based on one would begin too late.
    """
    rows = own_sessions(account).filter(missing_since=None, updated_at__lte=timezone.now())
    values = rows.order_by("-updated_at").values_list("pk", "updated_at")[:NEWEST]
    return [Newest(pk, time) for pk, time in values if time]


def newest_checks(account: Account) -> list[Newest]:
    """
    Return the checks that were updated last, newest first; neither they nor their sessions are missing.

    The checks table has no account column. If other accounts own all of the newest checks, return the
    newest checks of this account's newest sessions, rather than read the checks of all accounts.
    """
    rows = RelatedCheck.objects.using(write_alias()).filter(updated_at__lte=timezone.now())
    rows = rows.order_by("-updated_at")
    columns = (
        "missing_since",
        "session__missing_since",
        "session__account",
        "session__environment",
    )
    own = (None, None, account.name, account.environment)
    for most in LOOKED_AT:
        found = list(rows.values_list("check_id", "updated_at", *columns)[:most])
        newest = [Newest(pk, time) for pk, time, *of in found if tuple(of) == own and time]
        if len(newest) >= NEWEST or len(found) < most:
            return newest[:NEWEST]
    sessions = [session.id for session in newest_sessions(account)]
    named = rows.filter(session__in=sessions, missing_since=None)
    values = named.values_list("check_id", "updated_at")[:NEWEST]
    return newest or [Newest(pk, time) for pk, time in values if time]


def session_states(account: Account, ids: Sequence[str]) -> dict[str, SessionState]:
    """Return the stored states by id, without sessions that are marked as missing."""
    rows = _found_by_id(ids).filter(missing_since=None)
    names = LISTED if conf.COMPLYCUBE_SCRUBBER else (*LISTED, *LISTED_UNLESS_SCRUBBED)
    fields = ("pk", "account", "environment", "updated_at", "fetched_at", *names)
    return {
        pk: SessionState(updated_at, fetched_at, dict(zip(names, values, strict=True)))
        for pk, owner, environment, updated_at, fetched_at, *values in rows.values_list(*fields)
        if (owner, environment) == (account.name, account.environment)
    }


def is_moved(stored: SessionState | None, listed: SessionSummary) -> bool:
    """
    Return whether a listed session needs a request.

    Args:
        stored: The stored state, or None if the session is not stored.
        listed: The list item, in which any field may be missing.
    """
    if stored is None or stored.updated_at is None or listed.updated_at is None:
        return True
    if listed.updated_at != stored.updated_at:
        later = listed.updated_at > stored.updated_at
        return later or is_of_the_future(stored.updated_at, stored.fetched_at)
    pairs = ((getattr(listed, name), old) for name, old in stored.listed.items())
    return any(new not in {None, ""} and new != old for new, old in pairs)


def foreign_owners(account: Account, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the ids that are stored for another account or environment, with their owners."""
    rows = WorkflowSession.objects.using(write_alias()).filter(pk__in=ids)
    foreign = rows.exclude(account=account.name, environment=account.environment)
    return {
        pk: (owner, env) for pk, owner, env in foreign.values_list("pk", "account", "environment")
    }


def known_checks(ids: Sequence[str]) -> dict[str, dict[str, KnownCheck]]:
    """Return the checks whose status is stored, by session and check."""
    known: dict[str, dict[str, KnownCheck]] = {}
    rows = RelatedCheck.objects.using(write_alias()).filter(
        session__in=ids, fetched_at__isnull=False
    )
    values = rows.values_list("session_id", "check_id", "updated_at", "result_fetched_at")
    for session_id, check_id, updated_at, result_fetched_at in values:
        check = KnownCheck(updated_at, result_fetched_at is not None)
        known.setdefault(session_id, {})[check_id] = check
    return known


def moved_checks(
    account: Account, listed: Sequence[tuple[CheckPayload, datetime]], setting: CheckResults
) -> Iterator[tuple[CheckState, CheckPayload, datetime]]:
    """Yield the listed checks that differ from their stored rows, or whose rows lack a breakdown."""
    by_id: Mapping[str, tuple[CheckPayload, datetime]] = {c.id: (c, at) for c, at in listed}
    fields = (
        "status",
        "outcome",
        "created_at",
        "updated_at",
        "fetched_at",
        "result_fetched_at",
        "raw",
    )
    rows = RelatedCheck.objects.using(write_alias()).filter(check_id__in=list(by_id))
    stored = list(rows.values_list("session_id", "check_id", *fields))
    owned = _owned(account, {row[0] for row in stored})
    now = timezone.now()
    for session_id, check_id, *state in stored:
        if session_id not in owned:
            continue
        status, outcome, created_at, updated_at, fetched_at, result_fetched_at, raw = state
        check, at = by_id[check_id]
        current = supersedes(
            updated_at=check.updated_at,
            fetched_at=at,
            stored_updated_at=updated_at,
            stored_fetched_at=fetched_at,
            now=now,
        )
        new_state = (check.status, check.outcome, check.created_at, check.updated_at)
        differs = (status, outcome, created_at, updated_at) != new_state
        raw_differs = any(raw.get(name) != value for name, value in check.raw.items())
        lacks_result = wants_result(setting, check) and (differs or result_fetched_at is None)
        if current and (differs or raw_differs or lacks_result):
            yield CheckState(session_id, lacks_result), check, at


def count_clients(account: Account, *, most: int) -> int:
    """Return how many clients have stored sessions, counting up to ``most``."""
    return len(own_sessions(account).order_by().values("client_id").distinct()[:most])


def client_ids(account: Account) -> Iterator[str]:
    """Yield the id of each client with stored sessions once."""
    rows = own_sessions(account).values_list("client_id", named=True).distinct()
    by_client = [keyset.Key("client_id", False, WorkflowSession._meta.get_field("client_id"))]
    for page in keyset.walk(rows, by_client, size=BATCH_SIZE, after=[""]):
        yield from (row.client_id for row in page)


def count_present(account: Account) -> int:
    """Return how many stored sessions are not marked as missing."""
    return own_sessions(account).filter(missing_since=None).count()


def named_before(account: Account, subjects: Sequence[str]) -> set[str]:
    """Return the subjects that an earlier run has named in its errors."""
    runs = RefreshRun.objects.using(write_alias()).filter(
        account=account.name, environment=account.environment
    )
    known: set[str] = set()
    for some in chunks(subjects, SUBJECTS_AT_ONCE):
        named = runs.filter(errors__has_any_keys=some).order_by("-pk")
        for errors in named.values_list("errors", flat=True)[:SUBJECTS_AT_ONCE]:
            known.update(errors.keys() & set(some))
    return known


def present_ids(account: Account, size: int) -> Iterator[list[str]]:
    """Yield the ids of the sessions that are not marked as missing, in lists of up to ``size``."""
    rows = WorkflowSession.objects.using(write_alias()).filter(missing_since=None)
    columns = rows.values_list("pk", "account", "environment", named=True)
    for page in pages(columns, size):
        yield [pk for pk, *owner in page if owner == [account.name, account.environment]]


def _found_by_id(ids: Iterable[str]) -> WorkflowSessionQuerySet:
    """
    Return sessions by id, of any account.

    The callers compare the account in Python: without table statistics SQLite would prefer the index on the
    account, and read all of its sessions for each page of ids.
    """
    return WorkflowSession.objects.using(write_alias()).filter(pk__in=list(ids))


def _owned(account: Account, ids: Iterable[str]) -> set[str]:
    rows = _found_by_id(ids).values_list("pk", "account", "environment")
    return {pk for pk, *owner in rows if owner == [account.name, account.environment]}


def wants_result(setting: CheckResults, check: CheckPayload) -> bool:
    """Return whether to fetch and store the breakdown of a check."""
    if setting == "review":
        complete = check.status == RelatedCheck.Status.COMPLETE
        return complete and check.outcome != RelatedCheck.Outcome.CLEAR
    return setting == "all" and check.status != RelatedCheck.Status.PENDING
