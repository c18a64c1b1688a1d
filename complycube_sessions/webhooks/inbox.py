"""
The rows of the inbox: claiming events in order, and recording their outcome.

Events are claimed in the same way as sessions that are due: see ``sync/pending.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from complycube_sessions.api.ids import validate_id
from complycube_sessions.conf import Account
from complycube_sessions.db import clocks
from complycube_sessions.db.batches import chunks
from complycube_sessions.db.clocks import FIRST_DELAY, retry_delay
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.exceptions import ComplyCubeInvalidIdError
from complycube_sessions.mirror.queries import own_sessions
from complycube_sessions.models import RelatedCheck, WebhookEvent
from complycube_sessions.privacy import digests, tombstones
from complycube_sessions.sync.pending import (
    REASON_WEBHOOK,
    WRITTEN_AT_ONCE,
    claim_rows,
    enqueue_sessions,
    pending_sessions,
    tell_reset,
    that_failed,
    visibility_timeout,
)
from complycube_sessions.webhooks.receive import (
    CHECK_EVENT,
    CLIENT_DELETED,
    SESSION_EVENT,
)

# As many as the vendor's own attempts; by then polling has fetched the changes.
MAX_ATTEMPTS: Final = 10


@dataclass(slots=True)
class Plan:
    """
    The work that claimed events require.

    Args:
        sessions: The sessions to fetch, in the order of their events.
        unknown_checks: Events of checks that are not stored with any session, by check and client id.
    """

    sessions: dict[str, None] = field(default_factory=dict)
    unknown_checks: dict[tuple[str, str], list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimedEvents:
    """Open events that were stored before a fetch began, each with the sessions that it concerns."""

    sessions_of: dict[int, set[str]]

    def processed_by(self, session_ids: Collection[str]) -> list[int]:
        """Return the events whose sessions are all among the given ones."""
        return [pk for pk, sessions in self.sessions_of.items() if sessions <= set(session_ids)]

    def concerned_by(self, session_id: str) -> list[int]:
        """Return the events that concern this session."""
        return [pk for pk, sessions in self.sessions_of.items() if session_id in sessions]


def newest_event(account: Account) -> int:
    """Return the primary key of the newest event of an account, or 0."""
    rows = WebhookEvent.objects.using(write_alias()).filter(account=account.name)
    return rows.order_by("-pk").values_list("pk", flat=True).first() or 0


def is_anything_open(account: Account) -> bool:
    """Return whether any event or session of an account is queued, due or not, in one query."""
    events = _open_events(account.name).order_by().values("pk")
    return events.union(pending_sessions(account).values("pk"), all=True).exists()


def claim_events(
    account: Account, *, most: int, only: int | None = None, up_to: int | None = None
) -> list[WebhookEvent]:
    """
    Claim up to ``most`` events that are due, oldest first.

    Args:
        account: The account of the events.
        most: The maximum number of events.
        only: Only the event with this primary key.
        up_to: Only events with this primary key or a lower one.
    """

    def claim() -> list[WebhookEvent]:
        is_due = Q(next_try_at=None) | Q(next_try_at__lte=timezone.now())
        due = _open_events(account.name).filter(is_due)
        if only is not None:
            due = due.filter(pk=only)
        if up_to is not None:
            due = due.filter(pk__lte=up_to)
        return claim_rows(due.order_by("pk"), most)

    # Wrong times are only corrected if nothing is due, as looking for them costs a query.
    return claim() or (claim() if _reset_events(account) else [])


def retry_failed_now(account: Account) -> None:
    """Make sessions and events due now that failed and wait for a retry."""
    now = timezone.now()
    that_failed(pending_sessions(account), now).update(next_try_at=now)
    that_failed(_open_events(account.name), now).update(next_try_at=None)


def due_sessions(account: Account, *, retry_failed: bool) -> list[str]:
    """Return the sessions that are due, in the queue or through an event that names them, without claiming them."""
    now = timezone.now()
    is_due = Q(next_try_at=None) | Q(next_try_at__lte=now)
    if retry_failed:
        is_due |= ~Q(error="")
    pending = pending_sessions(account).filter(is_due)
    named = _open_events(account.name).filter(is_due, type__startswith=SESSION_EVENT).order_by("pk")
    ids = [
        *pending.order_by("next_try_at", "pk").values_list("session_id", flat=True),
        *named.values_list("resource_id", flat=True),
    ]
    return [session_id for session_id in dict.fromkeys(ids) if _is_safe(session_id)]


def due_among(account: Account, session_ids: Sequence[str], *, up_to: int) -> set[str]:
    """Return which of the sessions are due, in the queue or through an event with a primary key up to ``up_to``."""
    is_due = Q(next_try_at=None) | Q(next_try_at__lte=timezone.now())
    pending = pending_sessions(account).filter(is_due, session_id__in=session_ids)
    named = _open_events(account.name).filter(
        is_due, pk__lte=up_to, type__startswith=SESSION_EVENT, resource_id__in=session_ids
    )
    return {
        *pending.values_list("session_id", flat=True),
        *named.values_list("resource_id", flat=True),
    }


def count_waiting(account: Account) -> int:
    """Return how many events are not processed, due or not."""
    return _open_events(account.name).count()


def plan(account: Account, events: Sequence[WebhookEvent]) -> Plan:
    """
    Return the work that events require, and finish the events that require none.

    ``client.deleted`` makes each session of the client due; a session is only marked as missing after a 404
    for the session itself.
    """
    planned = Plan()
    known = _sessions_of_checks(account, [e.resource_id for e in events if _is_check(e)])
    done: list[int] = []
    for event in events:
        if event.type == CLIENT_DELETED and event.resource_id:
            enqueue_client_sessions(account, event.resource_id, [event.pk])
        elif not event.type.startswith((SESSION_EVENT, CHECK_EVENT)):
            done.append(event.pk)
        elif not _is_safe(event.resource_id):
            abandon([event.pk], "The event names no possible id.")
        elif event.resource_id in known:
            planned.sessions.update(dict.fromkeys(sorted(known[event.resource_id])))
        elif _is_check(event):
            key = (event.resource_id, event.client_id)
            planned.unknown_checks.setdefault(key, []).append(event.pk)
        else:
            planned.sessions[event.resource_id] = None
    mark_processed(done)
    return planned


def enqueue_client_sessions(
    account: Account, client_id: str, events: Sequence[int], also: Iterable[str] = ()
) -> int:
    """
    Make all sessions of a client due and finish the events that required it, in one transaction.

    Args:
        account: The account of the sessions.
        client_id: The vendor's id of the client.
        events: Primary keys of the events.
        also: Further sessions of the client, which may not be stored yet.

    Returns:
        How many sessions are due.
    """
    alias = write_alias()

    def write() -> int:
        stored = own_sessions(account).filter(client_id=client_id).values_list("pk", flat=True)
        ids = {*stored, *also}
        with transaction.atomic(using=alias):
            enqueue_sessions(account, ids, REASON_WEBHOOK)
            mark_processed(events)
        return len(ids)

    return retry_transient(write, alias=alias)


def claim_for_sessions(account: Account, session_ids: Sequence[str]) -> ClaimedEvents:
    """
    Claim and return all open events of sessions that are about to be fetched.

    Events that arrive later are not included, and do not count as processed by the fetch that follows.
    """
    concerned: dict[str, set[str]] = {session_id: {session_id} for session_id in session_ids}
    named = _checks_of_sessions(session_ids)
    for check_id, sessions in _sessions_of_checks(account, named).items():
        concerned.setdefault(check_id, set()).update(sessions)
    of_kind = Q(type__startswith=SESSION_EVENT) | Q(type__startswith=CHECK_EVENT)
    sessions_of: dict[int, set[str]] = {}
    for some in chunks(concerned, WRITTEN_AT_ONCE):
        rows = _open_events(account.name).filter(of_kind, resource_id__in=some)
        sessions_of |= {pk: concerned[key] for pk, key in rows.values_list("pk", "resource_id")}
    _events(sessions_of).filter(next_try_at=None).update(
        next_try_at=timezone.now() + visibility_timeout(len(session_ids))
    )
    return ClaimedEvents(sessions_of)


def delete_events_of_erased_client(
    account: Account, client_id: str, check_id: str, events: Iterable[int]
) -> None:
    """
    Delete events of a check that belongs to an erased client according to the API, and store its tombstone.

    If only an event names the client of the check, use ``delete_events``, as an event proves nothing.
    """
    alias = write_alias()

    def write() -> None:
        with transaction.atomic(using=alias):
            tombstones.lock_shared(account.name, alias)
            if erasure := tombstones.erasure_of(account.name, client_id):
                named = {digests.CHECK: [check_id]}
                tombstones.add_tombstones_of_client(erasure, named, alias=alias)
            delete_events(events)

    retry_transient(write, alias=alias)


def mark_processed(events: Iterable[int]) -> None:
    """Mark events as processed."""
    _update(events, processed_at=timezone.now(), next_try_at=None, error="")


def delete_events(events: Iterable[int]) -> None:
    """Delete events of erased persons."""
    _events(events).delete()


def abandon(events: Iterable[int], reason: str) -> None:
    """Give up on events, with the reason."""
    _update(events, processed_at=timezone.now(), next_try_at=None, error=reason)


def record_failure(events: Iterable[int], reason: str) -> None:
    """Schedule a retry after a growing delay, and give up after ten attempts."""
    now = timezone.now()
    attempts: dict[int, list[int]] = {}
    for pk, tried in _events(events).values_list("pk", "attempts"):
        attempts.setdefault(tried, []).append(pk)
    for tried, pks in attempts.items():
        if tried + 1 >= MAX_ATTEMPTS:
            abandon(pks, reason)
        else:
            _update(pks, next_try_at=now + retry_delay(tried + 1), error=reason)


def defer(events: Iterable[int], reason: str) -> None:
    """Postpone events that failed for a general reason: a refused key, a used-up quota."""
    # The reason names the session whose request failed, which may not be one of these events.
    account = _events(events).values_list("account", flat=True).first()
    reason = tombstones.redact_erased(account or "", {"": reason})[""]
    _events(events).update(next_try_at=timezone.now() + FIRST_DELAY, error=reason)


def release(events: Iterable[int]) -> None:
    """Release events that were claimed but not processed."""
    _events(events).update(next_try_at=None)


def process_again(events: QuerySet[WebhookEvent]) -> int:
    """Make events due now, even processed ones; return how many."""
    return events.using(write_alias()).update(
        processed_at=None, next_try_at=None, attempts=0, error=""
    )


def _reset_events(account: Account) -> int:
    """Make events due whose next try was set by a wrong clock; return how many."""
    wrong = _open_events(account.name).filter(clocks.waits_too_long(timezone.now()))
    pks = list(wrong.values_list("pk", flat=True))
    return tell_reset(account, "event", _events(pks).update(next_try_at=None) if pks else 0)


def _update(events: Iterable[int], **values: object) -> None:
    _events(events).update(attempts=F("attempts") + 1, **values)


def _events(pks: Iterable[int]) -> QuerySet[WebhookEvent]:
    rows = WebhookEvent.objects.using(write_alias())
    return rows.filter(pk__in=list(pks), processed_at=None)


def _open_events(account: str) -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.using(write_alias()).filter(account=account, processed_at=None)


def _checks_of_sessions(session_ids: Sequence[str]) -> list[str]:
    rows = RelatedCheck.objects.using(write_alias()).filter(session__in=session_ids)
    return list(rows.values_list("check_id", flat=True))


def _sessions_of_checks(account: Account, check_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the stored sessions that contain each check; unknown checks are absent."""
    sessions_of: dict[str, set[str]] = {}
    for some in chunks(check_ids, WRITTEN_AT_ONCE):
        rows = RelatedCheck.objects.using(write_alias()).filter(
            check_id__in=some,
            session__account=account.name,
            session__environment=account.environment,
        )
        for check_id, session_id in rows.values_list("check_id", "session_id"):
            sessions_of.setdefault(check_id, set()).add(session_id)
    return sessions_of


def _is_check(event: WebhookEvent) -> bool:
    return str(event.type).startswith(CHECK_EVENT)


def _is_safe(resource_id: str) -> bool:
    try:
        validate_id(resource_id)
    except ComplyCubeInvalidIdError:
        return False
    return True
