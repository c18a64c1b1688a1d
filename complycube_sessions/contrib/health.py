"""
A check for django-health-check; needs the extra ``health``.

::

    HealthCheckView.as_view(checks=["complycube_sessions.contrib.health.MirrorHealth"])
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections
from health_check import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning

from complycube_sessions.operations.problems import State
from complycube_sessions.operations.status import Status, read_status


@dataclass
class MirrorHealth(HealthCheck):
    """
    Checks that the mirror is healthy, like ``complycube_status``.

    Args:
        account: A name of ``COMPLYCUBE_ACCOUNTS``; all by default.
        fails_from: The state from which the check fails: ``attention`` or ``broken``. The view of
            django-health-check responds with 500 to either, so a probe that restarts processes should use the
            default.
    """

    account: str | None = None
    fails_from: str = "broken"

    def run(self) -> None:
        """
        Read the status.

        Raises:
            ServiceWarning: The mirror needs attention, and ``fails_from`` is ``attention``.
            ServiceUnavailable: The mirror is broken.
        """
        _close_old_connections()
        try:
            status = read_status([self.account] if self.account else None)
        finally:
            # Nothing else closes the connections of a thread of the event loop.
            _close_old_connections()
        if status.state == State.BROKEN:
            raise ServiceUnavailable(_texts(status))
        if status.state >= State[self.fails_from.upper()]:
            raise ServiceWarning(_texts(status))


def _close_old_connections() -> None:
    """Close old connections as Django does around a request, except in an open transaction."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _texts(status: Status) -> str:
    texts = [problem.text for problem in status.problems]
    texts += [f"{a.account}: {p.text}" for a in status.accounts for p in a.problems]
    return " ".join(texts)
