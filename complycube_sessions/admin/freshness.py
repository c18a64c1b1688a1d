"""The line that says how fresh the mirror is."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from complycube_sessions.admin import display
from complycube_sessions.admin.filters import NO, YES
from complycube_sessions.models import RefreshRun
from complycube_sessions.statistics import overview
from complycube_sessions.webhooks.health import receiver_path, silent_accounts


def freshness_line(pending_url: str = "") -> dict[str, Any]:
    """
    Return what the line shows: the last run, what is still due, which accounts are late or silent.

    Args:
        pending_url: The address of the list of what is due, for one who may see it.
    """
    found = overview.freshness()
    run = found.last_run
    silent = silent_accounts()
    is_running = run is not None and run.state == RefreshRun.State.RUNNING
    is_good = run is not None and run.state == RefreshRun.State.SUCCEEDED
    return {
        "run": run,
        "is_running": is_running,
        "ended": display.moment(run.finished_at or run.started_at) if run else "",
        "badge": display.run_appearance(run).badge if run else "",
        "good_before": ""
        if is_good or found.its_last_success_at is None
        else display.moment(found.its_last_success_at),
        "succeeded": display.moment(found.last_success_at) if found.last_success_at else "",
        "late_accounts": ", ".join(found.late_accounts),
        "failing": found.failing,
        "failing_url": f"{pending_url}?failing={YES}" if pending_url and found.failing else "",
        "waiting": min(found.waiting, overview.MOST_WAITING),
        "is_more_waiting": found.waiting > overview.MOST_WAITING,
        "waiting_url": f"{pending_url}?failing={NO}" if pending_url else "",
        "silent_accounts": ", ".join(silent),
        "receivers": ", ".join(map(receiver_path, silent)),
        "zone": timezone.get_current_timezone_name(),
    }
