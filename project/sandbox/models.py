"""
The state of the sandbox, in the database so that several processes serve the same.

Each row keeps the JSON texts that the API sends for it, beside the columns that lists are
filtered and sorted by, so that no answer has to parse or build JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

from django.db import models

LIST_FIELDS: Final = (
    "id",
    "clientId",
    "entityName",
    "status",
    "workflowTemplateName",
    "workflowTemplateId",
    "workflowId",
    "workflowVersion",
    "outcome",
    "createdAt",
    "updatedAt",
)


class SandboxSession(models.Model):
    """A workflow session as the sandbox serves it."""

    id = models.CharField(primary_key=True, max_length=64)
    client_id = models.CharField(max_length=64, db_index=True)
    entity_name = models.CharField(max_length=1000)
    status = models.CharField(max_length=32, db_index=True)
    outcome = models.CharField(max_length=32, db_index=True)
    workflow_template_id = models.CharField(max_length=64, db_index=True)
    workflow_template_name = models.CharField(max_length=255)
    workflow_id = models.CharField(max_length=64, db_index=True)
    workflow_version = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(db_index=True)
    # What a list shows of it, and what GET by id answers.
    item = models.TextField()
    body = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at", "id"], name="sandbox_session_created")]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Return an unsaved row for a session as GET by id shows it."""
        return cls(
            id=body["id"],
            client_id=body.get("clientId", ""),
            entity_name=body.get("entityName", ""),
            status=body["status"],
            outcome=body.get("outcome", ""),
            workflow_template_id=body.get("workflowTemplateId", ""),
            workflow_template_name=body.get("workflowTemplateName", ""),
            workflow_id=body.get("workflowId", ""),
            workflow_version=body.get("workflowVersion"),
            created_at=datetime.fromisoformat(body["createdAt"]),
            updated_at=datetime.fromisoformat(body["updatedAt"]),
            item=to_json({name: body[name] for name in LIST_FIELDS if name in body}),
            body=to_json(body),
        )


class SandboxCheck(models.Model):
    """A check as the sandbox serves it."""

    id = models.CharField(primary_key=True, max_length=64)
    client_id = models.CharField(max_length=64, db_index=True)
    type = models.CharField(max_length=64, db_index=True)
    status = models.CharField(max_length=32, db_index=True)
    outcome = models.CharField(max_length=32, db_index=True)
    document_id = models.CharField(max_length=64, db_index=True)
    address_id = models.CharField(max_length=64, db_index=True)
    live_photo_id = models.CharField(max_length=64, db_index=True)
    live_video_id = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(db_index=True)
    # What a list shows of it, and what GET by id answers.
    item = models.TextField()
    body = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at", "id"], name="sandbox_check_created")]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Return an unsaved row for a check as GET by id shows it."""
        item = dict(body)
        if "result" in body:
            item["result"] = {"outcome": body["result"]["outcome"]}
        return cls(
            id=body["id"],
            client_id=body["clientId"],
            type=body["type"],
            status=body["status"],
            outcome=body.get("result", {}).get("outcome", ""),
            document_id=body.get("documentId", ""),
            address_id=body.get("addressId", ""),
            live_photo_id=body.get("livePhotoId", ""),
            live_video_id=body.get("liveVideoId", ""),
            created_at=datetime.fromisoformat(body["createdAt"]),
            updated_at=datetime.fromisoformat(body["updatedAt"]),
            item=to_json(item),
            body=to_json(body),
        )


class SandboxClient(models.Model):
    """A client as the sandbox serves it."""

    id = models.CharField(primary_key=True, max_length=64)
    type = models.CharField(max_length=32)
    email = models.CharField(max_length=255)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    item = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at", "id"], name="sandbox_client_created")]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Return an unsaved row for a client as GET by id shows it."""
        return cls(
            id=body["id"],
            type=body["type"],
            email=body["email"],
            created_at=datetime.fromisoformat(body["createdAt"]),
            updated_at=datetime.fromisoformat(body["updatedAt"]),
            item=to_json(body),
        )


class SandboxWebhook(models.Model):
    """A webhook as the sandbox serves it; its secret is told once, when it is made."""

    id = models.CharField(primary_key=True, max_length=64)
    url = models.CharField(max_length=1000)
    enabled = models.BooleanField()
    events = models.JSONField()
    secret = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    item = models.TextField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def from_body(cls, body: Mapping[str, Any], secret: str) -> Self:
        """Return an unsaved row for a webhook as GET by id shows it."""
        return cls(
            id=body["id"],
            url=body["url"],
            enabled=body["enabled"],
            events=body["events"],
            secret=secret,
            created_at=datetime.fromisoformat(body["createdAt"]),
            updated_at=datetime.fromisoformat(body["updatedAt"]),
            item=to_json(body),
        )


class SandboxAuditLog(models.Model):
    """One entry of the audit log as the sandbox serves it."""

    id = models.CharField(primary_key=True, max_length=64)
    member_id = models.CharField(max_length=64)
    resource_type = models.CharField(max_length=64)
    resource_id = models.CharField(max_length=64, db_index=True)
    client_id = models.CharField(max_length=64, db_index=True)
    trigger = models.CharField(max_length=64)
    action = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    # An entry never changes; the lists know the filter all the same.
    updated_at = models.DateTimeField()
    item = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at", "id"], name="sandbox_audit_created")]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Return an unsaved row for an entry as the API shows it."""
        at = datetime.fromisoformat(body["createdAt"])
        return cls(
            id=body["id"],
            member_id=body.get("memberId", ""),
            resource_type=body["resourceType"],
            resource_id=body["resourceId"],
            client_id=body.get("clientId", ""),
            trigger=body["trigger"],
            action=body["action"],
            created_at=at,
            updated_at=at,
            item=to_json(body),
        )


def to_json(value: object) -> str:
    """Return a value as compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
