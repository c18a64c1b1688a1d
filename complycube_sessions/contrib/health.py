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
    Whether the mirror is healthy, as ``complycube_status`` tells.

    Args:
        account: A name of ``COMPLYCUBE_ACCOUNTS``; all by default.
        fails_from: ``attention`` or ``broken``: what the check fails for. A page of django-health-check answers
            500 for either, so a probe that ends processes is better off with the default.
    """

    account: str | None = None
    fails_from: str = "broken"

    def run(self) -> None:
        """
        Read the status.

        Raises:
            ServiceWarning: The mirror needs attention, and the check is to fail for it.
            ServiceUnavailable: The mirror is broken.
        """
        _close_old_connections()
        try:
            status = read_status([self.account] if self.account else None)
        finally:
            # Nobody else ends those of a thread of the event loop.
            _close_old_connections()
        if status.state == State.BROKEN:
            raise ServiceUnavailable(_texts(status))
        if status.state >= State[self.fails_from.upper()]:
            raise ServiceWarning(_texts(status))


def _close_old_connections() -> None:
    """Do what Django does around a request, but leave a transaction alone that is open around the call."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _texts(status: Status) -> str:
    texts = [problem.text for problem in status.problems]
    texts += [f"{one.account}: {p.text}" for one in status.accounts for p in one.problems]
    return " ".join(texts)
