"""
The models, one module per group of tables, with their querysets.

Only ``mirror/`` writes mirrored rows (``WorkflowSession``, ``RelatedCheck``, ``SessionChange``, ``AuditEntry``,
``SessionNameWord``), and only ``privacy/`` removes them; ``mirrored`` refuses all other writes. Text that the API
left out is ``""``; missing times and numbers are NULL. Models may import ``db`` and ``exceptions``.
"""

from __future__ import annotations

from complycube_sessions.models.audit import AuditEntry, UpstreamChange
from complycube_sessions.models.changes import SessionChange
from complycube_sessions.models.checks import RelatedCheck
from complycube_sessions.models.evidence import SessionEvidence
from complycube_sessions.models.mirrored import allow_mirror_writes
from complycube_sessions.models.privacy import Erasure, ErasureGate, PruneRun
from complycube_sessions.models.reviews import Review, ReviewEvent, ReviewNote, SavedView
from complycube_sessions.models.runs import PendingRefresh, RefreshLease, RefreshRun, RequestBudget
from complycube_sessions.models.sessions import SessionNameWord, WorkflowSession
from complycube_sessions.models.statistics import ChangedDay, DayFigures
from complycube_sessions.models.webhooks import WebhookEvent

__all__ = [
    "AuditEntry",
    "ChangedDay",
    "DayFigures",
    "Erasure",
    "ErasureGate",
    "PendingRefresh",
    "PruneRun",
    "RefreshLease",
    "RefreshRun",
    "RelatedCheck",
    "RequestBudget",
    "Review",
    "ReviewEvent",
    "ReviewNote",
    "SavedView",
    "SessionChange",
    "SessionEvidence",
    "SessionNameWord",
    "UpstreamChange",
    "WebhookEvent",
    "WorkflowSession",
    "allow_mirror_writes",
]
