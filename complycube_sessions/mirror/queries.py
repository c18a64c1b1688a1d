"""The queries by which a run reads the mirror."""

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

# More than one, so that the clean-up of a single session upstream does not leave a window unproven.
NEWEST: Final = 3
# So many checks of all accounts are looked at for those, more where the first are of others.
LOOKED_AT: Final = (10, 1_000)
# What an item of the list tells. The project's scrubber gets no item of a list, and may have changed the
# second ones in what is stored.
TOLD: Final = ("client_id", "status", "outcome", "created_at")
TOLD_UNLESS_SCRUBBED: Final = (
    "entity_name",
    "workflow_template_id",
    "workflow_template_name",
    "workflow_id",
    "workflow_version",
)
TOLD_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Newest:
    """A row that a window must reach back over."""

    id: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SessionState:
    """The stored state of a session that a list shows; ``told`` has the other columns that lists tell."""

    updated_at: datetime | None
    fetched_at: datetime
    told: dict[str, object]


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
    """Return which of the ids are stored for the account, including those marked as missing."""
    return _owned(account, ids) if ids else set()


def newest_sessions(account: Account) -> list[Newest]:
    """
    Return the sessions that were updated last and are there upstream, newest first.

    One with a time in the future is left out: a window by it would begin too late.
    """
    rows = own_sessions(account).filter(missing_since=None, updated_at__lte=timezone.now())
    values = rows.order_by("-updated_at").values_list("pk", "updated_at")[:NEWEST]
    return [Newest(pk, time) for pk, time in values if time]


def newest_checks(account: Account) -> list[Newest]:
    """
    Return the checks that were updated last, of sessions that are there and name them, newest first.

    A check does not name its account. Where other accounts have all of the newest ones, the checks of this
    account's newest sessions stand for its newest, so that no account costs a walk through those of others.
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
    """Return what is stored by id; a session that is marked as missing is left out."""
    rows = _found_by_id(ids).filter(missing_since=None)
    names = TOLD if conf.COMPLYCUBE_SCRUBBER else (*TOLD, *TOLD_UNLESS_SCRUBBED)
    fields = ("pk", "account", "environment", "updated_at", "fetched_at", *names)
    return {
        pk: SessionState(updated_at, fetched_at, dict(zip(names, told, strict=True)))
        for pk, owner, environment, updated_at, fetched_at, *told in rows.values_list(*fields)
        if (owner, environment) == (account.name, account.environment)
    }


def is_moved(stored: SessionState | None, listed: SessionSummary) -> bool:
    """
    Return whether a listed session needs a request.

    Args:
        stored: None where the session is not stored.
        listed: Its entry of the list, in which any field may be left out.
    """
    if stored is None or stored.updated_at is None or listed.updated_at is None:
        return True
    if listed.updated_at != stored.updated_at:
        later = listed.updated_at > stored.updated_at
        return later or is_of_the_future(stored.updated_at, stored.fetched_at)
    told = ((getattr(listed, name), old) for name, old in stored.told.items())
    return any(new not in {None, ""} and new != old for new, old in told)


def foreign_owners(account: Account, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the account and environment of ids that are stored for another one."""
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
    """Yield those of the listed checks that the mirror holds and that differ from it, or lack a breakdown."""
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
    found = list(rows.values_list("session_id", "check_id", *fields))
    owned = _owned(account, {row[0] for row in found})
    now = timezone.now()
    for session_id, check_id, *state in found:
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
        told = (check.status, check.outcome, check.created_at, check.updated_at)
        differs = (status, outcome, created_at, updated_at) != told
        tells_more = any(raw.get(name) != value for name, value in check.raw.items())
        lacks_result = wants_result(setting, check) and (differs or result_fetched_at is None)
        if current and (differs or tells_more or lacks_result):
            yield CheckState(session_id, lacks_result), check, at


def count_clients(account: Account, *, most: int) -> int:
    """Return how many clients have sessions here, counting no further than ``most``."""
    return len(own_sessions(account).order_by().values("client_id").distinct()[:most])


def client_ids(account: Account) -> Iterator[str]:
    """Yield the ids of all clients with sessions here, each once."""
    rows = own_sessions(account).values_list("client_id", named=True).distinct()
    by_client = [keyset.Key("client_id", False, WorkflowSession._meta.get_field("client_id"))]
    for page in keyset.walk(rows, by_client, size=BATCH_SIZE, after=[""]):
        yield from (row.client_id for row in page)


def count_present(account: Account) -> int:
    """Return how many stored sessions are not marked as missing."""
    return own_sessions(account).filter(missing_since=None).count()


def told_before(account: Account, subjects: Sequence[str]) -> set[str]:
    """Return which of the subjects an earlier run has named in its errors."""
    runs = RefreshRun.objects.using(write_alias()).filter(
        account=account.name, environment=account.environment
    )
    found: set[str] = set()
    for some in chunks(subjects, TOLD_AT_ONCE):
        named = runs.filter(errors__has_any_keys=some).order_by("-pk")
        for errors in named.values_list("errors", flat=True)[:TOLD_AT_ONCE]:
            found.update(errors.keys() & set(some))
    return found


def present_ids(account: Account, size: int) -> Iterator[list[str]]:
    """Yield the ids of those sessions in lists of up to ``size``."""
    rows = WorkflowSession.objects.using(write_alias()).filter(missing_since=None)
    columns = rows.values_list("pk", "account", "environment", named=True)
    for page in pages(columns, size):
        yield [pk for pk, *owner in page if owner == [account.name, account.environment]]


def _found_by_id(ids: Iterable[str]) -> WorkflowSessionQuerySet:
    """
    Return sessions by id, of any account.

    Without statistics, SQLite takes the index of the account for the better one and reads all of its
    sessions for each page of ids; so the account is compared here.
    """
    return WorkflowSession.objects.using(write_alias()).filter(pk__in=list(ids))


def _owned(account: Account, ids: Iterable[str]) -> set[str]:
    rows = _found_by_id(ids).values_list("pk", "account", "environment")
    return {pk for pk, *owner in rows if owner == [account.name, account.environment]}


def wants_result(setting: CheckResults, check: CheckPayload) -> bool:
    """Return whether the breakdown of a check is to be fetched and kept."""
    if setting == "review":
        complete = check.status == RelatedCheck.Status.COMPLETE
        return complete and check.outcome != RelatedCheck.Outcome.CLEAR
    return setting == "all" and check.status != RelatedCheck.Status.PENDING
