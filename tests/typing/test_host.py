"""The typed sample project works as it reads; `make lint` checks its types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.demo

SCRIPT = """
from django.conf import settings
settings.DATABASES["default"]["NAME"] = "host.sqlite3"
import django
django.setup()
from io import StringIO
from django.core.management import call_command
from complycube_sessions.models import WorkflowSession
from tests.fake_api import START, FakeAPI, served
from tests.typing.host import receivers, reports
from tests.typing.host.models import Customer

call_command("migrate", run_syncdb=True, verbosity=0)
call_command("check", fail_level="WARNING", stdout=StringIO(), stderr=StringIO())
api = FakeAPI()
with served(api) as url:
    settings.COMPLYCUBE_ACCOUNTS["default"] |= {"BASE_URL": url, "REQUESTS_PER_SECOND": 1000}
    known = api.add_session(1)
    assert reports.fetch(known).pk == known
    assert reports.fetch("0" * 24) is None
    assert Customer.objects.get().is_unlocked
    api.touch(known, outcome="attention")
    api.touch_check("c0" + f"{1:022x}", "attention")
    assert reports.fetch_all(START) == 1
assert not Customer.objects.get().is_unlocked
assert Customer.objects.get().decided_by.pk == known
assert len(receivers.turned) == 2, receivers.turned
assert reports.waiting(f"client{1:018x}") == ["Person 1"]
assert reports.oldest_open() is None
assert len(reports.story(WorkflowSession.objects.get())) == 5
assert reports.counts() == {"declined": 0, "stale": 0, "found": 0}
print("well")
"""


def test_host__works(tmp_path: Path) -> None:
    """A project with a model, receivers and reports of its own refreshes, and hears of each change."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.typing.host.settings",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "well\n"
