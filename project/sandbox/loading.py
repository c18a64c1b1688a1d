"""How the sandbox is filled."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, time
from typing import Final

from django.db import transaction
from django.utils import timezone

from project.sandbox import audit, data, example
from project.sandbox.models import (
    SandboxAuditLog,
    SandboxCheck,
    SandboxClient,
    SandboxSession,
    SandboxWebhook,
)
from project.sandbox.people import client_of

DEFAULT_COUNT: Final = 400
SEED: Final = "sandbox"
BATCH: Final = 500
# The receiver of the demo site, among the webhooks of the account.
DEMO_WEBHOOK: Final = "64d1f0a2c7e4b90008a1d001"


def load(count: int = DEFAULT_COUNT) -> tuple[int, int]:
    """
    Store the vendor's example and the first invented sessions, and leave those alone that are there.

    Returns:
        How many sessions were added, and how many there are now.
    """
    # Midnight, so that one day has one sandbox however often it is loaded.
    today = datetime.combine(timezone.now().astimezone(UTC).date(), time(), UTC)
    before = SandboxSession.objects.count()
    # A sandbox of an older version has sessions alone.
    has_clients = SandboxClient.objects.exists()
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
            _load_what_is_around(new if has_clients else batch)
    total = SandboxSession.objects.count()
    return total - before, total


def register_receiver(url: str, secret: str) -> None:
    """Let the events of what is changed in the sandbox go to the demo site, wherever it is served now."""
    now = data.iso(timezone.now())
    body = {
        "id": DEMO_WEBHOOK,
        "description": "The demo site",
        "url": url,
        "enabled": True,
        "events": ["*"],
        "createdAt": now,
        "updatedAt": now,
    }
    SandboxWebhook.from_body(body, secret).save()


def _load_what_is_around(stories: list[tuple[data.Body, list[data.Body]]]) -> None:
    """Store the clients of sessions, and what the audit log tells of them."""
    SandboxClient.objects.bulk_create(
        {
            session["clientId"]: SandboxClient.from_body(client_of(session))
            for session, _checks in stories
        }.values(),
        ignore_conflicts=True,
    )
    SandboxAuditLog.objects.bulk_create(
        [
            SandboxAuditLog.from_body(entry)
            for session, checks in stories
            for entry in audit.history(session, checks)
        ],
        ignore_conflicts=True,
    )
