"""What a host does when an outcome changes: the recipe of ``docs/signals.md``, typed."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from complycube_sessions.models import SessionChange, WorkflowSession
from complycube_sessions.signals import session_changed, session_outcome_changed
from tests.typing.host.models import Customer

turned: list[str] = []


@receiver(session_outcome_changed)
def unlock_customer(session: WorkflowSession, **kwargs: Any) -> None:
    latest = WorkflowSession.objects.latest_for_client(session.client_id)
    is_clear = (
        latest is not None
        and latest.status == WorkflowSession.Status.COMPLETE
        and latest.outcome == WorkflowSession.Outcome.CLEAR
        and latest.missing_since is None
    )
    Customer.objects.update_or_create(
        client_id=session.client_id, defaults={"is_unlocked": is_clear, "decided_by": latest}
    )


@receiver(session_changed)
def note_turns(
    session: WorkflowSession, changes: list[SessionChange], source: str, **kwargs: Any
) -> None:
    turned.extend(
        f"{change.check_id}: {change.old} → {change.new} ({source})" for change in changes
    )
