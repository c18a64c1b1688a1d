"""Routers as host projects write them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model

APP = "complycube_sessions"


class KycRouter:
    """The app in a database of its own, everything else in the default one."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return "kyc" if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "kyc") == (app_label == APP)


class ReplicaRouter:
    """Reads from the replica, writes to the default; it remembers what of the app was read there."""

    read: ClassVar[list[str]] = []

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        if model._meta.app_label == APP:
            self.read.append(model.__name__)
        return "replica"

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return True
