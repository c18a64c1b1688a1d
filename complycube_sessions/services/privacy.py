"""
Removing what must not be kept: a person who asks for it, and what has outlived its retention.

An erasure first leaves its hashes, by one short transaction that excludes all writers of the account; from
then on nothing of the person is written. The rows go after that in bounded batches, sessions last, so that
an erasure that was killed finds the rest when it is run again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from django.apps import apps
from django.db import models, router, transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.deletion import ProtectedError, RestrictedError
from django.utils import timezone

from complycube_sessions.api.payloads import ID_LENGTH, printable_id
from complycube_sessions.api.webhooks import CHECK_EVENT, SESSION_EVENT
from complycube_sessions.conf import conf
from complycube_sessions.exceptions import ComplyCubeInvalidIdError, ComplyCubeProtectedError
from complycube_sessions.models import (
    PendingRefresh,
    PruneRun,
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    SessionEvidence,
    SessionNameWord,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.services import erasures
from complycube_sessions.services.database import retry_transient, write_alias
from complycube_sessions.services.day_figures import mark_changed
from complycube_sessions.services.erasures import AT_ONCE, CHECK, SESSION, chunks
from complycube_sessions.services.evidence import forget_sessions
from complycube_sessions.services.refresh import refuse_open_transaction
from complycube_sessions.services.retention import cutoff, expired, protection

logger = logging.getLogger("complycube_sessions.privacy")

MAX_NAMED: Final = 1000
COMMAND: Final = "command"
_RESULTS: Final = "results of checks"

Rows = QuerySet[Any]


@dataclass(slots=True)
class Person:
    """All ids under which a client is known in an account."""

    account: str
    client_id: str
    sessions: set[str] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)

    @property
    def ids(self) -> frozenset[str]:
        return frozenset({self.client_id, *self.sessions, *self.checks})


@dataclass(slots=True)
class Removed:
    """
    What was removed, or would be.

    ``rows`` counts by model; ``protected`` has a reason by session id, the first 1,000 of
    ``protected_count``.
    """

    rows: Counter[str] = field(default_factory=Counter)
    protected: dict[str, str] = field(default_factory=dict)
    protected_count: int = 0

    def refuse(self, reasons: dict[str, str]) -> None:
        """Note sessions that were left, each once."""
        for session_id, reason in reasons.items():
            if session_id not in self.protected:
                self.protected_count += 1
                if len(self.protected) < MAX_NAMED:
                    self.protected[session_id] = reason


def erase_client(
    client_id: str,
    *,
    account: str = "default",
    actor: str = COMMAND,
    reason: str = "",
    override: str = "",
    dry_run: bool = False,
) -> Removed:
    """
    Remove a client from every table, and leave hashes by which nobody brings the client back.

    It can be run again, and then removes what is there by now. Call it outside of a transaction.

    Args:
        client_id: The vendor's id of the client; nothing needs to be stored of it.
        account: Whose client.
        actor: Who erases: the id of a user, or ``command``. No name: it is kept for ever.
        reason: Why; it is kept for ever as well.
        override: Why a hold or the minimum retention does not count, or ``""``.
        dry_run: Only count.

    Raises:
        ComplyCubeInvalidIdError: The id is empty or too long for one.
        ComplyCubeProtectedError: A session is held or too young, and there is no override; or rows of
            the project protect it. Of the former nothing was removed.
    """
    _check_client_id(client_id)
    refuse_open_transaction()
    person = _gather(account, client_id)
    judged = _judge(person, override, dry_run=dry_run)
    while not dry_run and not _bury(person, judged, actor=actor, reason=reason, override=override):
        person = _gather(account, client_id)
        judged = _judge(person, override, dry_run=dry_run)
    removed = Removed()
    removed.protected = {i: why for i, why in judged.items() if why}
    removed.protected_count = len(removed.protected)
    for rows in _rows_of(person):
        _remove(rows, removed, dry_run=dry_run)
    _clean_errors(person, removed, dry_run=dry_run)
    _forget_evidence(person, removed, dry_run=dry_run)
    for some in chunks(sorted(person.sessions)):
        for rows in _session_rows(some):
            _remove(rows, removed, dry_run=dry_run)
    if not dry_run:
        mark = erasures.digest(erasures.CLIENT, client_id)[: erasures.SHORT_DIGEST]
        logger.info("Erased client %s.", mark, extra={"account": account, "actor": actor})
    return removed


def lift_erasure(
    client_id: str, *, account: str = "default", actor: str = COMMAND, dry_run: bool = False
) -> int:
    """
    End the erasure of a client who has returned; return how many hashes it had left.

    What the API still holds of the client comes back with the next full refresh.

    Raises:
        ComplyCubeInvalidIdError: The id is empty or too long for one.
    """
    _check_client_id(client_id)
    refuse_open_transaction()
    left = erasures.of_client(account, client_id)
    if dry_run:
        return left.count()
    alias = write_alias()

    def lift() -> int:
        with transaction.atomic(using=alias, durable=True):
            erasures.own_gate(account, alias)
            return left.delete()[0]

    count = retry_transient(lift, alias=alias)
    mark = erasures.digest(erasures.CLIENT, client_id)[: erasures.SHORT_DIGEST]
    logger.info(
        "Lifted the erasure of client %s.", mark, extra={"account": account, "actor": actor}
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
    alias = write_alias()
    removed = Removed()
    record = PruneRun(actor=actor, override=override)
    stages = _prune_stages(removed, override=override, dry_run=dry_run)
    if dry_run:
        for stage in stages:
            stage()
        return removed
    record.save(using=alias)
    for stage in stages:
        stage()
        record.removed, record.protected = dict(removed.rows), removed.protected_count
        record.save(using=alias)
    record.finished_at = timezone.now()
    record.save(using=alias)
    return removed


# One person


def _check_client_id(client_id: str) -> None:
    if not client_id.strip() or len(client_id) > ID_LENGTH:
        raise ComplyCubeInvalidIdError(
            f"{printable_id(client_id)} is not a possible client id: it must have 1 to {ID_LENGTH} "
            "characters, as the ComplyCube portal shows it."
        )


def _gather(account: str, client_id: str) -> Person:
    """Return all that names the client by now: rows of sessions, and events that name their client."""
    alias = write_alias()
    person = Person(account, client_id)
    stored = WorkflowSession.objects.using(alias).filter(account=account, client_id=client_id)
    person.sessions.update(stored.values_list("pk", flat=True))
    for some in chunks(sorted(person.sessions)):
        checks = RelatedCheck.objects.using(alias).filter(session__in=some)
        person.checks.update(checks.order_by().values_list("check_id", flat=True))
    events = WebhookEvent.objects.using(alias).filter(account=account, client_id=client_id)
    for kind, ids in ((SESSION_EVENT, person.sessions), (CHECK_EVENT, person.checks)):
        named = events.filter(type__startswith=kind).exclude(resource_id="")
        ids.update(set(named.values_list("resource_id", flat=True).distinct()))
    # An event may say what it likes: what is stored as another client's stays.
    for some in chunks(sorted(person.sessions)):
        others = WorkflowSession.objects.using(alias).filter(pk__in=some)
        others = others.exclude(account=account, client_id=client_id)
        person.sessions.difference_update(others.values_list("pk", flat=True))
    for some in chunks(sorted(person.checks)):
        foreign = RelatedCheck.objects.using(alias).filter(check_id__in=some)
        foreign = foreign.exclude(session__account=account, session__client_id=client_id)
        person.checks.difference_update(foreign.order_by().values_list("check_id", flat=True))
    return person


def _judge(person: Person, override: str, *, dry_run: bool) -> dict[str, str]:
    """Return why each session is protected, ``""`` for those that are not; raise without an override."""
    judged = dict.fromkeys(person.sessions, "")
    for some in chunks(sorted(person.sessions), 100):
        rows = WorkflowSession.objects.using(write_alias()).filter(pk__in=some)
        judged |= protection(rows.order_by("pk"))
    reasons = {session_id: why for session_id, why in judged.items() if why}
    if reasons and not override:
        verb = "would be refused" if dry_run else "is refused"
        raise ComplyCubeProtectedError(
            f"The erasure {verb}: {len(reasons)} of {len(judged)} sessions are protected, and nothing was "
            "removed.",
            reasons=reasons,
        )
    return judged


def _bury(person: Person, judged: Iterable[str], *, actor: str, reason: str, override: str) -> bool:
    """
    Leave the hashes while nobody writes; return False where a session has come that nobody has judged.

    What was not judged needs no judgement where an erasure before has left its hashes: there is nothing.
    """
    alias = write_alias()

    def write() -> bool:
        with transaction.atomic(using=alias, durable=True):
            erasures.own_gate(person.account, alias)
            now = _gather(person.account, person.client_id)
            if not now.sessions <= set(judged):
                return False
            person.sessions, person.checks = now.sessions, now.checks
            erasures.bury(
                person.account,
                person.client_id,
                {SESSION: now.sessions, CHECK: now.checks},
                actor=actor,
                reason=reason,
                override=override,
                alias=alias,
            )
        return True

    return retry_transient(write, alias=alias)


def _rows_of(person: Person) -> Iterator[Rows]:
    """Yield all rows that name a person but those of the sessions themselves."""
    events = WebhookEvent.objects.using(write_alias()).filter(account=person.account)
    yield events.filter(client_id=person.client_id)
    for some in chunks(sorted(person.ids)):
        # What has gone with its client is counted there.
        yield events.filter(resource_id__in=some).exclude(client_id=person.client_id)
    yield from _traces(person.account, sorted(person.sessions), sorted(person.checks))


def _traces(account: str, sessions: list[str], checks: list[str]) -> Iterator[Rows]:
    """Yield the pending work and the lines of the admin's log that name sessions or checks."""
    for some in chunks(sessions):
        pending = PendingRefresh.objects.using(write_alias()).filter(account=account)
        yield pending.filter(session_id__in=some)
    if apps.is_installed("django.contrib.admin"):
        log: Any = apps.get_model("admin", "LogEntry")
        lines = log.objects.using(router.db_for_write(log))
        lines = lines.filter(content_type__app_label="complycube_sessions")
        for some in chunks([*sessions, *checks]):
            yield lines.filter(Q(object_id__in=some) | Q(object_repr__in=some))


