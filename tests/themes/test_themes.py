"""The pages in the admin themes that projects use: each theme in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.themes.settings import THEMES

pytestmark = pytest.mark.themes

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.mark.parametrize("theme", THEMES)
def test_theme__pages_can_be_used(theme: str) -> None:
    """Every control of every page is seen and reached, wide and narrow, light and dark."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"),
            *("--ds=tests.themes.settings", "-m", "", "-o", "filterwarnings=default"),
            str(HERE / "visit.py"),
        ],
        cwd=ROOT,
        env={**own, "COMPLYCUBE_TEST_THEME": theme, "COMPLYCUBE_FORBID_SKIPS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout), done.stdout
