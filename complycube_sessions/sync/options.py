"""What the caller of a run asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from complycube_sessions.conf import CheckResults, conf


@dataclass(frozen=True, slots=True)
class RunOptions:
    """
    What the caller of a run asks for.

    Args:
        results: ``COMPLYCUBE_CHECK_RESULTS``.
        source: For the history: ``refresh``, ``webhook`` or ``admin``.
        full: Whether to compare every session upstream.
        since: Fetch what changed since then, in place of the watermark.
        limit: How many sessions to fetch at most.
        dry_run: Whether only to plan.
        confirm_missing: Whether more than 5 % of the stored sessions may be marked as missing.
        hand_out: Whether to make sessions due for other workers in place of fetching them.
        retry_failed: Whether to try at once what failed before and waits for its next try.
        one_at_a_time: Whether to send one request after the other from the caller's own thread.
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
    Return whose breakdowns are fetched; asked for before anything begins, so that wrong settings stop it.

    Raises:
        ComplyCubeConfigurationError: ``COMPLYCUBE_CHECK_RESULTS`` or ``COMPLYCUBE_SCRUBBER`` is wrong.
    """
    _ = conf.COMPLYCUBE_SCRUBBER  # each client reads it for itself, when the first answer is there
    return conf.COMPLYCUBE_CHECK_RESULTS
