"""
Peak memory of a first run over 1,000 and over 100,000 sessions, each in a process of its own.

Sessions have one check each, and no limit holds the run back: what is measured is memory, not time.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Final

import harness
from upstream import serving

CHECKS: Final = 1
BOUND: Final = 1.25


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of a first run.")
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--database", choices=harness.DATABASES, default="sqlite")
    arguments = parser.parse_args()
    print(harness.machine())
    print(f"first run, {CHECKS} check a session, {arguments.database}\n")
    rows, peaks = [], []
    for sessions in (arguments.few, arguments.many):
        began = time.monotonic()
        peaks.append(measure(sessions, arguments.database))
        rows.append([f"{sessions} sessions", f"{peaks[-1]:.1f}", f"{time.monotonic() - began:.0f}"])
    harness.table(["", "peak MiB", "seconds"], rows)
    ratio = peaks[1] / peaks[0]
    print(f"\nratio {ratio:.3f}, at most {BOUND}: {harness.verdict(met=ratio <= BOUND)}")


def measure(sessions: int, vendor: str = "sqlite") -> float:
    """Return the peak resident memory of a first run, in MiB."""
    with (
        serving(sessions, checks=CHECKS) as served,
        harness.temporary_database(vendor) as database,
    ):
        run = harness.run_worker(Path(__file__), database=database, base_url=served.base_url)
    if (run["state"], run["created"]) != ("succeeded", sessions):
        raise SystemExit(f"The run did not do what it should: {run}")
    return float(run["peak_mib"])


def _work() -> None:
    harness.setup_django()
    from complycube_sessions.services import refresh_sessions

    run = refresh_sessions()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10
    harness.report({"state": run.state, "created": run.created, "peak_mib": peak / unit})


if __name__ == "__main__":
    _work() if harness.is_worker() else main()
