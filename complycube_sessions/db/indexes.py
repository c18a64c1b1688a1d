"""Indexes that hold a part of a table where the database can, and adding them to a live table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex, RemoveIndex


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


class AddIndexOnline(AddIndex):
    """
    Add an index while others write to the table.

    PostgreSQL builds it concurrently, which it can do outside of a transaction only; MariaDB and MySQL
    block no writer by themselves. As such a migration may break in its middle, an index that is there
    is left as it is, and one that PostgreSQL left unfinished is built anew.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            add_online(schema_editor, model, self.index)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            remove_online(schema_editor, model, self.index)

    def describe(self) -> str:
        return f"{super().describe()} without blocking writers"


class RemoveIndexOnline(RemoveIndex):
    """Remove an index while others write to the table; one that is gone already is no error."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            remove_online(schema_editor, model, self._index(app_label, from_state))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            add_online(schema_editor, model, self._index(app_label, to_state))

    def describe(self) -> str:
        return f"{super().describe()} without blocking writers"

    def _index(self, app_label: str, state: Any) -> models.Index:
        index: models.Index = state.models[app_label, self.model_name_lower].get_index_by_name(
            self.name
        )
        return index


def add_online(schema_editor: Any, model: type[models.Model], index: models.Index) -> None:
    """Create an index, concurrently on PostgreSQL, unless it is there and whole."""
    if _is_there(schema_editor, model, index.name):
        if _is_whole(schema_editor, index.name):
            return
        remove_online(schema_editor, model, index)
    if _concurrently(schema_editor):
        schema_editor.add_index(model, index, concurrently=True)
    else:
        schema_editor.add_index(model, index)


def remove_online(schema_editor: Any, model: type[models.Model], index: models.Index) -> None:
    """Drop an index if it is there, concurrently on PostgreSQL."""
    if not _is_there(schema_editor, model, index.name):
        return
    if _concurrently(schema_editor):
        schema_editor.remove_index(model, index, concurrently=True)
    else:
        schema_editor.remove_index(model, index)


def _concurrently(schema_editor: Any) -> bool:
    connection = schema_editor.connection
    return connection.vendor == "postgresql" and not connection.in_atomic_block


def _is_there(schema_editor: Any, model: type[models.Model], name: str) -> bool:
    if schema_editor.collect_sql:  # sqlmigrate: nothing is looked up
        return False
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        return name in connection.introspection.get_constraints(cursor, model._meta.db_table)


def _is_whole(schema_editor: Any, name: str) -> bool:
    """Return whether an index was built to its end; PostgreSQL keeps the remains of one that was not."""
    if schema_editor.connection.vendor != "postgresql":
        return True
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [name])
        return bool(cursor.fetchone()[0])
