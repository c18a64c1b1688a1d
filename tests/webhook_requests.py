"""Events as the vendor sends them, signed by hand: no code of the app's is used."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from django.test import Client
from django.urls import reverse

SECRET = "b3f0a1f5d8c94e0e8a6f7c2d1e0b9a88"


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest()


def event(
    event_id: str = "evt1", event_type: str = "workflow.session.completed", **payload: Any
) -> dict[str, Any]:
    """Return an event whose payload is ``payload``."""
    return {
        "id": event_id,
        "type": event_type,
        "resourceType": "workflowSession",
        "payload": payload,
        "createdAt": "2026-01-05T10:00:09.300Z",
    }


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def post(
    client: Client,
    value: object,
    *,
    secret: str = SECRET,
    account: str = "default",
    headers: dict[str, str] | None = None,
) -> Any:
    """Send a signed body, or the bytes themselves, and return the response."""
    body = value if isinstance(value, bytes) else encoded(value)
    signed = {"ComplyCube-Signature": signature(body, secret)}
    return client.post(
        reverse("complycube_sessions:webhook", args=[account]),
        data=body,
        content_type="application/json",
        headers=signed if headers is None else headers,
    )
