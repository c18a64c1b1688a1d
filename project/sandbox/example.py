"""
The example of the vendor's documentation, and believable checks for the three it names.

Source:
    API reference, "Get a workflow session".
"""

from __future__ import annotations

import random
from typing import Any, Final

from project.sandbox.breakdowns import breakdown

SESSION: Final[dict[str, Any]] = {
    "id": "5eb2b61e02df0a0008f1cf2a",
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
        {"checkId": "689c78f619987c0002774921", "type": "document_check", "taskId": "..."},
        {"checkId": "689c78f619987c0002774922", "type": "identity_check", "taskId": "..."},
        {
            "checkId": "689c78f619987c0002774923",
            "type": "extensive_screening_check",
            "taskId": "...",
        },
    ],
    "outcome": "clear",
    "createdAt": "2025-01-13T11:35:20.592Z",
    "completedAt": "2025-01-13T11:37:30.124Z",
    "updatedAt": "2025-01-13T11:39:30.124Z",
    "policyAssurance": [],
}


def checks() -> list[dict[str, Any]]:
    """Return the three checks of the example, complete and clear; the vendor prints only their ids."""
    rng = random.Random("example")  # noqa: S311 - repeatable on purpose
    return [
        {
            "id": related["checkId"],
            "clientId": SESSION["clientId"],
            "entityName": SESSION["entityName"],
            "type": related["type"],
            "enableMonitoring": False,
            "clientConsent": True,
            "status": "complete",
            "result": {
                "outcome": "clear",
                "breakdown": breakdown(related["type"], "clear", SESSION["entityName"], rng),
            },
            "createdAt": f"2025-01-13T11:36:{2 + number:02d}.310Z",
            "updatedAt": f"2025-01-13T11:36:{40 + 9 * number:02d}.024Z",
        }
        for number, related in enumerate(SESSION["allRelatedChecks"])
    ]
