"""Migrations that can be run again after they were killed halfway."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.db import DatabaseError, migrations

# MySQL and MariaDB: the table, column, index or constraint exists already, or is gone already.
_DONE: Final = frozenset({1050, 1051, 1060, 1061, 1091, 1826})
_NO_COLUMN: Final = 1054  # it has been renamed already
_NO_TABLE: Final = 1146
_REFUSED: Final = (
    1005  # MariaDB, for a constraint; the message contains the errno of "duplicate key"
)
_DUPLICATE_KEY: Final = "errno: 121"


class RepeatableMigration(migrations.Migration):
    """
    A migration that can be run again from its beginning after it was killed.

    MySQL and MariaDB cannot roll back schema statements, so a killed migration is half done there. Each
    statement is atomic, however: if its work is done already, it fails with a known error, which is ignored.
    Other databases roll back a killed migration with its record.
    """

    def apply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        _pass_over_what_is_done(schema_editor)
        state = super().apply(project_state, schema_editor, collect_sql)
        # Django records a migration in the same transaction only if no deferred statement is left.
        for statement in schema_editor.deferred_sql:
            schema_editor.execute(statement, None)
        schema_editor.deferred_sql.clear()
        return state

    def unapply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        _pass_over_what_is_done(schema_editor)
        return super().unapply(project_state, schema_editor, collect_sql)


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
