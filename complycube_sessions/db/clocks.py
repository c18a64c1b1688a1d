"""
Detecting stored times that only a wrong clock can have written.

A clock that ran ahead and was set back leaves times too far in the future. Such a time must not block
anything: code that reads one resets it, and logs a warning.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

logger = logging.getLogger("complycube_sessions.refresh")

# By how much the clocks of machines may differ; a time further ahead cannot be right.
LEEWAY: Final = timedelta(minutes=1)
FIRST_DELAY: Final = timedelta(minutes=1)
MAX_DELAY: Final = timedelta(days=1)
# The longest time that a worker may hold a claim.
LONGEST_HOLD: Final = timedelta(seconds=460)
_LAST_STEP: Final = 11  # from which on the delay no longer grows


def is_believable(time: datetime, now: datetime) -> bool:
    """Return whether something can have happened at that time, which is not in the future."""
    return time <= now + LEEWAY


def retry_delay(failures: int) -> timedelta:
    """Return how long to wait after this many failures in a row."""
    return min(MAX_DELAY, FIRST_DELAY * (1 << min(max(failures - 1, 0), _LAST_STEP)))


def waits_too_long(now: datetime) -> Q:
    """Return the condition for rows whose next try lies further ahead than their delay allows."""
    too_long = Q(next_try_at__gt=now + MAX_DELAY + LEEWAY)
    for failures in range(_LAST_STEP + 1):
        bound = max(LONGEST_HOLD, retry_delay(failures))
        too_long |= Q(attempts=failures, next_try_at__gt=now + bound + LEEWAY)
    return too_long


def tell_reset(what: str, *, account: str = "") -> None:
    """Log that times of a wrong clock were reset."""
    logger.warning(
        "A clock ran ahead and was set back: %s, and was reset. Look at the clocks of the machines and "
        "of the database.",
        what,
        extra={"account": account} if account else {},
    )
