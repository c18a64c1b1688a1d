"""
How many sessions a second are stored, against one ``update_or_create`` per row.

Both store the same 1,000 sessions with 3 checks each in the same database in the same run, by turns: first
into empty tables, then again when all rows have changed: every check has a new time, and one of
each session a new outcome, as has the session itself.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import harness
from upstream import Upstream

if TYPE_CHECKING:
    from complycube_sessions.mirror.merge import FetchedSession

SESSIONS: Final = 1000
CHECKS: Final = 3
BATCH: Final = 500
ROUNDS: Final = 5
WAYS: Final = ("store_batch", "update_or_create")


def main() -> None:
    print(harness.machine())
    print(f"{SESSIONS} sessions with {CHECKS} checks each, medians of {ROUNDS} rounds\n")
    rows = []
    for vendor in (*harness.DATABASES, "mysql"):
        with harness.temporary_database(vendor) as database:
            rows += _rows(vendor, harness.run_worker(Path(__file__), database=database))
    head = ["", "store_batch", "update_or_create", "ratio", "lowest", "of 10", "queries", "of 12"]
    harness.table(head, rows)
    print("\nsessions a second; queries of one batch of 500, BEGIN and COMMIT left out")


def _rows(vendor: str, measured: dict[str, Any]) -> list[list[object]]:
    rows = []
    for what in ("first run", "update"):
        ours, naive = (measured["rates"][what][way] for way in WAYS)
        ratios = [a / b for a, b in zip(ours, naive, strict=True)]
        ratio, queries = statistics.median(ratios), measured["queries"][what]
        speeds = [f"{statistics.median(rates):.0f}" for rates in (ours, naive)]
        met, few = harness.verdict(met=ratio >= 10), harness.verdict(met=queries <= 12)
        row = [f"{vendor}, {what}", *speeds, f"{ratio:.1f}", f"{min(ratios):.1f}", met]
        rows.append([*row, queries, few])
    return rows


def _work() -> None:
    harness.setup_django()
    first, update = copies(SESSIONS), copies(SESSIONS, changed=True)
    # A refresh holds one batch of answers; the collector is not to walk through those of all rounds.
    gc.collect()
    gc.freeze()
    runs = {"first run": first, "update": update}
    rates: dict[str, dict[str, list[float]]] = {what: {way: [] for way in WAYS} for what in runs}
    for number in range(ROUNDS):
        # Each goes first in every other round, so that neither always has the warmer database.
        for way in WAYS if number % 2 else WAYS[::-1]:
            _clear()
            for what, given in runs.items():
                rates[what][way].append(rate(way, given))
            _check(update)
    _clear()
    queries = {what: _count_queries(given[:BATCH]) for what, given in runs.items()}
    harness.report({"rates": rates, "queries": queries})


def copies(count: int, *, first: int = 0, changed: bool = False) -> list[FetchedSession]:
    """Return parsed answers from the session numbered ``first`` on, as the store is given them."""
    from complycube_sessions.api.payloads import parse_check, parse_session
    from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession

    upstream, now = Upstream(first + count, CHECKS), datetime.now(UTC)
    later = timedelta(hours=1 if changed else 0)
    found = []
    for number in range(first, first + count):
        raw = upstream.session(number)
        assert raw is not None  # noqa: S101 - it is one of them
        if changed:
            raw["outcome"] = "review"
        session = parse_session(raw, session_id=raw["id"])
        assert session.updated_at is not None  # noqa: S101 - all have a time
        checks = []
        for index in range(CHECKS):
            listed = upstream.check(number, index)
            assert listed is not None  # noqa: S101 - it is one of them
            check = parse_check(listed, check_id=listed["id"])
            last = index == CHECKS - 1
            outcome = "attention" if changed and last else check.outcome
            updated_at = (check.updated_at or now) + later
            told = {"result": {"outcome": outcome}, "updatedAt": updated_at.isoformat()}
            check = replace(
                check, outcome=outcome, updated_at=updated_at, raw={**check.raw, **told}
            )
            checks.append(FetchedCheck(check, now + later))
        session = replace(session, updated_at=session.updated_at + later)
        found.append(FetchedSession(session.id, session, now + later, tuple(checks)))
    return found


def rate(way: str, given: list[FetchedSession]) -> float:
    """Return how many sessions a second are stored one way."""
    store: Callable[[list[FetchedSession]], None]
    store = store_in_batches if way == "store_batch" else _store_row_by_row
    began = time.perf_counter()
    store(given)
    return len(given) / (time.perf_counter() - began)


def store_in_batches(given: list[FetchedSession]) -> None:
    from complycube_sessions.conf import get_account
    from complycube_sessions.mirror.write import store_batch

    for start in range(0, len(given), BATCH):
        store_batch(get_account(), given[start : start + BATCH])


def _store_row_by_row(given: list[FetchedSession]) -> None:
    """Store as people write it, without history, search words or a guard against older copies."""
    from complycube_sessions.models import RelatedCheck, WorkflowSession, allow_mirror_writes

    with allow_mirror_writes():
        for copy in given:
            assert copy.payload is not None  # noqa: S101 - all were fetched
            content = asdict(copy.payload)
            related = content.pop("related_checks")
            content |= {"account": "default", "environment": "test", "fetched_at": copy.fetched_at}
            session, _ = WorkflowSession.objects.update_or_create(
                id=content.pop("id"), defaults=content
            )
            for position, (reference, fetched) in enumerate(zip(related, copy.checks, strict=True)):
                check = fetched.payload
                RelatedCheck.objects.update_or_create(
                    session=session,
                    check_id=check.id,
                    defaults={
                        "type": check.type,
                        "task_id": reference["task_id"],
                        "position": position,
                        "status": check.status,
                        "outcome": check.outcome,
                        "result": check.result,
                        "document_id": check.document_id,
                        "monitored": check.monitored,
                        "raw": check.raw,
                        "created_at": check.created_at,
                        "updated_at": check.updated_at,
                        "fetched_at": fetched.fetched_at,
                    },
                )


def _check(given: list[FetchedSession]) -> None:
    """Make sure that what was timed also did the work."""
    from complycube_sessions.models import RelatedCheck, WorkflowSession

    stored = dict(WorkflowSession.objects.values_list("pk", "outcome"))
    if stored != {c.session_id: c.payload.outcome for c in given if c.payload}:
        raise SystemExit("The sessions that were stored are not those that were given.")
    if RelatedCheck.objects.filter(outcome="attention").count() != len(given):
        raise SystemExit("The checks that were stored are not those that were given.")


def _count_queries(given: list[FetchedSession]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as captured:
        store_in_batches(given)
    statements = [query["sql"] for query in captured.captured_queries]
    return sum(not sql.startswith(("BEGIN", "COMMIT")) for sql in statements)


def _clear() -> None:
    from django.db import connection

    from complycube_sessions.models import (
        RelatedCheck,
        Review,
        ReviewEvent,
        SessionChange,
        SessionNameWord,
        WorkflowSession,
        allow_mirror_writes,
    )

    on_sessions = (SessionChange, SessionNameWord, RelatedCheck, ReviewEvent, Review)
    for model in (*on_sessions, WorkflowSession):
        with allow_mirror_writes():
            model.objects.all()._raw_delete(connection.alias)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    _work() if harness.is_worker() else main()
