"""How the sandbox is filled."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, time
from typing import Final

from django.db import transaction
from django.utils import timezone

from project.sandbox import data, example
from project.sandbox.models import SandboxCheck, SandboxSession

DEFAULT_COUNT: Final = 400
SEED: Final = "sandbox"
BATCH: Final = 500


def load(count: int = DEFAULT_COUNT) -> tuple[int, int]:
    """
    Store the vendor's example and the first invented sessions, and leave those alone that are there.

    Returns:
        How many sessions were added, and how many there are now.
    """
    # Midnight, so that one day has one sandbox however often it is loaded.
    today = datetime.combine(timezone.now().astimezone(UTC).date(), time(), UTC)
    before = SandboxSession.objects.count()
    everything = itertools.chain(
        [(example.SESSION, example.checks())], data.generate(count, SEED, today)
    )
    while batch := list(itertools.islice(everything, BATCH)):
        ids = [session["id"] for session, _checks in batch]
        known = set(SandboxSession.objects.filter(pk__in=ids).values_list("pk", flat=True))
        new = [(session, checks) for session, checks in batch if session["id"] not in known]
        with transaction.atomic():
            # Several processes may load at the same time.
            SandboxSession.objects.bulk_create(
                [SandboxSession.from_body(session) for session, _checks in new],
                ignore_conflicts=True,
            )
            SandboxCheck.objects.bulk_create(
                [SandboxCheck.from_body(check) for _session, checks in new for check in checks],
                ignore_conflicts=True,
            )
    total = SandboxSession.objects.count()
    return total - before, total
