"""A log for events that strangers, or a broker that is down, may cause a thousand times a second."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

logger = logging.getLogger("complycube_sessions.webhook")

SECONDS_BETWEEN_WARNINGS: Final = 60.0


class RateLimitedLog:
    """A log whose messages come at most once a minute, each with the number of those left out."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._lock = threading.Lock()
        self._said_at: float | None = None
        self._silent = 0

    def __call__(self, message: str, **extra: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self._said_at is not None and now - self._said_at < SECONDS_BETWEEN_WARNINGS:
                self._silent += 1
                return
            silent, self._silent, self._said_at = self._silent, 0, now
        logger.log(
            self._level,
            "%s (%d more since the last such line)",
            message,
            silent,
            extra={**extra, "left_out": silent},
        )
