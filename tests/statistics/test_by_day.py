from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from complycube_sessions.api.payloads import parse_session
from complycube_sessions.conf import get_account
from complycube_sessions.mirror.merge import FetchedSession
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.models import ChangedDay, DayFigures, WorkflowSession
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.privacy.pruning import prune
from complycube_sessions.statistics import by_day, overview
from tests.admin.builders import make_check, make_session
from tests.builders import by_hand
from tests.fake_api import FakeAPI

pytestmark = pytest.mark.django_db(transaction=True)


def period() -> overview.Period:
    today = timezone.localdate()
    return overview.period(today - timedelta(days=89), today)


def fill(now: datetime) -> None:
    for number in range(40):
        created = now - timedelta(hours=30 * number)
        session = make_session(
            created_at=created,
            completed_at=created + timedelta(seconds=number * 7),
            outcome=("clear", "attention", "odd")[number % 3],
            status=("complete", "abandoned")[number % 2],
            workflow_template_id=f"t{number % 4}",
        )
        make_check(session, outcome=("clear", "rejected")[number % 2])


def store(created_at: datetime, **changes: Any) -> None:
    """Store one session as a refresh does."""
    api = FakeAPI()
    pk = api.add_session(1)
    when = created_at.isoformat().replace("+00:00", "Z")
    api.touch(pk, createdAt=when, **changes)
    at = datetime.now(UTC)
    payload = parse_session(api.sessions[pk], session_id=pk)
    assert not store_batch(get_account(), [FetchedSession(pk, payload, at, ())]).failed


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Los_Angeles"])
def test_kept__equals_counted(settings: Any, zone: str) -> None:
    """The figures are the same whether the days are kept or counted, in any time zone."""
    settings.TIME_ZONE = zone
    fill(timezone.now())
    counted = period()
    assert by_day.store_day_statistics() == 90
    assert DayFigures.objects.count() == 90
    assert period() == counted
    assert by_day.store_day_statistics() == 0


def test_counted__in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are counted once each, however many are read at once, and many of one moment too."""
    now = timezone.now().replace(hour=12)
    fill(now)
    for _ in range(10):
        make_session(created_at=now)
    whole = period()
    for size in (1, 3, 10, 50):
        monkeypatch.setattr(by_day, "SHOWN_AT_ONCE", size)
        assert period() == whole
    assert whole.activity.total == 50
    today = timezone.localdate(now)
    days = [today - timedelta(days=number) for number in (0, 1, 5, 6, 30)]
    sessions_by_day = {day: overview.sessions for day, overview in counted(days, 50).items()}
    assert all(sessions_by_day.values())
    assert sessions_by_day == {day: overview.sessions for day, overview in counted(days, 3).items()}
    assert sessions_by_day == {day: counted([day], 50)[day].sessions for day in days}


def counted(days: list[date], at_once: int) -> dict[date, by_day.Day]:
    return by_day.count_days(days, at_once=at_once)


def test_kept__is_what_is_read(django_assert_num_queries: Any) -> None:
    """A kept period reads neither sessions nor checks."""
    fill(timezone.now())
    by_day.store_day_statistics()
    with django_assert_num_queries(2) as queries:
        first = period()
    for query in queries.captured_queries:
        assert "workflowsession" not in query["sql"]
        assert "relatedcheck" not in query["sql"]

    with django_assert_num_queries(1):
        assert period() == first


def test_kept__of_an_older_version_is_read_each_time() -> None:
    """Figures that bear no mark are never taken for those that another process has counted since."""
    fill(timezone.now())
    by_day.store_day_statistics()
    DayFigures.objects.update(mark="")
    before = period().activity.total
    row = max(DayFigures.objects.all(), key=lambda row: len(row.figures["sessions"]))
    row.figures["sessions"].append(["complete", "clear", 1000])
    row.save()
    assert period().activity.total == before + 1000


def test_parsed__is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers the days that were read last, and the figures stay right beyond the bound."""
    fill(timezone.now())
    by_day.store_day_statistics()
    before = period()
    monkeypatch.setattr(by_day, "PARSED_DAYS", 5)
    monkeypatch.setattr(by_day, "_parsed", {})
    assert period() == before == period()
    assert len(by_day._parsed) == 5


def test_store__makes_its_days_count_anew() -> None:
    """What the store writes is in the figures at once, as it is in the lists."""
    now = timezone.now()
    fill(now)
    by_day.store_day_statistics()
    before = period().activity.total
    store(now - timedelta(days=3), outcome="attention")
    assert period().activity.total == before + 1 == WorkflowSession.objects.count()
    store(now - timedelta(days=5), outcome="clear", updatedAt="2099-01-01T00:00:00Z")
    assert period().activity.total == before + 1
    assert period().activity.by_outcome["clear"] == (
        WorkflowSession.objects.filter(outcome="clear").count()
    )
    assert 0 < by_day.store_day_statistics() < 10
    assert not ChangedDay.objects.exists()


@pytest.mark.parametrize("way", ["erase", "prune"])
def test_removed__makes_its_days_count_anew(settings: Any, way: str) -> None:
    """What an erasure or the retention removes is out of the figures at once."""
    fill(timezone.now())
    gone = make_session(client_id="gone", created_at=timezone.now() - timedelta(days=9))
    by_day.store_day_statistics()
    assert period().activity.total == 41
    if way == "erase":
        erase_client("gone", account=gone.account)
    else:
        with by_hand():
            WorkflowSession.objects.filter(pk=gone.pk).update(updated_at=gone.created_at)
        settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=8)}
        prune()
    assert period().activity.total == WorkflowSession.objects.count() < 41


def test_two_at_once__only_the_first_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who counted while another process counted the same days keeps nothing of it."""
    fill(timezone.now())
    count = by_day.count_days
    others = iter([by_day.store_day_statistics])

    def overtaken(days: Any, **where: Any) -> Any:
        counted = count(days, **where)
        for other in others:
            other()  # all of it, between the count and the writing of this one
            store(timezone.now() - timedelta(days=1))
        return counted

    monkeypatch.setattr(by_day, "count_days", overtaken)
    by_day.store_day_statistics()
    monkeypatch.setattr(by_day, "count_days", count)
    assert period().activity.total == WorkflowSession.objects.count()
    by_day.store_day_statistics()
    assert period().activity.total == WorkflowSession.objects.count()


def test_old_days__go() -> None:
    """Figures of days that no page shows are not kept."""
    DayFigures.objects.create(zone="UTC", day="2020-01-01", figures={})
    fill(timezone.now())
    by_day.store_day_statistics()
    assert not DayFigures.objects.filter(day__lt="2021-01-01").exists()
