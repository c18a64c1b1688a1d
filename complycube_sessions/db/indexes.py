"""Indexes that hold a part of a table where the database can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class PartialIndex(models.Index):
    """
    An index over the rows that meet a condition.

    MySQL and MariaDB have none; there it is a whole index over the fields named by ``instead``.
    """

    def __init__(self, *, condition: models.Q, instead: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        # Not ``condition``: for that, Django warns on MySQL and MariaDB that it makes no index.
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
