"""Several people who press the same button at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeChangeUnderWayError
from complycube_sessions.models import UpstreamChange
from complycube_sessions.services import cancel_session, refresh_session
from tests.fake_api import KEY, FakeAPI, Reply

PEOPLE = 8


@pytest.mark.vendors("postgresql", "mysql")  # threads share no database of SQLite's in memory
@pytest.mark.django_db(transaction=True)
def test_race__one_request_for_all(api: FakeAPI, settings: Settings) -> None:
    """Of those who ask for the same at once one sends it, and the others are told."""
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 1000}}
    session_id = api.add_session(1, status="started", checks=0)
    refresh_session(session_id)
    refused = threading.Semaphore(0)

    def wait_for_the_others(do: Callable[[], Reply]) -> Reply:
        for _ in range(PEOPLE - 1):
            assert refused.acquire(timeout=30)
        return do()

    def press() -> str:
        try:
            cancel_session(session_id)
        except ComplyCubeChangeUnderWayError:
            refused.release()
            return "told"
        finally:
            connections.close_all()
        return "sent"

    api.change_faults[f"/workflowSessions/{session_id}/cancel"] = wait_for_the_others
    with ThreadPoolExecutor(PEOPLE) as threads:
        found = [future.result() for future in [threads.submit(press) for _ in range(PEOPLE)]]
    assert sorted(found) == ["sent", *["told"] * (PEOPLE - 1)]
    assert len(api.posts) == 1
    assert UpstreamChange.objects.get().state == "done"
