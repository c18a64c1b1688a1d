"""Rows as the store would have written them, and the people who look at them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Permission, User

from complycube_sessions.models import RelatedCheck, SessionNameWord, WorkflowSession
from complycube_sessions.models.name_words import name_rotations
from tests.builders import by_hand

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


@by_hand()
def make_session(**fields: Any) -> WorkflowSession:
    """Return a stored session, clear and complete unless told otherwise, with its name's words."""
    number = next(_numbers)
    session = WorkflowSession.objects.create(
        **{
            "id": f"5eb2b61e{number:016x}",
            "account": "default",
            "environment": "test",
            "client_id": f"c11e47{number:018x}",
            "entity_name": "John Doe",
            "status": "complete",
            "outcome": "clear",
            "workflow_template_id": "68566be2a37a78622f4f7be3",
            "workflow_template_name": "AML + Liveness",
            "workflow_version": 1,
            "created_at": NOON + timedelta(seconds=number),
            "completed_at": NOON + timedelta(minutes=2, seconds=number),
            "updated_at": NOON + timedelta(minutes=3, seconds=number),
            "fetched_at": NOON + timedelta(hours=1),
            "raw": {"id": "the answer", "secret of the answer": "raw-secret"},
            **fields,
        }
    )
    SessionNameWord.objects.bulk_create(
        SessionNameWord(session=session, words=words)
        for words in name_rotations(session.entity_name)
    )
    return session


@by_hand()
def make_check(session: WorkflowSession, **fields: Any) -> RelatedCheck:
    """Return a stored check of a session, a clear document check unless told otherwise."""
    number = next(_numbers)
    return RelatedCheck.objects.create(
        session=session,
        **{
            "check_id": f"689c78f6{number:016x}",
            "type": "document_check",
            "task_id": "task_1",
            "position": number,
            "status": "complete",
            "outcome": "clear",
            "result": {"outcome": "clear", "breakdown": {"contentAnalysis": "clear"}},
            "created_at": NOON,
            "updated_at": NOON + timedelta(minutes=1),
            "fetched_at": NOON + timedelta(hours=1),
            **fields,
        },
    )


def make_staff(*codenames: str, superuser: bool = False) -> User:
    """Return somebody who may sign in to the admin and holds these permissions of the app."""
    user = User.objects.create_user(
        f"user-{next(_numbers)}", password="secret", is_staff=True, is_superuser=superuser
    )
    permissions = Permission.objects.filter(
        content_type__app_label="complycube_sessions", codename__in=codenames
    )
    assert len(permissions) == len(codenames)
    user.user_permissions.set(permissions)
    return user
