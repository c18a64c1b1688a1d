"""The lease of an account: only one run at a time reads its lists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.utils import timezone

from complycube_sessions.db import clocks
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.connections import database_now
from complycube_sessions.exceptions import ComplyCubeRefreshRunningError
from complycube_sessions.models import RefreshLease, RefreshRun

LEASE: Final = timedelta(seconds=15)
# Leases use the database's clock; corrections of that clock are smaller than this.
LEASE_LEEWAY: Final = timedelta(seconds=1)


class LeaseLostError(Exception):
    """Another run has taken the account over."""


def take_lease(run: RefreshRun, alias: str) -> None:
    """
    Take the lease of the run's account; call it in a transaction.

    Raises:
        ComplyCubeRefreshRunningError: Another run in progress holds the lease of the account.
    """
    leases = RefreshLease.objects.using(alias)
    upsert([RefreshLease(account=run.account)], unique=["account"], alias=alias)
    holder = leases.select_for_update().get(pk=run.account)
    now = database_now(alias)
    ahead = (holder.expires_at - now) if holder.run_id and holder.expires_at else timedelta()
    if _is_alive(ahead):
        raise ComplyCubeRefreshRunningError(
            f"Run {holder.run_id} of the account {run.account!r} is still going on. "
            f"Wait for it; if it was killed, its lock ends by itself within {LEASE.seconds} seconds."
        )
    if ahead > LEASE:
        # If the holder is still running, its next renewal fails and it writes no watermark.
        seconds = round(ahead.total_seconds())
        clocks.tell_reset(
            f"the lease of run {holder.run_id} lay {seconds} s ahead", account=run.account
        )
    if holder.run_id:
        abandoned = RefreshRun.objects.using(alias).filter(
            pk=holder.run_id, state=RefreshRun.State.RUNNING
        )
        abandoned.update(state=RefreshRun.State.INTERRUPTED, finished_at=timezone.now())
    holder.run = run
    holder.expires_at = now + LEASE
    holder.save(using=alias)


def lease_holders(accounts: Iterable[str], alias: str) -> dict[str, RefreshRun]:
    """Return the run that holds the lease of each of these accounts and lives, without its errors."""
    leases = RefreshLease.objects.using(alias).filter(account__in=accounts).exclude(run=None)
    found = list(leases.select_related("run").defer("run__errors"))
    now = database_now(alias) if found else None
    return {
        lease.account: lease.run
        for lease in found
        if lease.run and now and lease.expires_at and _is_alive(lease.expires_at - now)
    }


def _is_alive(ahead: timedelta) -> bool:
    """Return whether a lease that ends so far ahead has a holder that renews it."""
    return timedelta() < ahead <= LEASE + LEASE_LEEWAY


def renew_lease(run: RefreshRun, alias: str) -> bool:
    """Extend the lease; return whether the run still holds it."""
    leases = RefreshLease.objects.using(alias).filter(run=run)
    return bool(leases.update(expires_at=database_now(alias) + LEASE))


def release_lease(run: RefreshRun, alias: str) -> None:
    """Release the lease, so that the next run can take it."""
    RefreshLease.objects.using(alias).filter(run=run).update(run=None, expires_at=None)
