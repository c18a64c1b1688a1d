"""The demo site as processes of its own, with all that it keeps in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT_SECONDS = 180  # for one that hangs; a busy machine may need one for a start


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return an environment in which neither this machine's nor a ``.env`` file's settings count."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "PYTHONWARNINGS": "error",
        "PYTHONUTF8": "1",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "SECRET_KEY": "",
        "SECRET_KEY_FILE": str(folder / "secret_key"),
        "COMPLYCUBE_API_KEY": "",
        "COMPLYCUBE_BASE_URL": "",
        "COMPLYCUBE_WEBHOOK_SECRET": "",
        "DEBUG": "off",
        "HTTPS": "off",
        "LOG_LEVEL": "WARNING",
        **variables,
    }


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout with the demo site's settings."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def run_script(folder: Path, script: str, **variables: str) -> str:
    """Run a script after ``django.setup()`` and return what it prints; it has to succeed silently."""
    result = run(folder, "-c", f"import django; django.setup()\n{script}", **variables)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout
