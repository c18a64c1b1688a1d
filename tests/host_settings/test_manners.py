"""What the app does to a process by being there: it asks nobody, changes nothing, and stays quiet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("manners")  # one worker starts the process
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def measured() -> Any:
    """Return what ``alone.py`` found; a query or a request would have ended it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.host_settings.alone"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import__changes_nothing_of_others(measured: Any) -> None:
    """Import and ``ready()`` send no query and no request, and replace no function of any library."""
    assert measured["functions"] > 5000
    assert measured["changed"] == []


def test_import__leaves_logging_to_the_host(measured: Any) -> None:
    """Its loggers have no handler and no level and pass everything on; nobody else's changed."""
    assert "complycube_sessions.api" in measured["ours"]
    for state in measured["ours"].values():
        assert state == [0, True, False, []]
    assert measured["logging"] == []
