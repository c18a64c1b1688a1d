"""Logging for conditions that strangers, or a broken broker, can cause a thousand times a second."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

logger = logging.getLogger("complycube_sessions.webhook")

SECONDS_BETWEEN_WARNINGS: Final = 60.0


class RateLimitedLog:
    """Logs at most one message a minute, with the number of messages suppressed since the last one."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._lock = threading.Lock()
        self._logged_at: float | None = None
        self._suppressed = 0

    def __call__(self, message: str, **extra: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self._logged_at is not None and now - self._logged_at < SECONDS_BETWEEN_WARNINGS:
                self._suppressed += 1
                return
            suppressed, self._suppressed, self._logged_at = self._suppressed, 0, now
        logger.log(
            self._level,
            "%s (%d more since the last such line)",
            message,
            suppressed,
            extra={**extra, "left_out": suppressed},
        )
