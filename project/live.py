"""Whether the lists of the demo site show by themselves what is new."""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest


def live_until(request: HttpRequest) -> dict[str, float]:
    """Return until when they do, in seconds since 1970, or 0 once that is over."""
    until: float = getattr(settings, "DEMO_LIVE_UNTIL", 0)
    return {"live_until": until if until > time.time() else 0}
