"""The demo as a visitor sees it: sessions move while somebody watches, and nobody refreshes anything."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from project.demo_server import free_port
from tests.browser.conftest import WIDE, expect
from tests.project.site_process import ROOT, environment, run_script

pytestmark = pytest.mark.browser

LIST = "/admin/complycube_sessions/workflowsession/"
LIVE_MINUTES = 0.4
PATIENCE_SECONDS = 90
HISTORY = """
from complycube_sessions.models import RefreshRun, SessionChange, WebhookEvent
print(RefreshRun.objects.count())
print(WebhookEvent.objects.filter(processed_at=None).count())
for change in SessionChange.objects.filter(session=SESSION, field="status", check_id="").order_by("pk"):
    print(change.old, change.new, change.source)
"""


@dataclass(frozen=True)
class Demo:
    """A demo that is up."""

    folder: Path
    url: str
    password: str


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Start the demo as ``make demo`` does, with a short live part, and end it with Ctrl-C."""
    port = free_port()
    command = ["manage.py", "demo", "--port", str(port), "--live-minutes", str(LIVE_MINUTES)]
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        output = ""
        try:
            for line in process.stdout:
                output += line
                if line.startswith("Ctrl-C"):
                    break
            password = re.search(r"^  admin +password (\S+)$", output, re.MULTILINE)
            assert password, output
            yield Demo(tmp_path, f"http://127.0.0.1:{port}", password[1])
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            process.wait(30)
    assert process.returncode == 0
    assert rest.endswith("\nStopped.\n")


def test_demo__sessions_move_while_watched(chromium: Any, demo: Demo) -> None:
    """A session that has just started is complete a little later, by events alone; then all is quiet."""
    context = chromium.new_context(viewport=WIDE, base_url=demo.url)
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(LIST)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Live demo")).to_be_visible()

    patience = PATIENCE_SECONDS * 1000
    rows = page.locator("#result_list tbody tr")
    newest = rows.first
    expect(newest.locator(".field-status_pill")).to_have_text("Started", timeout=patience)
    link = str(newest.get_by_role("link").first.get_attribute("href"))
    session_id = link.removeprefix(LIST).split("/")[0]
    watched = rows.filter(has=page.locator(f'a[href*="{session_id}"]'))
    expect(watched.locator(".field-status_pill")).to_have_text("Complete", timeout=patience)
    expect(watched.locator(".ccs-mark").first).to_be_visible()

    expect(page.get_by_text("The live part of the demo is over.")).to_be_visible(timeout=patience)
    context.close()
    runs, waiting, *changes = run_script(
        demo.folder, HISTORY.replace("SESSION", repr(session_id))
    ).splitlines()
    assert runs == "1"  # the demo's own, before anybody looked
    assert waiting.isdigit()
    assert changes[-1].endswith("complete webhook")
    assert all(change.endswith(" webhook") for change in changes)
    assert errors == []
