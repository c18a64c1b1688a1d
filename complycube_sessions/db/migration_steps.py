"""What lets a migration be run again after it was killed in its middle."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final

from django.db import DatabaseError, migrations, transaction

# MySQL and MariaDB: the table, column, index or constraint is there already, or is gone.
_DONE: Final = frozenset({1050, 1051, 1060, 1061, 1091, 1826})
_NO_COLUMN: Final = 1054  # it has its other name already
_NO_TABLE: Final = 1146
_REFUSED: Final = 1005  # MariaDB, of a constraint; its words tell the system's "duplicate key"
_DUPLICATE_KEY: Final = "errno: 121"


class RepeatableMigration(migrations.Migration):
    """
    A migration that may be run again from its beginning, whatever of it was done.

    MySQL and MariaDB cannot take schema statements back, so a migration that was killed is neither
    done nor undone there. Each of its statements is, though: one whose work is done already says so by
    its error, and is passed over. Databases that take a killed migration back need nothing of this.
    """

    def apply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        _pass_over_what_is_done(schema_editor)
        return super().apply(project_state, schema_editor, collect_sql)

    def unapply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        _pass_over_what_is_done(schema_editor)
        return super().unapply(project_state, schema_editor, collect_sql)


class AddFieldOnce(migrations.AddField):
    """Add a column unless it is there, all or nothing, for migrations that are in no transaction."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if not self._has_column(app_label, schema_editor, to_state, unknown=False):
            with _all_or_nothing(schema_editor):
                super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self._has_column(app_label, schema_editor, from_state, unknown=True):
            with _all_or_nothing(schema_editor):
                super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _has_column(self, app_label: str, schema_editor: Any, state: Any, *, unknown: bool) -> bool:
        """Return whether the column is there, or ``unknown`` where the statements have to tell it."""
        connection = schema_editor.connection
        model = state.apps.get_model(app_label, self.model_name)
        is_elsewhere = not self.allow_migrate_model(connection.alias, model)
        if connection.vendor == "mysql" or schema_editor.collect_sql or is_elsewhere:
            return unknown
        column = model._meta.get_field(self.name).column
        with connection.cursor() as cursor:
            table = model._meta.db_table
            found = connection.introspection.get_table_description(cursor, table)
        return column in {description.name for description in found}


class CreateModelOnce(migrations.CreateModel):
    """Create a table with its indexes unless it is there."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if not self._has_table(app_label, schema_editor, to_state, unknown=False):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self._has_table(app_label, schema_editor, from_state, unknown=True):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _has_table(self, app_label: str, schema_editor: Any, state: Any, *, unknown: bool) -> bool:
        """Return whether the table is there, or ``unknown`` where the statements have to tell it."""
        connection = schema_editor.connection
        if connection.vendor == "mysql" or schema_editor.collect_sql:
            return unknown
        table = state.apps.get_model(app_label, self.name)._meta.db_table
        return table in connection.introspection.table_names()


def _all_or_nothing(schema_editor: Any) -> AbstractContextManager[Any]:
    """Return a transaction: to add a column, SQLite copies the table. MySQL's statements are in none."""
    if schema_editor.collect_sql or not schema_editor.connection.features.can_rollback_ddl:
        return nullcontext()
    whole: AbstractContextManager[Any] = transaction.atomic(using=schema_editor.connection.alias)
    return whole


def _pass_over_what_is_done(schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "mysql" and not schema_editor.collect_sql:
        schema_editor.execute = partial(_execute, schema_editor.execute)


def _execute(execute: Callable[..., Any], sql: Any, params: Any = ()) -> Any:
    try:
        return execute(sql, params)
    except DatabaseError as error:
        if not _is_done(error, str(sql)):
            raise
        return None


def _is_done(error: DatabaseError, sql: str) -> bool:
    number = error.args[0] if error.args else None
    if number == _NO_COLUMN:
        return sql.startswith("ALTER TABLE ")
    if number == _NO_TABLE:
        return sql.startswith("DROP ") or " DROP " in sql
    return number in _DONE or (number == _REFUSED and _DUPLICATE_KEY in str(error))