def _session_rows(session_ids: list[str]) -> Iterator[Rows]:
    """Yield the rows of sessions, each before those that it belongs to."""
    alias = write_alias()
    of_session: tuple[type[models.Model], ...] = (SessionNameWord, SessionChange, RelatedCheck)
    for model in of_session:
        yield model._default_manager.using(alias).filter(session__in=session_ids)
    yield WorkflowSession.objects.using(alias).filter(pk__in=session_ids)


def _remove(rows: Rows, removed: Removed, *, dry_run: bool) -> None:
    """Delete rows in batches, each a transaction of its own, or count them."""
    if dry_run:
        if count := rows.count():
            removed.rows[rows.model.__name__] += count
        return
    while removed_now := retry_transient(lambda: _remove_some(rows), alias=rows.db):
        removed.rows.update(removed_now)


def _remove_some(rows: Rows) -> Counter[str]:
    alias = rows.db
    with transaction.atomic(using=alias):
        pks = list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
        if not pks:
            return Counter()
        return _delete(rows.model._default_manager.using(alias).filter(pk__in=pks))


def _delete(rows: Rows) -> Counter[str]:
    """
    Delete rows with what depends on them, and return how many of which model.

    The kept figures of the days on which deleted sessions were created no longer count.

    Raises:
        ComplyCubeProtectedError: Rows of the project refer to them and forbid it.
    """
    if rows.model is WorkflowSession:
        mark_changed(rows.values_list("created_at", flat=True), alias=rows.db)
    try:
        _, by_label = rows.delete()
    except (ProtectedError, RestrictedError) as error:
        names = sorted({row._meta.label for row in error.args[1]})
        raise ComplyCubeProtectedError(
            f"Rows of {', '.join(names)} protect rows of {rows.model.__name__}: remove those first, and "
            "run this again.",
            reasons={},
        ) from None
    return Counter({label.rpartition(".")[2]: count for label, count in by_label.items() if count})


