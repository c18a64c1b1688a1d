"""
How much of ``REQUESTS_PER_SECOND`` is used at a latency of 150 ms, and whether it is ever exceeded.

``refresh_sessions`` fetches named sessions in real processes: one, then four that share the key through
the database. The server is a process of its own; it counts any sliding second with more requests than the
limit and answers 429 to what is too much.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any, Final

import harness
from upstream import REVIEWED_EVERY, Served, serving

LATENCY_SECONDS: Final = 0.15
# Each named session costs two requests, itself and the list of its client's checks, and one in twenty
# a third for the breakdown of a check that is not clear: 300 in all.
SESSIONS: Final = 146
REQUESTS: Final = 2 * SESSIONS + -(-SESSIONS // REVIEWED_EVERY)
FIRST_SECONDS: Final = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Use of the request budget.")
    parser.add_argument("--limit", type=float, default=8, help="requests a second (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each case (default: 3)")
    arguments = parser.parse_args()
    limit, rounds = arguments.limit, arguments.rounds
    print(harness.machine())
    print(f"{REQUESTS} requests at {limit:g} a second and 150 ms, medians of {rounds} rounds\n")
    rows = []
    with serving(SESSIONS, checks=3, latency_seconds=LATENCY_SECONDS, limit=limit) as served:
        for vendor in harness.DATABASES:
            for processes in (1, 4):
                runs = [_run(served, vendor, processes, limit) for _ in range(rounds)]
                rows.append(_row(f"{processes} process(es), {vendor}", runs, limit))
    head = ["", "use", "lowest", "of 95 %", "answers of 429", "of 0", "most in a second"]
    harness.table(head, rows)


def _run(served: Served, vendor: str, processes: int, limit: float) -> dict[str, float]:
    time.sleep(1.1)  # the second of the run before must not count
    served.reset()
    with harness.temporary_database(vendor) as database:
        workers = [
            harness.start_worker(
                Path(__file__),
                SESSIONS * number // processes,
                SESSIONS * (number + 1) // processes,
                time.time() + FIRST_SECONDS,
                database=database,
                base_url=served.base_url,
                requests_per_second=limit,
            )
            for number in range(processes)
        ]
        fetched = sum(harness.end_worker(worker)["fetched"] for worker in workers)
    stats = served.stats()
    if fetched != SESSIONS or stats["requests"] - stats["refused"] != REQUESTS:
        raise SystemExit(f"{fetched} sessions were fetched with {stats['requests']:.0f} requests.")
    return stats


def _row(name: str, runs: list[dict[str, float]], limit: float) -> list[object]:
    uses = [run["requests"] / (limit * run["seconds"]) for run in runs]
    refused = sum(run["refused"] for run in runs)
    most = max(run["most_in_a_second"] for run in runs)
    use = statistics.median(uses)
    met = [harness.verdict(met=use >= 0.95), harness.verdict(met=not refused)]
    return [name, f"{use:.1%}", f"{min(uses):.1%}", met[0], f"{refused:.0f}", met[1], f"{most:.0f}"]


def _work(first: int, last: int, begin_at: float) -> None:
    harness.setup_django()
    from complycube_sessions.services import refresh_sessions

    time.sleep(max(0.0, begin_at - time.time()))  # all processes begin together
    run = refresh_sessions(ids=[f"{number:024x}" for number in range(first, last)])
    harness.report({"fetched": run.fetched, "state": run.state})


def _work_as_told() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("begin_at", type=float)
    arguments: Any = parser.parse_args()
    _work(arguments.first, arguments.last, arguments.begin_at)


if __name__ == "__main__":
    _work_as_told() if harness.is_worker() else main()
