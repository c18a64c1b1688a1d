from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import responses
from django.db import connection
from requests import PreparedRequest

from tests.examples import THOROUGH
from tests.fake_api import FakeAPI
from tests.report_server import ReportServer, report_server

hypothesis.settings.register_profile(THOROUGH)
BASE_URL = "https://api.complycube.com/v1"


@pytest.fixture(autouse=True)
def mocked() -> Iterator[responses.RequestsMock]:
    """Refuse every request whose answer no test has registered."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def api(mocked: responses.RequestsMock) -> FakeAPI:
    """Answer all requests to the vendor's address from memory."""
    fake = FakeAPI()

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = fake.answer(str(request.path_url), request.headers)
        assert isinstance(body, bytes), "only the real server sends pieces"
        return status, headers, body

    def change(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        sent: Any = request.body or b""
        reply = fake.change(str(request.path_url), request.headers, sent)
        status, headers, body = reply
        assert isinstance(body, bytes), "only the real server sends pieces"
        return status, headers, body

    mocked.add_callback(responses.GET, re.compile(re.escape(BASE_URL) + "/.*"), callback=answer)
    mocked.add_callback(responses.POST, re.compile(re.escape(BASE_URL) + "/.*"), callback=change)
    return fake


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReportServer]:
    """Serve reports under a public address; what looks up names sees those of the test."""
    with report_server() as server:
        monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
        yield server


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker more than there are processors, for some tests wait for other processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other databases; a skip would say that something is missing."""
    others = [
        item
        for item in items
        if (mark := item.get_closest_marker("vendors")) and connection.vendor not in mark.args
    ]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of which a test was skipped, where all of them have to run."""
    if os.environ.get("COMPLYCUBE_FORBID_SKIPS") != "1":
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("A test was skipped, and COMPLYCUBE_FORBID_SKIPS is set.", red=True)
