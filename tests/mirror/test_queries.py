from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from complycube_sessions.mirror.queries import newest_checks
from complycube_sessions.models import RelatedCheck
from tests.builders import by_hand, default_account, session_row

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def add_checks(session_id: str, count: int, first: datetime) -> None:
    with by_hand():
        RelatedCheck.objects.bulk_create(
            RelatedCheck(
                session_id=session_id,
                check_id=f"{session_id}-{number}",
                updated_at=first + timedelta(seconds=number),
            )
            for number in range(count)
        )


@pytest.mark.parametrize("others", [0, 9, 1_100])
def test_newest_checks__behind_those_of_another_account(
    others: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """An account finds its newest checks in a few rows, however many another one has that are newer."""
    session_row("own", updated_at=T0)
    session_row("other", account="other", updated_at=T0)
    add_checks("own", 5, T0)
    add_checks("other", others, T0 + timedelta(days=1))
    with django_assert_max_num_queries(4):
        newest = newest_checks(default_account())
    assert [check.id for check in newest] == ["own-4", "own-3", "own-2"]