def _clean_errors(person: Person, removed: Removed, *, dry_run: bool) -> None:
    """Take the ids of a person out of the errors of runs, events and pending work of others."""
    alias = write_alias()
    ids = person.ids
    runs = RefreshRun.objects.using(alias).filter(account=person.account, error_count__gt=0)
    for run in _each(runs, ("account", "errors")):
        errors = run.errors if isinstance(run.errors, dict) else {}
        if erasures.without_ids(errors, ids) == errors:
            continue
        removed.rows["RefreshRun.errors"] += 1
        if not dry_run:
            retry_transient(partial(_clean_run, run.pk, ids, alias), alias=alias)
    with_error: tuple[type[models.Model], ...] = (WebhookEvent, PendingRefresh)
    for model in with_error:
        rows = model._default_manager.using(alias).filter(account=person.account)
        for row in _each(rows.exclude(error=""), ("error",)):
            text = erasures.blot_out(row.error, ids)
            if text != row.error and not dry_run:
                rows.filter(pk=row.pk, error=row.error).update(error=text)


def _forget_evidence(person: Person, removed: Removed, *, dry_run: bool) -> None:
    """Take the ids out of the records of evidence; the hashes of the files stay, and name nobody."""
    alias = write_alias()
    for some in chunks(sorted(person.sessions)):
        records = SessionEvidence.objects.using(alias).filter(session_id__in=some)
        count = (
            records.count()
            if dry_run
            else retry_transient(partial(forget_sessions, some), alias=alias)
        )
        if count:
            removed.rows["SessionEvidence.session_id"] += count


