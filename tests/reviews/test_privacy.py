"""Notes are personal data: with a person and with a session's retention they go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from complycube_sessions.exceptions import ComplyCubeProtectedError
from complycube_sessions.models import Erasure, Review, ReviewEvent, ReviewNote, WorkflowSession
from complycube_sessions.services import add_review_note, erase_client, prune, take_review
from tests.reviews.builders import make_user, store

pytestmark = pytest.mark.django_db


def hold(session: WorkflowSession) -> str:
    return "case 4711"


def noted(number: int = 1) -> str:
    pk = store(number)
    user = make_user()
    take_review(pk, user)
    add_review_note(pk, user, "He called twice.")
    return pk


@pytest.mark.parametrize("dry_run", [True, False])
def test_erase__takes_the_case_along(dry_run: bool) -> None:
    """All of the erased person's case goes, is counted, and another's stays."""
    noted(1)
    other = noted(2)
    result = erase_client("client1", dry_run=dry_run)
    counted = {name: result.rows[name] for name in ("Review", "ReviewNote", "ReviewEvent")}
    assert counted == {"Review": 1, "ReviewNote": 1, "ReviewEvent": 1}
    models: list[Any] = [Review, ReviewNote, ReviewEvent]
    assert [model.objects.count() for model in models] == [2 if dry_run else 1] * 3
    if not dry_run:
        assert Review.objects.get().pk == other
        removed = Erasure.objects.get(kind="client").removed
        assert removed.items() >= counted.items()


def test_erase__a_hold_keeps_the_case(settings: Any) -> None:
    settings.COMPLYCUBE_LEGAL_HOLD = f"{__name__}.hold"
    noted()
    with pytest.raises(ComplyCubeProtectedError):
        erase_client("client1")
    assert ReviewNote.objects.count() == 1


def test_prune__takes_the_case_along(settings: Any) -> None:
    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=1)}
    noted()
    prune()
    assert not ReviewNote.objects.exists()
    assert not Review.objects.exists()
