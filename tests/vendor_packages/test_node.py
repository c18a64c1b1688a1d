"""The vendor's Node package against the sandbox: it finds there what it expects of the vendor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from project.sandbox import API_KEY
from tests.vendor_packages.conftest import SESSIONS
from tests.vendor_packages.test_python import screening_with_a_match

pytestmark = [pytest.mark.node, pytest.mark.django_db(transaction=True)]

PACKAGE = "@complycube/api@1.1.13"
TOUR = Path(__file__).with_name("tour.cjs")
SECONDS = 180


def need(condition: bool, reason: str) -> None:
    """Skip a test for a reason, or fail where the services are required."""
    if condition:
        return
    if os.environ.get("COMPLYCUBE_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package from npm into a folder of its own, and return the folder."""
    need(bool(shutil.which("node") and shutil.which("npm")), "node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    done = subprocess.run(
        [shutil.which("npm") or "npm", "install", *options, PACKAGE],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    need(done.returncode == 0, f"npm cannot install {PACKAGE}: {done.stderr[-500:]}")
    shutil.copy(TOUR, folder)
    return folder


@pytest.fixture
def found(package: Path, sandbox: str) -> dict[str, Any]:
    """Return what the tour found."""
    screening = screening_with_a_match()
    match = screening["result"]["breakdown"]["matches"][0]["id"]
    done = subprocess.run(
        [
            shutil.which("node") or "node",
            package / TOUR.name,
            sandbox,
            API_KEY,
            screening["id"],
            match,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_node__tour(found: dict[str, Any]) -> None:
    """Sessions, checks, audit log, clients, webhooks and reports are what the package expects."""
    sessions = found["sessions"]
    client = sessions.pop("client")
    assert set(sessions.pop("ofClient")) == {client}
    assert sessions == {
        "count": SESSIONS + 1,
        "completed": "processing",
        "after": "processing",
        "cancelled": "cancelled",
        "unknown": [404, "resource_not_found", None],
    }
    checks = found["checks"]
    assert checks.pop("matched") in {"clear", "attention"}
    assert checks.pop("log")[0] in {"validateCheck", "updateWorkflowSession"}
    assert checks == {
        "validated": "clear",
        "after": "clear",
        "withoutMatch": [400, "invalid_request", "matchId"],
    }
    assert found["clients"] == {
        "mobile": "+440000",
        "isListed": True,
        "gone": [404, "resource_not_found", None],
        "incomplete": [400, "invalid_request", "personDetails"],
    }
    assert found["webhooks"] == {
        "verified": "e1",
        "listed": ["no secret"],
        "enabled": False,
        "left": 0,
    }
    assert found["reports"] == {
        "check": ["application/pdf", "%PDF-"],
        "client": ["application/pdf", "%PDF-"],
        "session": True,
        "none": [400, "invalid_request", "workflowSessionId"],
    }
