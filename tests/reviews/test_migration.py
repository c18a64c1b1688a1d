"""What was stored before there were reviews."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from complycube_sessions.models import Review
from tests.test_migrations import APP, TIME, migrate_to, migrated, names

__all__ = ["migrated"]  # a fixture


@pytest.mark.django_db(transaction=True)
def test_migration__opens_the_reviews_of_the_queue(
    migrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stored session that needs a review has one, open since it waits, and no other has."""
    (name,) = (name for name in names() if name.endswith("_reviews"))
    monkeypatch.setattr(import_module(f"{APP}.migrations.{name}"), "BATCH", 2)
    state = migrate_to(names()[names().index(name) - 1])
    waits = {"account": "default", "fetched_at": TIME, "status": "complete", "needs_review": True}
    sessions = state.get_model(APP, "WorkflowSession").objects
    start = datetime(2026, 1, 5, tzinfo=UTC)
    for number in range(5):
        completed_at = start + timedelta(hours=number)
        sessions.create(id=f"s{number}", outcome="attention", completed_at=completed_at, **waits)
    turned_at = start + timedelta(days=9)
    sessions.create(id="turned", outcome="clear", completed_at=start, updated_at=turned_at, **waits)
    sessions.create(id="done", outcome="clear", **{**waits, "needs_review": False})

    migrate_to(names()[-1])

    opened = dict(Review.objects.values_list("pk", "opened_at"))
    assert opened == {
        **{f"s{number}": start + timedelta(hours=number) for number in range(5)},
        "turned": turned_at,
    }
    review = Review.objects.get(pk="turned")
    assert (review.state, review.due_at) == ("open", turned_at + timedelta(days=2))