def _clean_run(pk: int, ids: frozenset[str], alias: str) -> None:
    with transaction.atomic(using=alias):
        run = (
            RefreshRun.objects.using(alias).select_for_update().only("errors").filter(pk=pk).first()
        )
        if run is not None:
            run.errors = erasures.without_ids(run.errors, ids)
            run.save(using=alias, update_fields=["errors"])


def _each(rows: Rows, fields: tuple[str, ...], *, size: int = AT_ONCE) -> Iterator[Any]:
    """Yield rows in the order of their keys, a bounded number in memory, whatever becomes of them."""
    for some in _pages(rows.only("pk", *fields), size):
        yield from some


def _pages(rows: Rows, size: int = AT_ONCE) -> Iterator[list[Any]]:
    after = Q()
    while page := list(rows.filter(after).order_by("pk")[:size]):
        yield page
        after = Q(pk__gt=page[-1].pk)


# Retention


def _check_settings() -> None:
    """Raise for a wrong setting before anything is removed by those that are right."""
    for name in ("RETENTION", "MINIMUM_RETENTION", "LEGAL_HOLD", "CHECK_RESULTS"):
        getattr(conf, f"COMPLYCUBE_{name}")


def _prune_stages(removed: Removed, *, override: str, dry_run: bool) -> list[Any]:
    def stage(work: Any) -> Any:
        return lambda: work(removed, override=override, dry_run=dry_run)

    kinds = (_prune_results, _prune_sessions, _prune_changes, _prune_runs, _prune_events)
    return [stage(work) for work in kinds]


def _prune_results(removed: Removed, *, override: str, dry_run: bool) -> None:
    """Remove the results of checks where the settings keep none."""
    if conf.COMPLYCUBE_CHECK_RESULTS != "none":
        return
    alias = write_alias()
    checks = RelatedCheck.objects.using(alias).filter(result_fetched_at__isnull=False)
    for page in _pages(checks.defer("result", "raw")):
        held = _held({check.session_id for check in page}, removed, override)
        free = [check.pk for check in page if check.session_id not in held]
        if not free:
            continue
        removed.rows[_RESULTS] += len(free)
        if not dry_run:
            rows = RelatedCheck.objects.using(alias).filter(pk__in=free)
            retry_transient(partial(rows.update, result={}, result_fetched_at=None), alias=alias)


