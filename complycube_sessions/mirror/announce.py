"""
Sending the app's signals about changes.

A signal is sent before it is recorded as sent. If the process is killed in between, the signal is repeated,
never lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.db.models import F, Q

from complycube_sessions import signals
from complycube_sessions.conf import Account
from complycube_sessions.db.batches import BATCH_SIZE
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.mirror.merge import MergedSession
from complycube_sessions.models import WorkflowSession, allow_mirror_writes

OnSignal = Callable[[], object]


def announce_outcomes(
    account: Account, *, source: str = "refresh", on_signal: OnSignal = lambda: None
) -> int:
    """Send the signals that a killed process did not send for outcomes; return how many sessions there were."""
    alias = write_alias()
    sessions = WorkflowSession.objects.using(alias)
    # Exactly the condition of the index ``ccs_session_owed``, so that the query reads only the index.
    differs = sessions.filter(~Q(announced_outcome=F("outcome")), account=account.name)
    count = 0
    while ids := list(differs.order_by("pk").values_list("pk", flat=True)[:BATCH_SIZE]):
        count += _announce(
            list(sessions.filter(pk__in=ids).order_by("pk")), source, alias, on_signal
        )
    return count


def send_signals(
    merged: Iterable[MergedSession], source: str, alias: str, on_signal: OnSignal
) -> None:
    """Send the signals of changes in stored sessions, then those of outcomes that were not announced yet."""
    sessions = list(merged)
    for m in sessions:
        if m.changes:
            on_signal()
            signals.session_changed.send_robust(
                sender=WorkflowSession, session=m.row, changes=list(m.changes), source=source
            )
    owed = [m.row for m in sessions if is_owed(m.row)]
    if owed:
        _announce(owed, source, alias, on_signal)


def is_owed(row: WorkflowSession) -> bool:
    """Return whether the outcome of a session was not announced yet."""
    return bool(row.outcome != (row.announced_outcome or ""))


def _announce(rows: list[WorkflowSession], source: str, alias: str, on_signal: OnSignal) -> int:
    """
    Send the signals of outcomes that were not announced, then record that they were.

    Returns:
        The number of signals. A session without an outcome has none; it is only recorded.
    """
    owed = [row for row in rows if is_owed(row)]
    for row in owed:
        on_signal()
        signals.session_outcome_changed.send_robust(
            sender=WorkflowSession,
            session=row,
            old=row.announced_outcome or "",
            new=row.outcome,
            first_seen=row.announced_outcome is None,
            source=source,
        )
    announced = Q()
    for outcome in sorted({row.outcome for row in rows}):
        ids = [row.pk for row in rows if row.outcome == outcome]
        announced |= Q(pk__in=ids, outcome=outcome)
    told = WorkflowSession.objects.using(alias).filter(announced)
    with allow_mirror_writes():
        retry_transient(lambda: told.update(announced_outcome=F("outcome")), alias=alias)
    for row in rows:
        row.announced_outcome = row.outcome
    return len(owed)
