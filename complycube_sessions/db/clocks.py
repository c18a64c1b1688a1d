"""
Stored times that only a wrong clock can have written.

A clock that ran ahead and was set back leaves times that lie too far in the future. Such a time proves
nothing, and nothing waits for it: whoever reads it resets it, with one warning in the log.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

logger = logging.getLogger("complycube_sessions.refresh")

# No vendor's word holds parentheses, so these stand beside them in an address.
# By how much the clocks of several machines may differ; what lies further ahead has not happened.
LEEWAY: Final = timedelta(minutes=1)
FIRST_DELAY: Final = timedelta(minutes=1)
MAX_DELAY: Final = timedelta(days=1)
# The most that a worker may hold what it has taken.
LONGEST_HOLD: Final = timedelta(seconds=460)
_LAST_STEP: Final = 11  # from which on the delay no longer grows


def is_believable(time: datetime, now: datetime) -> bool:
    """Return whether something can have happened at that time."""
    return time <= now + LEEWAY


def retry_delay(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row."""
    return min(MAX_DELAY, FIRST_DELAY * (1 << min(max(failures - 1, 0), _LAST_STEP)))


def waits_too_long(now: datetime) -> Q:
    """Return the condition that a next try lies further ahead than its delay allows."""
    too_long = Q(next_try_at__gt=now + MAX_DELAY + LEEWAY)
    for failures in range(_LAST_STEP + 1):
        bound = max(LONGEST_HOLD, retry_delay(failures))
        too_long |= Q(attempts=failures, next_try_at__gt=now + bound + LEEWAY)
    return too_long


def tell_reset(what: str, *, account: str = "") -> None:
    """Log that a wrong clock has left such times."""
    logger.warning(
        "A clock ran ahead and was set back: %s, and was reset. Look at the clocks of the machines and "
        "of the database.",
        what,
        extra={"account": account} if account else {},
    )
