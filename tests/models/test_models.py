from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command

from complycube_sessions.api import ids, payloads
from complycube_sessions.models import RelatedCheck, WorkflowSession, lengths
from tests.builders import session_row


@pytest.mark.django_db
def test_migrations__are_complete() -> None:
    """No model differs from its migrations."""
    call_command("makemigrations", "--check", "--dry-run", stdout=StringIO())


@pytest.mark.django_db
def test_permissions__as_documented() -> None:
    """There is a right to see, refresh, export and give evidence, and none to add, change or delete."""
    names = set(
        Permission.objects.filter(
            content_type__app_label="complycube_sessions", codename__endswith="_workflowsession"
        ).values_list("codename", flat=True)
    )
    assert names == {
        "view_workflowsession",
        "refresh_workflowsession",
        "export_workflowsession",
        "view_sensitive_workflowsession",
        "evidence_workflowsession",
        "change_upstream_workflowsession",
    }


@pytest.mark.django_db
def test_str__shows_ids_not_names() -> None:
    row = session_row("abc", entity_name="Alice")
    check = RelatedCheck(session=row, check_id="c1")
    assert (str(row), str(check)) == ("abc", "c1")


def test_choices__never_refuse_a_new_word() -> None:
    """Known words have labels; unknown ones are valid all the same."""
    row = WorkflowSession(id="a", account="default", status="paused", outcome="never_seen")
    row.clean_fields(exclude=["fetched_at"])
    assert str(WorkflowSession.Status.COMPLETE.label) == "Complete"


def test_lengths__are_those_of_the_parser() -> None:
    """What the parser cuts fits its column; neither of the two may import the other."""
    columns = (lengths.ID_LENGTH, lengths.NAME_LENGTH, lengths.WORD_LENGTH)
    assert columns == (ids.ID_LENGTH, payloads.NAME_LENGTH, payloads.WORD_LENGTH)
