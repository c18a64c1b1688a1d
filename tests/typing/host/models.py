"""A model of the host's own that refers to what the app keeps."""

from __future__ import annotations

from django.db import models

from complycube_sessions.models import WorkflowSession


class Customer(models.Model):
    client_id = models.CharField(max_length=128, unique=True)
    is_unlocked = models.BooleanField(default=False)
    decided_by = models.ForeignKey(
        WorkflowSession, models.SET_NULL, null=True, blank=True, db_constraint=False
    )

    def __str__(self) -> str:
        return self.client_id
