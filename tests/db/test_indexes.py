from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.db import connection, models

from complycube_sessions.db.indexes import PartialIndex, add_online, remove_online
from complycube_sessions.models import WorkflowSession
from tests.admin.builders import make_session

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = PartialIndex(
    fields=["created_at"],
    condition=models.Q(needs_review=True),
    instead=["needs_review", "created_at"],
    name="ccs_test_online",
)


def indexes() -> dict[str, Any]:
    with connection.cursor() as cursor:
        table = WorkflowSession._meta.db_table
        return dict(connection.introspection.get_constraints(cursor, table))


def test_check__models_are_clean() -> None:
    """No database has anything to say of the models: every command would print it on a stranger's project."""
    assert checks.run_checks(tags=[checks.Tags.models], databases=["default"]) == []


def test_add__to_a_table_with_rows_and_again() -> None:
    """An index is added to a table with rows; where it is there already nothing happens."""
    make_session(needs_review=True)
    try:
        for _ in range(2):
            with connection.schema_editor(atomic=False) as editor:
                add_online(editor, WorkflowSession, INDEX)
            assert "ccs_test_online" in indexes()
        is_partial = connection.features.supports_partial_indexes
        columns = ["created_at"] if is_partial else ["needs_review", "created_at"]
        assert indexes()["ccs_test_online"]["columns"] == columns
    finally:
        for _ in range(2):
            with connection.schema_editor(atomic=False) as editor:
                remove_online(editor, WorkflowSession, INDEX)
    assert "ccs_test_online" not in indexes()


@pytest.mark.vendors("postgresql")  # no other leaves such remains
def test_add__where_an_unfinished_one_was_left() -> None:
    """An index that PostgreSQL did not finish is built anew."""
    try:
        with connection.schema_editor(atomic=False) as editor:
            add_online(editor, WorkflowSession, INDEX)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ccs_test_online'::regclass"
            )
        with connection.schema_editor(atomic=False) as editor:
            add_online(editor, WorkflowSession, INDEX)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ccs_test_online'::regclass"
            )
            assert cursor.fetchone() == (True,)
    finally:
        with connection.schema_editor(atomic=False) as editor:
            remove_online(editor, WorkflowSession, INDEX)
