"""
One of several people who work on reviews at once; see ``test_reviews.py``.

Usage: ``python -m tests.reliability.review_worker take|decide|store NUMBER``. It prints as JSON what it took.
"""

from __future__ import annotations

import json
import random
import sys

import django
from django.db import connection

ROUNDS = 12
SESSIONS = 5


def take(number: int) -> list[str]:
    """Press "Take next" until nothing is left."""
    from complycube_sessions.services import take_next_review
    from tests.reviews.builders import make_user

    user, taken = make_user(f"person-of-process-{number}"), []
    wait_for_the_others()
    while review := take_next_review(user):
        taken.append(review.pk)
    return taken


def decide(number: int) -> list[str]:
    """Decide and assign again what the others store meanwhile."""
    from complycube_sessions.exceptions import ReviewConflictError, ReviewPermissionError
    from complycube_sessions.services import assign_review, decide_review, review_fingerprint
    from tests.reviews.builders import make_user, session_id

    user, decided = make_user(f"person-of-process-{number}"), []
    wait_for_the_others()
    for turn in range(4 * ROUNDS):
        pk = session_id(1 + (turn + number) % SESSIONS)
        try:
            decide_review(pk, user, "approved", seen=review_fingerprint(pk))
            decided.append(pk)
            if turn % 3 == 0:
                assign_review(pk, None, user)
        except (ReviewConflictError, ReviewPermissionError):
            assign_review(pk, None, user)
    return decided


def store(number: int) -> list[str]:
    """Store the sessions with a check that turns and turns back."""
    from complycube_sessions.conf import get_account
    from complycube_sessions.mirror.write import store_batch
    from tests.reviews.builders import fetched

    rng = random.Random(number)
    wait_for_the_others()
    for _ in range(ROUNDS):
        batch = [
            fetched(session, check=rng.choice(["clear", "attention"]))
            for session in range(1, SESSIONS + 1)
        ]
        assert not store_batch(get_account(), batch).failed
    return []


def wait_for_the_others() -> None:
    connection.ensure_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    django.setup()
    work = {"take": take, "decide": decide, "store": store}[sys.argv[1]]
    sys.stdout.write(json.dumps(work(int(sys.argv[2]))))
