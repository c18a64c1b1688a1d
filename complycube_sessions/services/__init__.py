"""
The public functions for projects; the modules behind them may change.

It may import every room below: ``upstream``, ``sync``, ``webhooks``, ``privacy``, ``evidence``, ``reviews``,
``statistics``, ``models``, ``api``, ``conf`` and ``exceptions``. No room imports it.
"""

from __future__ import annotations

from complycube_sessions.evidence.build import export_evidence
from complycube_sessions.evidence.vendor_report import open_session_report
from complycube_sessions.evidence.verify import verify_evidence
from complycube_sessions.privacy.erase import erase_client, lift_erasure
from complycube_sessions.privacy.pruning import prune
from complycube_sessions.reviews.decide import confirm_review, decide_review, review_fingerprint
from complycube_sessions.reviews.work import (
    add_review_note,
    assign_review,
    release_review,
    take_next_review,
    take_review,
)
from complycube_sessions.sync.refresh import refresh_session, refresh_sessions
from complycube_sessions.upstream.changes import cancel_session, complete_session, validate_check
from complycube_sessions.webhooks.processing import process_webhook_event, process_webhook_events

__all__ = [
    "add_review_note",
    "assign_review",
    "cancel_session",
    "complete_session",
    "confirm_review",
    "decide_review",
    "erase_client",
    "export_evidence",
    "lift_erasure",
    "open_session_report",
    "process_webhook_event",
    "process_webhook_events",
    "prune",
    "refresh_session",
    "refresh_sessions",
    "release_review",
    "review_fingerprint",
    "take_next_review",
    "take_review",
    "validate_check",
    "verify_evidence",
]
