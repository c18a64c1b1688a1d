"""The options of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from complycube_sessions.conf import CheckResults, conf


@dataclass(frozen=True, slots=True)
class RunOptions:
    """
    The options of a run.

    Args:
        results: ``COMPLYCUBE_CHECK_RESULTS``.
        source: The source in the history: ``refresh``, ``webhook`` or ``admin``.
        full: Whether to compare every session upstream.
        since: Fetch changes since this time instead of the watermark.
        limit: The maximum number of sessions to fetch.
        dry_run: Whether only to plan.
        confirm_missing: Whether more than 5 % of the stored sessions may be marked as missing.
        hand_out: Whether to queue sessions for other workers instead of fetching them.
        retry_failed: Whether to retry failed sessions now instead of after their delay.
        one_at_a_time: Whether to send requests one by one from the caller's thread.
    """

    results: CheckResults
    source: str = "refresh"
    full: bool = False
    since: datetime | None = None
    limit: int | None = None
    dry_run: bool = False
    confirm_missing: bool = False
    hand_out: bool = False
    retry_failed: bool = False
    one_at_a_time: bool = False


def wanted_results() -> CheckResults:
    """
    Return the setting for breakdowns; call it first, so that wrong settings fail before any work begins.

    Raises:
        ComplyCubeConfigurationError: ``COMPLYCUBE_CHECK_RESULTS`` or ``COMPLYCUBE_SCRUBBER`` is wrong.
    """
    _ = conf.COMPLYCUBE_SCRUBBER  # checked here; clients read it only when the first answer arrives
    return conf.COMPLYCUBE_CHECK_RESULTS
