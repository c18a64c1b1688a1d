"""The smallest legal bodies of the API, and rows without a fetch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from complycube_sessions.conf import Account, get_account
from complycube_sessions.models import WorkflowSession, allow_mirror_writes

# For rows that no answer has brought, which the guard of mirrored rows would refuse.
by_hand = allow_mirror_writes
SESSION_ID = "5eb2b61e02df0a0008f1cf2a"
UNKNOWN_ID = "5eb2b61e02df0a0008f1cf2b"
CHECK_IDS = (
    "689c78f619987c0002774921",
    "689c78f619987c0002774922",
    "689c78f619987c0002774923",
)
CHECK_TYPES = ("document_check", "identity_check", "extensive_screening_check")


def vendor_example() -> dict[str, Any]:
    """Return the session of the vendor's reference page, "Get a workflow session"."""
    return {
        "id": SESSION_ID,
        "clientId": "5eb1276d96be4a0008713af5",
        "entityName": "John Doe",
        "status": "complete",
        "workflowTemplateId": "68566be2a37a78622f4f7be3",
        "workflowId": "68566be3a37a78622f4f7be7",
        "workflowTemplateName": "AML + Liveness + Document Verification flow",
        "workflowVersion": 1,
        "workflowDescription": "Initial version",
        "compliancePolicies": [],
        "tasks": [],
        "lastCompletedTaskId": "task_id_123",
        "allRelatedChecks": [
            {"checkId": check_id, "type": check_type, "taskId": "..."}
            for check_id, check_type in zip(CHECK_IDS, CHECK_TYPES, strict=True)
        ],
        "outcome": "clear",
        "createdAt": "2025-01-13T11:35:20.592Z",
        "completedAt": "2025-01-13T11:37:30.124Z",
        "updatedAt": "2025-01-13T11:39:30.124Z",
        "policyAssurance": [],
    }


def session_payload(**overrides: Any) -> dict[str, Any]:
    """Return the smallest session that is one."""
    return {"id": SESSION_ID, **overrides}


def check_payload(check_id: str = CHECK_IDS[0], **overrides: Any) -> dict[str, Any]:
    """Return a check that is complete and clear."""
    return {
        "id": check_id,
        "clientId": "5eb1276d96be4a0008713af5",
        "entityName": "John Doe",
        "type": "document_check",
        "status": "complete",
        "result": {"outcome": "clear", "breakdown": {"summary": "clear"}},
        "createdAt": "2025-01-13T11:35:30.000Z",
        "updatedAt": "2025-01-13T11:36:30.000Z",
        **overrides,
    }


def default_account() -> Account:
    return get_account("default")


@by_hand()
def session_row(pk: str = SESSION_ID, **fields: Any) -> WorkflowSession:
    """Store a session without a fetch."""
    values = {
        "account": "default",
        "environment": "test",
        "fetched_at": datetime(2026, 1, 1, tzinfo=UTC),
        **fields,
    }
    return WorkflowSession.objects.create(pk=pk, **values)
