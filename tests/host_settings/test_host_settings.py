"""The app in host projects that differ from the usual: each runs in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.guests

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOSTS = (
    *("person", "desk", "routed", "replica", "abroad", "accounts", "auto_field", "atomic"),
    *("transaction", "reversion"),
)


@pytest.mark.parametrize("host", HOSTS)
def test_guest__is_at_home(host: str) -> None:
    """Refresh, webhook and admin, behind WSGI and ASGI, work in the host as they do in any other."""
    files = [HERE / "visit.py", HERE / f"visit_{host}.py"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            f"--ds=tests.host_settings.{host}",
            *(str(path) for path in files if path.is_file()),
        ],
        cwd=ROOT,
        env={**own, "COMPLYCUBE_FORBID_SKIPS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) >= 6