def _prune_sessions(removed: Removed, *, override: str, dry_run: bool) -> None:
    before = cutoff("WorkflowSession")
    if before is None:
        return
    alias = write_alias()
    rows = WorkflowSession.objects.using(alias).filter(expired(before))
    for page in _pages(rows.only("pk", "account")):
        held = _held({row.pk for row in page}, removed, override)
        accounts: dict[str, list[str]] = {}
        for row in page:
            if row.pk not in held:
                accounts.setdefault(row.account, []).append(row.pk)
        for account, ids in accounts.items():
            _prune_batch(account, ids, rows, removed, dry_run=dry_run)


def _prune_batch(
    account: str, ids: list[str], old: Rows, removed: Removed, *, dry_run: bool
) -> None:
    """Remove sessions with all that belongs to them, unless they have moved since they were found."""
    alias = write_alias()

    def counted(rows: Rows) -> Counter[str]:
        if not dry_run:
            return _delete(rows)
        count = rows.count()
        return Counter({rows.model.__name__: count}) if count else Counter()

    def write() -> Counter[str]:
        counts: Counter[str] = Counter()
        with transaction.atomic(using=alias):
            found = old.filter(pk__in=ids).order_by("pk")
            if not dry_run:
                found = found.select_for_update()
            still = list(found.values_list("pk", flat=True))
            named = RelatedCheck.objects.using(alias).filter(session__in=still)
            checks = list(named.order_by().values_list("check_id", flat=True).distinct())
            events = WebhookEvent.objects.using(alias).filter(account=account)
            for some in chunks([*still, *checks]):
                # An open one may tell that the session has just moved.
                counts += counted(events.filter(resource_id__in=some, processed_at__isnull=False))
            for rows in (*_traces(account, still, checks), *_session_rows(still)):
                counts += counted(rows)
        return counts

    try:
        removed.rows.update(retry_transient(write, alias=alias))
    except ComplyCubeProtectedError as error:
        if len(ids) == 1:
            removed.refuse({ids[0]: str(error)})
            return
        middle = len(ids) // 2
        for half in (ids[:middle], ids[middle:]):
            _prune_batch(account, half, old, removed, dry_run=dry_run)


def _prune_changes(removed: Removed, *, override: str, dry_run: bool) -> None:
    before = cutoff("SessionChange")
    if before is None:
        return
    alias = write_alias()
    changes = SessionChange.objects.using(alias)
    for page in _pages(changes.filter(observed_at__lt=before).only("pk", "session_id")):
        held = _held({change.session_id for change in page}, removed, override)
        free = [change.pk for change in page if change.session_id not in held]
        _remove(changes.filter(pk__in=free), removed, dry_run=dry_run)


def _prune_runs(removed: Removed, *, override: str, dry_run: bool) -> None:
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
    for mark in marks.annotate(newest=Max("watermark")):
        newest = runs.filter(
            account=mark["account"], environment=mark["environment"], watermark=mark["newest"]
        )
        needed.update(newest.order_by("-pk").values_list("pk", flat=True)[:1])
    old = runs.filter(started_at__lt=before).exclude(state=RefreshRun.State.RUNNING)
    _remove(old.exclude(pk__in=needed), removed, dry_run=dry_run)


def _prune_events(removed: Removed, *, override: str, dry_run: bool) -> None:
    before = cutoff("WebhookEvent")
    if before is not None:
        events = WebhookEvent.objects.using(write_alias())
        old = events.filter(received_at__lt=before, processed_at__isnull=False)
        _remove(old, removed, dry_run=dry_run)


def _held(session_ids: Iterable[str], removed: Removed, override: str) -> set[str]:
    """Return those of the sessions that must be left, and name them; none with an override."""
    reasons: dict[str, str] = {}
    for some in chunks(sorted(session_ids), 100):
        rows = WorkflowSession.objects.using(write_alias()).filter(pk__in=some)
        reasons |= protection(rows.order_by("pk"))
    removed.refuse(reasons)
    return set() if override else set(reasons)
