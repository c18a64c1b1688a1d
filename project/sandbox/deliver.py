"""Events of the sandbox, signed and sent over HTTP as the vendor sends them."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import requests

SIGNATURE_HEADER = "ComplyCube-Signature"
# The vendor waits so long for an answer.
TIMEOUT_SECONDS = 15
FAMILY_OF_SESSIONS = "workflow.session."


def build_event(event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return an event with an id of its own."""
    of_session = event_type.startswith(FAMILY_OF_SESSIONS)
    resource_type = "workflowSession" if of_session else event_type.partition(".")[0]
    return {
        "id": uuid.uuid4().hex[:24],
        "type": event_type,
        "resourceType": resource_type,
        "payload": payload,
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def deliver(url: str, secret: str, event: dict[str, Any]) -> int:
    """
    Send one event once and return the status of the answer.

    Raises:
        requests.RequestException: There was no answer.
    """
    body = json.dumps(event, ensure_ascii=False).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, data=body, headers=headers, timeout=TIMEOUT_SECONDS)
    return answer.status_code
