"""
Retrying requests after 429, 5xx and broken connections.

After a 429 every process that uses the key waits, through the shared throttle.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Final, TypeVar

from complycube_sessions.api.throttle import Throttle
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import (
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)

logger = logging.getLogger("complycube_sessions.api")

FIRST_BACKOFF_SECONDS: Final = 1.0
MAX_BACKOFF_SECONDS: Final = 60.0
# Including the jitter that is added to a `Retry-After`.
LONGEST_BACKOFF_SECONDS: Final = 1.1 * MAX_BACKOFF_SECONDS

TRANSIENT_ERRORS: Final = (
    ComplyCubeConnectionError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)

Value = TypeVar("Value")


class Retries:
    """
    Retries a request up to ``max_retries`` times, with exponential backoff and full jitter.

    Args:
        account: The account of the requests.
        throttle: The request budget of the account's key; a 429 pauses it, and its patience bounds the waits.
        backoff: Waits the given seconds; replaced by callers that have to end a wait early.
    """

    def __init__(
        self, account: Account, throttle: Throttle, backoff: Callable[[float], None]
    ) -> None:
        self._account = account
        self._throttle = throttle
        self._backoff = backoff
        self._is_given_up = False

    def give_up(self) -> None:
        """Retry nothing from now on."""
        self._is_given_up = True

    def run(
        self,
        send: Callable[[], Value],
        retried: tuple[type[ComplyCubeError], ...] = TRANSIENT_ERRORS,
    ) -> Value:
        """Call ``send`` and return its result; call it again after errors that are retried."""
        attempt = 0
        while True:
            try:
                return send()
            except retried as error:
                if self._is_given_up or attempt >= self._account.max_retries:
                    raise
                if not self._waits_after(error, attempt):
                    raise
                attempt += 1

    def pause_all(self, error: ComplyCubeRateLimitError) -> None:
        """Pause all requests with this key after a 429 to a request that is not retried."""
        self._throttle.pause(backoff_seconds(error, 0))

    def _waits_after(self, error: ComplyCubeError, attempt: int) -> bool:
        """Wait before the next try; return False if that takes longer than the patience."""
        seconds = backoff_seconds(error, attempt)
        is_rate_limit = isinstance(error, ComplyCubeRateLimitError)
        if is_rate_limit:
            self._throttle.pause(seconds)
        if not self._throttle.patience.lasts(seconds):
            return False
        logger.info(
            "%s; trying again in %.1f s.",
            error,
            seconds,
            extra={
                "account": self._account.name,
                "status_code": getattr(error, "status_code", None),
                "wait_seconds": seconds,
            },
        )
        if not is_rate_limit:
            self._throttle.patience.spend(seconds)
            self._backoff(seconds)
        return True


def backoff_seconds(error: ComplyCubeError, attempt: int) -> float:
    """
    Return how long to wait before the next try.

    Args:
        error: The error of the last try; its ``Retry-After`` is honoured up to a minute.
        attempt: 0 after the first try.
    """
    most = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**attempt)
    jittered = random.uniform(0, most)  # noqa: S311 - spreads load, guards nothing
    retry_after: float | None = getattr(error, "retry_after_seconds", None)
    if retry_after is None:
        return jittered
    return min(retry_after, MAX_BACKOFF_SECONDS) + jittered / 10
