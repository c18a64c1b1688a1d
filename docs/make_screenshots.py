"""
Make the pictures of the README: serve the demo in a scratch folder, walk through it, take pictures.

Run it as ``make screenshots``; it needs the packages of requirements.txt and Debian's chromium.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "screenshots"
CHROMIUM = "/usr/bin/chromium"
LIST = "/admin/complycube_sessions/workflowsession/"
SIZE = {"width": 1280, "height": 860}
PATIENCE_SECONDS = 120


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(scratch: Path, port: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start the demo and return it with the password of its superuser, once it is up."""
    log = scratch / "log"
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{scratch / 'demo.sqlite3'}",
        "SECRET_KEY_FILE": str(scratch / "key"),
        "DEMO_PORT": str(port),
    }
    with log.open("wb") as output:
        demo = subprocess.Popen(  # noqa: S603 - a command of our own
            [sys.executable, "manage.py", "demo", "--port", str(port), "--live-minutes", "0"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and demo.poll() is None:
        text = log.read_text()
        password = re.search(r"^\s+admin\s+password (\S+)$", text, re.MULTILINE)
        if password and "Ctrl-C" in text:
            return demo, password[1]
        time.sleep(0.2)
    demo.kill()
    raise SystemExit(f"The demo did not start:\n{log.read_text()}")


def take(page: Page, name: str) -> None:
    """Save what the window shows."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


def walk(page: Page, password: str) -> None:
    """Take the main pages in the light theme and one in the dark."""
    page.goto("/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", password)
    page.click("input[type=submit]")
    # The menu of the site is no part of the pages.
    page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")
    page.goto(f"{LIST}?review=yes")
    take(page, "queue")
    page.emulate_media(color_scheme="dark")
    take(page, "queue-dark")
    page.emulate_media(color_scheme="light")
    page.goto(f"{LIST}?review=yes&check_type=identity_check&check_outcome=attention")
    page.click("#result_list tbody tr:first-child th a")
    page.get_by_role("link", name="Identity Check", exact=True).first.click()
    take(page, "check")
    page.goto(f"{LIST}?review=yes&check_type=extensive_screening_check&check_outcome=attention")
    page.click("#result_list tbody tr:first-child th a")
    take(page, "session")
    page.get_by_role("link", name="AML Screening Check (Extensive)", exact=True).first.click()
    take(page, "matches")
    page.go_back()
    page.get_by_role("button", name="Take", exact=True).click()
    page.get_by_text("You have taken this review.").wait_for()
    page.keyboard.press("d")
    page.get_by_label("Decision and reason").select_option("False positive")
    page.get_by_label("Why, in your own words").fill("Another date of birth.")
    take(page, "decision")
    page.goto("/admin/complycube_sessions/refreshrun/")
    page.click("#result_list tbody tr:first-child th a")
    take(page, "run")
    page.goto(f"{LIST}overview/?days=90")
    take(page, "overview")


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        demo, password = serve(Path(folder), port)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=["--no-sandbox", "--disable-background-networking"],
                )
                page = browser.new_page(
                    viewport={"width": SIZE["width"], "height": SIZE["height"]},
                    base_url=f"http://127.0.0.1:{port}",
                )
                walk(page, password)
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=30)


if __name__ == "__main__":
    main()
