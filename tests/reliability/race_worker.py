"""
One of several processes that store copies of the same sessions at once; see ``test_races.py``.

Usage: ``python -m tests.reliability.race_worker SEED SESSIONS VERSIONS ROUNDS``. It prints for each session
the newest version that it stored, as JSON.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta

import django
from django.db import connection

from complycube_sessions.api.payloads import parse_check, parse_session
from tests.fake_api import iso

START = datetime(2026, 1, 1, tzinfo=UTC)
OUTCOMES = ("clear", "attention", "rejected", "review")


def outcome(version: int) -> str:
    return OUTCOMES[version % len(OUTCOMES)]


def main(seed: int, sessions: int, versions: int, rounds: int) -> None:
    django.setup()
    from complycube_sessions.conf import get_account
    from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
    from complycube_sessions.mirror.write import store_batch

    rng = random.Random(seed)
    newest: dict[str, int] = {}
    connection.ensure_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # all begin together
    for _ in range(rounds):
        batch = []
        for number in rng.sample(range(sessions), sessions // 2):
            version = rng.randrange(versions)
            session_id = f"{number:024x}"
            updated = iso(START + timedelta(minutes=version))
            check_id = f"c{number:023x}"
            common = {"status": "complete", "createdAt": iso(START), "updatedAt": updated}
            source = {
                **common,
                "id": session_id,
                "entityName": f"Person {number} {version}",
                "outcome": outcome(version),
                "allRelatedChecks": [{"checkId": check_id, "type": "t", "taskId": "1"}],
            }
            check = {**common, "id": check_id, "result": {"outcome": outcome(version)}}
            fetched_at = datetime.now(UTC)
            checks = (FetchedCheck(parse_check(check, check_id=check_id), fetched_at),)
            payload = parse_session(source, session_id=session_id)
            batch.append(FetchedSession(session_id, payload, fetched_at, checks))
            newest[session_id] = max(version, newest.get(session_id, 0))
        stored = store_batch(get_account(), batch)
        assert not stored.failed
    sys.stdout.write(json.dumps(newest))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
