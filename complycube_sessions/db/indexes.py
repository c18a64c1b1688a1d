"""Partial indexes for databases that support them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class PartialIndex(models.Index):
    """
    An index over the rows that meet a condition.

    On MySQL and MariaDB, which have no partial indexes, it is a full index over the fields in ``instead``.
    """

    def __init__(self, *, condition: models.Q, instead: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        # Not named ``condition``: then Django would warn on MySQL and MariaDB, and create no index.
        self.only = condition
        self.instead = list(instead)

    def deconstruct(self) -> Any:
        path, arguments, options = super().deconstruct()
        return path, arguments, {**options, "condition": self.only, "instead": self.instead}

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **options: Any,
    ) -> Any:
        if schema_editor.connection.features.supports_partial_indexes:
            index = models.Index(fields=self.fields, condition=self.only, name=self.name)
        else:
            index = models.Index(fields=self.instead, name=self.name)
        return index.create_sql(model, schema_editor, using, **options)
