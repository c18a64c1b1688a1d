from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.db import connection, models

from complycube_sessions.db.indexes import PartialIndex
from complycube_sessions.models import WorkflowSession

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = PartialIndex(
    fields=["created_at"],
    condition=models.Q(needs_review=True),
    instead=["needs_review", "created_at"],
    name="ccs_test_partial",
)


def indexes() -> dict[str, Any]:
    with connection.cursor() as cursor:
        table = WorkflowSession._meta.db_table
        return dict(connection.introspection.get_constraints(cursor, table))


def test_check__models_are_clean() -> None:
    """No database has anything to say of the models: every command would print it on a stranger's project."""
    assert checks.run_checks(tags=[checks.Tags.models], databases=["default"]) == []


def test_partial_index__holds_what_the_database_can() -> None:
    """It holds the rows of its condition alone, or all rows where a database has no partial indexes."""
    with connection.schema_editor() as editor:
        editor.add_index(WorkflowSession, INDEX)
    try:
        is_partial = connection.features.supports_partial_indexes
        columns = ["created_at"] if is_partial else ["needs_review", "created_at"]
        assert indexes()["ccs_test_partial"]["columns"] == columns
    finally:
        with connection.schema_editor() as editor:
            editor.remove_index(WorkflowSession, INDEX)
    assert "ccs_test_partial" not in indexes()
