"""
Removing what must not be kept: a person who asks for it, and what has outlived its retention.

An erasure first leaves its hashes, by one short transaction that excludes all writers of its accounts; from
then on nothing of the person is written. The rows go after that in bounded batches, sessions last, so that
an erasure that was killed finds the rest when it is run again, and its record tells what it had removed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from complycube_sessions.api.payloads import ID_LENGTH, printable_id
from complycube_sessions.conf import conf
from complycube_sessions.exceptions import (
    ComplyCubeClientNotFoundError,
    ComplyCubeInvalidIdError,
    ComplyCubeProtectedError,
)
from complycube_sessions.models import (
    Erasure,
    PruneRun,
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.services import erasures
from complycube_sessions.services.accounts import known_accounts
from complycube_sessions.services.database import retry_transient, write_alias
from complycube_sessions.services.erasures import ANY_ACCOUNT, CHECK, SESSION, chunks
from complycube_sessions.services.near_ids import clients_like, same_client
from complycube_sessions.services.refresh import refuse_open_transaction
from complycube_sessions.services.removal import (
    Gone,
    Removal,
    Removed,
    Rows,
    clean_errors,
    forget_evidence,
    pages,
    traces,
    within,
)
from complycube_sessions.services.retention import cutoff, expired, protection

__all__ = ["Removed", "erase_client", "lift_erasure", "prune"]

logger = logging.getLogger("complycube_sessions.privacy")

COMMAND: Final = "command"
_RESULTS: Final = "results of checks"


@dataclass(slots=True)
class Person:
    """All ids under which a client is known in an account, or in all for ``ANY_ACCOUNT``."""

    scope: str
    client_id: str
    # As the vendor wrote the client's id, with spaces around it or without.
    spellings: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)

    @property
    def ids(self) -> frozenset[str]:
        return frozenset({*self.spellings, *self.sessions, *self.checks})


def erase_client(
    client_id: str,
    *,
    account: str | None = None,
    actor: str = COMMAND,
    reason: str = "",
    override: str = "",
    block_unknown: bool = False,
    dry_run: bool = False,
) -> Removed:
    """
    Remove a client from every table, and leave hashes by which nobody brings the client back.

    It can be run again, and then removes what is there by now. Call it outside of a transaction.

    Args:
        client_id: The vendor's id of the client.
        account: Whose client; None for every account that has rows or is configured, now or later.
        actor: Who erases: the id of a user, or ``command``. No name: it is kept for ever.
        reason: Why; it is kept for ever as well.
        override: Why a hold or the minimum retention does not count, or ``""``.
        block_unknown: Leave the hash of the client even where nothing of the client is stored.
        dry_run: Only count.

    Returns:
        What was removed. Sessions to which rows of other apps refer stay, each named in ``left``.

    Raises:
        ComplyCubeInvalidIdError: The id is empty or too long for one.
        ComplyCubeClientNotFoundError: Nothing is stored of the client, who was not erased before either.
        ComplyCubeProtectedError: A session is held or too young, and there is no override.
    """
    _check_client_id(client_id)
    refuse_open_transaction()
    scope = account or ANY_ACCOUNT
    person = _gather(scope, client_id)
    if not (block_unknown or _is_known(person)):
        raise ComplyCubeClientNotFoundError(
            f"Nothing is stored of a client {printable_id(client_id)}; nobody was erased.",
            near=clients_like(client_id, scope),
        )
    judged = _judge(person, override, dry_run=dry_run)
    removal = Removal(dry_run=dry_run)
    while not dry_run:
        removal.record = _bury(person, judged, actor=actor, reason=reason, override=override)
        if removal.record is not None:
            break
        person = _gather(scope, client_id)
        judged = _judge(person, override, dry_run=dry_run)
    removal.removed.refuse({i: why for i, why in judged.items() if why})
    for rows in _rows_of(person):
        removal.take(rows)
    clean_errors(scope, person.ids, removal)
    forget_evidence(person.sessions, removal)
    for some in chunks(sorted(person.sessions)):
        removal.take_parts(some, str, lambda ids: [_sessions().filter(pk__in=ids)])
    if not dry_run:
        mark = erasures.digest(erasures.CLIENT, client_id)[: erasures.SHORT_DIGEST]
        logger.info("Erased client %s.", mark, extra={"account": scope, "actor": actor})
    return removal.removed


def lift_erasure(
    client_id: str, *, account: str | None = None, actor: str = COMMAND, dry_run: bool = False
) -> int:
    """
    End the erasure of a client who has returned, or let in one session; return how many hashes that had left.

    What the API still holds of them comes back with the next full refresh. A session of a client whose
    erasure counts is refused again, by its client.

    Args:
        client_id: The vendor's id of the client, or of the session.
        account: In which account; None for all. An erasure of all accounts can only be lifted in all.
        actor: Who lifts it, for the log.
        dry_run: Only count.

    Raises:
        ComplyCubeInvalidIdError: The id is empty or too long for one.
    """
    _check_client_id(client_id)
    refuse_open_transaction()
    left = erasures.of_client(account, client_id)
    if not left.exists():
        left = erasures.of_session(account, client_id)
    if dry_run:
        return left.count()
    alias = write_alias()

    def lift() -> int:
        with transaction.atomic(using=alias, durable=True):
            _own_gates(account or ANY_ACCOUNT, alias)
            return left.delete()[0]

    count = retry_transient(lift, alias=alias)
    mark = erasures.digest(erasures.CLIENT, client_id)[: erasures.SHORT_DIGEST]
    logger.info(
        "Lifted the erasure of %s.", mark, extra={"account": account or ANY_ACCOUNT, "actor": actor}
    )
    return count


def prune(*, actor: str = COMMAND, override: str = "", dry_run: bool = False) -> Removed:
    """
    Remove what is older than ``COMPLYCUBE_RETENTION`` allows, in batches; the rest of a killed one is next time's.

    Where ``COMPLYCUBE_CHECK_RESULTS`` is ``"none"``, the results that are still stored are removed as
    well, however old they are.

    Args:
        actor: Who prunes, for the record.
        override: Why holds and the minimum retention do not count, or ``""``; it is recorded.
        dry_run: Only count.

    Returns:
        What was removed, and why what else would have been was not.

    Raises:
        ComplyCubeConfigurationError: A setting is wrong.
    """
    _check_settings()
    refuse_open_transaction()
    removal = Removal(dry_run=dry_run)
    removed = removal.removed
    stages = (_prune_results, _prune_changes, _prune_runs, _prune_events, _prune_sessions)
    if dry_run:
        for stage in stages:
            stage(removal, override)
        return removed
    alias = write_alias()
    record = PruneRun(actor=actor, override=override)
    record.save(using=alias)
    removal.record = record
    for stage in stages:
        stage(removal, override)
        record.protected = removed.protected_count + removed.left_count
        record.save(using=alias, update_fields=["protected"])
    record.finished_at = timezone.now()
    record.save(using=alias, update_fields=["finished_at"])
    return removed


# One person


def _check_client_id(client_id: str) -> None:
    if not client_id.strip() or len(client_id) > ID_LENGTH:
        raise ComplyCubeInvalidIdError(
            f"{printable_id(client_id)} is not a possible client id: it must have 1 to {ID_LENGTH} "
            "characters, as the ComplyCube portal shows it."
        )


def _gather(scope: str, client_id: str) -> Person:
    """
    Return all ids that the API has named as the client's, as far as rows tell.

    What events name is not the client's for that: an event may say what it likes.
    """
    spellings = {client_id, *same_client(client_id, scope)}
    person = Person(scope, client_id, spellings)
    stored = within(scope, WorkflowSession).filter(client_id__in=spellings)
    person.sessions.update(stored.values_list("pk", flat=True))
    for some in chunks(sorted(person.sessions)):
        checks = RelatedCheck.objects.using(write_alias()).filter(session__in=some)
        person.checks.update(checks.order_by().values_list("check_id", flat=True))
    for some in chunks(sorted(person.checks)):
        foreign = RelatedCheck.objects.using(write_alias()).filter(check_id__in=some)
        foreign = foreign.exclude(session__in=stored)
        person.checks.difference_update(foreign.order_by().values_list("check_id", flat=True))
    return person


def _is_known(person: Person) -> bool:
    """Return whether there is anything to erase, or an erasure before has left its hash."""
    events = within(person.scope, WebhookEvent)
    named = Q(client_id__in=person.spellings) | Q(resource_id__in=person.spellings)
    if person.sessions or events.filter(named).exists():
        return True
    if person.scope == ANY_ACCOUNT:
        return erasures.of_client(None, person.client_id).exists()
    return erasures.erasure_of(person.scope, person.client_id) is not None


def _judge(person: Person, override: str, *, dry_run: bool) -> dict[str, str]:
    """Return why each session is protected, ``""`` for those that are not; raise without an override."""
    judged = dict.fromkeys(person.sessions, "")
    for some in chunks(sorted(person.sessions), 100):
        judged |= protection(_sessions().filter(pk__in=some).order_by("pk"))
    reasons = {session_id: why for session_id, why in judged.items() if why}
    if reasons and not override:
        verb = "would be refused" if dry_run else "is refused"
        raise ComplyCubeProtectedError(
            f"The erasure {verb}: {len(reasons)} of {len(judged)} sessions are protected, and nothing was "
            "removed.",
            reasons=reasons,
        )
    return judged


def _bury(
    person: Person, judged: Iterable[str], *, actor: str, reason: str, override: str
) -> Erasure | None:
    """
    Leave the hashes while nobody writes; return None where a session has come that nobody has judged.

    What was not judged needs no judgement where an erasure before has left its hashes: there is nothing.
    """
    alias = write_alias()

    def write() -> Erasure | None:
        with transaction.atomic(using=alias, durable=True):
            _own_gates(person.scope, alias)
            now = _gather(person.scope, person.client_id)
            if not now.sessions <= set(judged):
                return None
            person.spellings = now.spellings
            person.sessions, person.checks = now.sessions, now.checks
            return erasures.bury(
                person.scope,
                person.client_id,
                {SESSION: now.sessions, CHECK: now.checks},
                actor=actor,
                reason=reason,
                override=override,
                alias=alias,
            )

    return retry_transient(write, alias=alias)


def _own_gates(scope: str, alias: str) -> None:
    """Keep all writers of an account, or of every account, waiting; in one order, so that nobody is stuck."""
    for name in sorted(known_accounts()) if scope == ANY_ACCOUNT else [scope]:
        erasures.own_gate(name, alias)


def _rows_of(person: Person) -> Iterator[Rows]:
    """Yield all rows that name a person but those of the sessions themselves."""
    events = within(person.scope, WebhookEvent)
    yield events.filter(client_id__in=person.spellings)
    for some in chunks(sorted(person.ids)):
        # What has gone with its client is counted there.
        yield events.filter(resource_id__in=some).exclude(client_id__in=person.spellings)
    yield from traces(person.scope, person.sessions, person.checks)


def _sessions() -> Rows:
    return WorkflowSession.objects.using(write_alias())


# Retention


def _check_settings() -> None:
    """Raise for a wrong setting before anything is removed by those that are right."""
    for name in ("RETENTION", "MINIMUM_RETENTION", "LEGAL_HOLD", "CHECK_RESULTS"):
        getattr(conf, f"COMPLYCUBE_{name}")


def _gone_before_sessions() -> Gone:
    """Return what has gone by its own age when the sessions go, and with it does not go once more."""
    gone: dict[Any, Q] = {}
    if (before := cutoff("SessionChange")) is not None:
        gone[SessionChange] = Q(observed_at__lt=before)
    if (before := cutoff("WebhookEvent")) is not None:
        gone[WebhookEvent] = Q(received_at__lt=before, processed_at__isnull=False)
    return gone


def _prune_results(removal: Removal, override: str) -> None:
    """Remove the results of checks where the settings keep none."""
    if conf.COMPLYCUBE_CHECK_RESULTS != "none":
        return
    checks = RelatedCheck.objects.using(write_alias()).filter(result_fetched_at__isnull=False)
    for page in pages(checks.defer("result", "raw")):
        held = _held({check.session_id for check in page}, removal.removed, override)
        free = [check.pk for check in page if check.session_id not in held]
        removal.count_in(partial(_empty_results, free, dry_run=removal.dry_run))


def _empty_results(checks: list[int], *, dry_run: bool) -> Counter[str]:
    rows = RelatedCheck.objects.using(write_alias()).filter(pk__in=checks)
    rows = rows.filter(result_fetched_at__isnull=False)
    number = rows.count() if dry_run else rows.update(result={}, result_fetched_at=None)
    return +Counter({_RESULTS: number})


def _prune_sessions(removal: Removal, override: str) -> None:
    before = cutoff("WorkflowSession")
    if before is None:
        return
    removal.gone = _gone_before_sessions()
    rows = _sessions().filter(expired(before))
    for page in pages(rows.only("pk", "account")):
        held = _held({row.pk for row in page}, removal.removed, override)
        accounts: dict[str, list[str]] = {}
        for row in page:
            if row.pk not in held:
                accounts.setdefault(row.account, []).append(row.pk)
        for account, ids in accounts.items():
            _prune_batch(account, ids, rows, removal)


def _prune_batch(account: str, ids: list[str], old: Rows, removal: Removal) -> None:
    """Remove sessions with all that belongs to them, unless they have moved since they were found."""

    def rows_of(some: list[str]) -> Iterator[Rows]:
        found = old.filter(pk__in=some).order_by("pk")
        if not removal.dry_run:
            found = found.select_for_update()
        still = list(found.values_list("pk", flat=True))
        named = RelatedCheck.objects.using(write_alias()).filter(session__in=still)
        checks = list(named.order_by().values_list("check_id", flat=True).distinct())
        events = WebhookEvent.objects.using(write_alias()).filter(account=account)
        for named_ids in chunks([*still, *checks]):
            # An open one may tell that the session has just moved.
            yield events.filter(resource_id__in=named_ids, processed_at__isnull=False)
        yield from traces(account, still, checks)
        yield _sessions().filter(pk__in=still)

    removal.take_parts(ids, str, rows_of)


def _prune_changes(removal: Removal, override: str) -> None:
    before = cutoff("SessionChange")
    if before is None:
        return
    changes = SessionChange.objects.using(write_alias())
    for page in pages(changes.filter(observed_at__lt=before).only("pk", "session_id")):
        held = _held({change.session_id for change in page}, removal.removed, override)
        free = [change.pk for change in page if change.session_id not in held]
        removal.take(changes.filter(pk__in=free))


def _prune_runs(removal: Removal, override: str) -> None:
    """Remove old runs but the one whose watermark counts, and those that are alive."""
    before = cutoff("RefreshRun")
    if before is None:
        return
    alias = write_alias()
    runs = RefreshRun.objects.using(alias)
    needed = set(
        RefreshLease.objects.using(alias).exclude(run=None).values_list("run_id", flat=True)
    )
    marks = runs.exclude(watermark=None).order_by().values("account", "environment")
    needed.update(marks.annotate(last=Max("pk")).values_list("last", flat=True))
    old = runs.filter(started_at__lt=before).exclude(state=RefreshRun.State.RUNNING)
    removal.take(old.exclude(pk__in=needed))


def _prune_events(removal: Removal, override: str) -> None:
    before = cutoff("WebhookEvent")
    if before is not None:
        events = WebhookEvent.objects.using(write_alias())
        removal.take(events.filter(received_at__lt=before, processed_at__isnull=False))


def _held(session_ids: Iterable[str], removed: Removed, override: str) -> set[str]:
    """Return those of the sessions that must be left, and name them; none with an override."""
    reasons: dict[str, str] = {}
    for some in chunks(sorted(session_ids), 100):
        reasons |= protection(_sessions().filter(pk__in=some).order_by("pk"))
    removed.refuse(reasons)
    return set() if override else set(reasons)
