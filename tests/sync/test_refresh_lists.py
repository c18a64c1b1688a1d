"""Lists that count and show no more than a window of their items."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.services import refresh_sessions
from tests.fake_api import START, FakeAPI, iso

pytestmark = pytest.mark.django_db


def capped(api: FakeAPI, sessions: int = 30, *, checks: int = 1) -> list[str]:
    """Let both lists count and show 20 items, on pages of 10."""
    api.page_size_limit = 10
    api.result_window = 20
    return [api.add_session(number, checks=checks) for number in range(sessions)]


def test_capped_list__first_run(api: FakeAPI) -> None:
    """What lies beyond the end of the list is asked for in windows until there is nothing more."""
    ids = capped(api, 61)
    run = refresh_sessions()
    assert (run.state, run.listed, run.created) == ("succeeded", 61, 61)
    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == set(ids)
    assert RelatedCheck.objects.filter(outcome="clear").count() == 61
    assert api.count("/checks/") == 0, "the list of checks was read to its end as well"
    assert run.watermark is not None


def test_capped_list__full_run(api: FakeAPI) -> None:
    """A full run compares what lies beyond as well, by the lists alone."""
    ids = capped(api)
    refresh_sessions()
    api.sessions[ids[0]]["outcome"] = "rejected"
    api.checks[f"c0{1:022x}"]["result"]["outcome"] = "rejected"
    api.requests.clear()
    run = refresh_sessions(full=True)
    assert (run.state, run.fetched, run.missing) == ("succeeded", 1, 0)
    assert WorkflowSession.objects.get(pk=ids[0]).outcome == "rejected"
    assert RelatedCheck.objects.get(session=ids[1]).outcome == "rejected"


def test_capped_list__plain_run(api: FakeAPI) -> None:
    """The window of a plain run is read to its end in the same way."""
    ids = capped(api)
    refresh_sessions()
    api.now += timedelta(hours=1)
    for session_id in ids[:25]:
        api.touch(session_id, outcome="rejected")
    run = refresh_sessions()
    assert (run.state, run.updated) == ("succeeded", 25)
    assert WorkflowSession.objects.filter(outcome="rejected").count() == 25


def test_capped_list__many_of_one_time(api: FakeAPI) -> None:
    """Where the list is cut amid items of one time, those of it that were not shown are found."""
    ids = capped(api)
    for session_id in ids[5:15]:
        api.sessions[session_id]["createdAt"] = api.sessions[ids[5]]["createdAt"]
    assert refresh_sessions().created == 30


def test_capped_list__many_of_one_second(api: FakeAPI) -> None:
    """Where a second has more items than the list shows, its windows are finer."""
    for number, session_id in enumerate(capped(api, 50, checks=0)):
        api.sessions[session_id]["createdAt"] = iso(START + timedelta(milliseconds=10 * number))
    run = refresh_sessions()
    assert (run.state, run.created) == ("succeeded", 50)


def test_capped_list__filter_in_whole_seconds(
    api: FakeAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that cuts the time of a filter to seconds hides nothing."""
    ids = capped(api, 50, checks=0)
    answer = api._answer

    def in_seconds(path: str, query: dict[str, str], headers: Any) -> Any:
        if "createdBefore" in query:
            query["createdBefore"] = f"{query['createdBefore'][:19]}.000Z"
        return answer(path, query, headers)

    monkeypatch.setattr(api, "_answer", in_seconds)
    for number, session_id in enumerate(ids):
        api.sessions[session_id]["createdAt"] = iso(START + timedelta(milliseconds=300 * number))
    run = refresh_sessions()
    assert (run.state, run.created) == ("succeeded", 50)


def test_capped_list__more_of_one_time_than_it_shows(api: FakeAPI) -> None:
    """What no window can split is told, and earns no watermark."""
    for session_id in capped(api):
        api.sessions[session_id]["createdAt"] = iso(START)
    run = refresh_sessions()
    assert (run.state, run.created, run.watermark) == ("partial", 20, None)
    assert "the time of creation of its oldest" in run.errors["list of sessions"]


def test_proof__one_request(api: FakeAPI) -> None:
    """The proof of a first or full run costs one request; a window on one page needs none."""
    api.add_session(1)
    requests = {}
    for name, full in {"first": False, "plain": False, "full": True}.items():
        api.requests.clear()
        refresh_sessions(full=full)
        requests[name] = [r for r in api.requests if "?" in r]
    assert [len(found) for found in requests.values()] == [3, 2, 3]
    asked = f"createdBefore={iso(START + timedelta(minutes=1, seconds=1)).replace(':', '%3A')}"
    assert asked in requests["first"][2]
    assert asked in requests["full"][2]


def test_proof__filter_without_answer(api: FakeAPI) -> None:
    """An answer that does not even show the oldest item proves nothing, and no watermark is earned."""
    ids = [api.add_session(number) for number in range(3)]
    api.filters_without_answer = {"createdBefore"}
    run = refresh_sessions()
    assert (run.state, run.watermark) == ("partial", None)
    assert "oldest item" in run.errors["list of sessions"]
    assert WorkflowSession.objects.count() == len(ids)


def test_proof__oldest_is_gone(api: FakeAPI) -> None:
    """A session that is removed before the proof makes the list be read again, no more."""
    ids = [api.add_session(number) for number in range(5)]
    calls: list[int] = []

    def before_page(path: str, page: int) -> None:
        calls.append(page)
        if path == "/workflowSessions" and calls.count(1) == 3:
            del api.sessions[ids[0]]

    api.before_page = before_page
    run = refresh_sessions()
    assert run.watermark is not None
    assert list(run.errors) in ([], [ids[0]])


def test_proof__oldest_items_of_one_time(api: FakeAPI) -> None:
    """Checks that were created at once, and fill more than a page, are no sign that others are hidden."""
    api.page_size_limit = 2
    for number in range(3):
        api.add_session(number, checks=3)
    assert refresh_sessions().state == "succeeded"
