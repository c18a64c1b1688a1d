"""Applying ``COMPLYCUBE_RETENTION``: removing older rows in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from django.db.models import Max, Q
from django.utils import timezone

from complycube_sessions.conf import conf
from complycube_sessions.db.batches import chunks, pages
from complycube_sessions.db.connections import ensure_no_open_transaction, write_alias
from complycube_sessions.models import (
    PruneRun,
    RefreshLease,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    allow_mirror_writes,
)
from complycube_sessions.privacy.removal import (
    COMMAND,
    Gone,
    Removal,
    Removed,
    Rows,
    session_rows,
    traces,
)
from complycube_sessions.privacy.retention import cutoff, expired, protection

_RESULTS: Final = "results of checks"


def prune(*, actor: str = COMMAND, override: str = "", dry_run: bool = False) -> Removed:
    """
    Remove rows that are older than ``COMPLYCUBE_RETENTION`` allows, in batches; the next run continues a killed one.

    If ``COMPLYCUBE_CHECK_RESULTS`` is ``"none"``, stored results of any age are removed as well.

    Args:
        actor: Who prunes, for the record.
        override: Why to override holds and the minimum retention, or ``""``; it is recorded.
        dry_run: Only count.

    Returns:
        The removed rows, and the reasons why other expired rows were kept.

    Raises:
        ComplyCubeConfigurationError: A setting is wrong.
    """
    _check_settings()
    ensure_no_open_transaction()
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


# Retention


def _check_settings() -> None:
    """Raise for any wrong setting before anything is removed."""
    for name in ("RETENTION", "MINIMUM_RETENTION", "LEGAL_HOLD", "CHECK_RESULTS"):
        getattr(conf, f"COMPLYCUBE_{name}")


def _prune_results(removal: Removal, override: str) -> None:
    """Remove the results of checks if the settings keep none."""
    if conf.COMPLYCUBE_CHECK_RESULTS != "none":
        return
    checks = RelatedCheck.objects.using(write_alias()).filter(result_fetched_at__isnull=False)
    for page in pages(checks.defer("result", "raw")):
        held = _held({check.session_id for check in page}, removal.removed, override)
        free = [check.pk for check in page if check.session_id not in held]
        removal.count_in(partial(_empty_results, free, dry_run=removal.dry_run))


@allow_mirror_writes()
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
    rows = session_rows().filter(expired(before))
    for page in pages(rows.only("pk", "account")):
        held = _held({row.pk for row in page}, removal.removed, override)
        accounts: dict[str, list[str]] = {}
        for row in page:
            if row.pk not in held:
                accounts.setdefault(row.account, []).append(row.pk)
        for account, ids in accounts.items():
            _prune_batch(account, ids, rows, removal)


def _prune_batch(account: str, ids: list[str], old: Rows, removal: Removal) -> None:
    """Remove sessions with everything that belongs to them, unless they have changed since they were selected."""

    def rows_of(some: list[str]) -> Iterator[Rows]:
        expired_rows = old.filter(pk__in=some).order_by("pk")
        if not removal.dry_run:
            expired_rows = expired_rows.select_for_update()
        still = list(expired_rows.values_list("pk", flat=True))
        named = RelatedCheck.objects.using(write_alias()).filter(session__in=still)
        checks = list(named.order_by().values_list("check_id", flat=True).distinct())
        events = WebhookEvent.objects.using(write_alias()).filter(account=account)
        for named_ids in chunks([*still, *checks]):
            # Keep open events: one may report that the session has just changed.
            yield events.filter(resource_id__in=named_ids, processed_at__isnull=False)
        yield from traces(account, still, checks)
        yield session_rows().filter(pk__in=still)

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
    """Remove old runs, except the one with the current watermark and those that are still running."""
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
    """Record why sessions are protected, and return the ones to keep; with an override, none."""
    reasons: dict[str, str] = {}
    for some in chunks(sorted(session_ids), 100):
        reasons |= protection(session_rows().filter(pk__in=some).order_by("pk"))
    removed.refuse(reasons)
    return set() if override else set(reasons)


def _gone_before_sessions() -> Gone:
    """Return the rows that were removed for their own age before, so that a dry run does not count them twice."""
    gone: dict[Any, Q] = {}
    if (before := cutoff("SessionChange")) is not None:
        gone[SessionChange] = Q(observed_at__lt=before)
    if (before := cutoff("WebhookEvent")) is not None:
        gone[WebhookEvent] = Q(received_at__lt=before, processed_at__isnull=False)
    return gone
