"""Migrations that can be run again after they were killed half-way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.db import DatabaseError, migrations

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
    its error, and is passed over. Other databases take a killed migration back, with its record.
    """

    def apply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        _pass_over_what_is_done(schema_editor)
        state = super().apply(project_state, schema_editor, collect_sql)
        # Django records a migration in its own transaction only where no statement is left for later.
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
