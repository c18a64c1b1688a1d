"""
How many requests a refresh needs, against the bounds of the design and against the vendor's package.

The copy is filled, compared whole, and brought up to date after some sessions have changed. The vendor's
package is used in the obvious way: ``auto_list`` of the sessions, then ``get`` for each session and for each
of its checks, which is all that it can do to bring the same copy up to date.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import harness
from upstream import KEY, REVIEWED_EVERY, Served, serving

CHECKS: Final = 3
PAGE: Final = 1000
RUNS: Final = ("first run", "full run, nothing changed", "incremental run")


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests of a refresh.")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--changed", type=int, default=100)
    arguments = parser.parse_args()
    print(harness.machine())
    print(
        f"{arguments.sessions} sessions with {CHECKS} checks each, {arguments.changed} changed "
        "before the incremental run\n"
    )
    counts = measure(arguments.sessions, arguments.changed)
    rows = []
    for what in RUNS:
        ours, bound, theirs = counts[what], counts[f"{what}, bound"], counts["vendor's package"]
        met = harness.verdict(met=ours <= bound)
        rows.append([what, ours, bound, met, theirs, f"{theirs / ours:.1f}"])
    harness.table(["", "requests", "bound", "", "vendor's package", "times as many"], rows)
    enough = counts["vendor's package"] >= 100 * counts["incremental run"]
    print(f"\nincremental run, at least 100 times fewer: {harness.verdict(met=enough)}")


def measure(sessions: int, changed: int, *, vendor: bool = True) -> dict[str, int]:
    """Return the requests of each kind of run, the bounds, and those of the vendor's package."""
    reviewed = changed // 10
    new_reviewed = sum(n % REVIEWED_EVERY != 0 for n in _changed(sessions, changed)[:reviewed])
    still_reviewed = sum(n % REVIEWED_EVERY == 0 for n in _changed(sessions, changed))
    pages, check_pages = _pages(sessions), _pages(sessions * CHECKS)
    counts = {
        # Of the 3, one proves that nothing lies beyond each list's oldest item.
        "first run, bound": sessions + pages + check_pages + -(-sessions // REVIEWED_EVERY) + 3,
        # The bound of an incremental run, with nothing changed and every page read.
        "full run, nothing changed, bound": pages + check_pages + 3,
        "incremental run, bound": changed
        + _pages(changed)
        + _pages(changed)
        + new_reviewed
        + still_reviewed
        + 3,
    }
    with (
        serving(sessions, checks=CHECKS) as served,
        harness.temporary_database("sqlite") as database,
    ):
        for what in RUNS:
            if what == "incremental run":
                served.change(changed, reviewed)
            expected = {"first run": sessions, "incremental run": changed}.get(what, 0)
            counts[what] = _refresh(served, database, expected, full=what.startswith("full"))
        if vendor:
            counts["vendor's package"] = _vendors_package(served)
    return counts


def _changed(sessions: int, changed: int) -> range:
    return range(1, sessions, max(1, sessions // changed))[:changed]


def _pages(items: int) -> int:
    return -(-items // PAGE)


def _refresh(served: Served, database: dict[str, Any], expected: int, *, full: bool) -> int:
    served.reset()
    worker = "full" if full else "incremental"
    run = harness.run_worker(Path(__file__), worker, database=database, base_url=served.base_url)
    counted = int(served.stats()["requests"])
    if (run["state"], run["fetched"], run["requests"]) != ("succeeded", expected, counted):
        raise SystemExit(f"The run did not do what it should: {run}, {counted} requests.")
    return counted


def _vendors_package(served: Served) -> int:
    import complycube

    complycube._base_url = served.base_url
    client = complycube.ComplyCubeClient(api_key=KEY)
    client.client_session.trust_env = False  # no proxy: the server is on this machine
    served.reset()
    for listed in client.workflow_sessions.auto_list():
        session = client.workflow_sessions.get(listed.id)
        for related in session.all_related_checks:
            client.checks.get(related.check_id)
    return int(served.stats()["requests"])


def _work(mode: str) -> None:
    harness.setup_django()
    from complycube_sessions.services import refresh_sessions

    run = refresh_sessions(full=mode == "full")
    harness.report({"state": run.state, "fetched": run.fetched, "requests": run.requests})


def _work_as_told() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    _work(parser.parse_args().mode)


if __name__ == "__main__":
    _work_as_told() if harness.is_worker() else main()
