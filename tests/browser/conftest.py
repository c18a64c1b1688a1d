"""
A real Chromium before a real server.

Where there is none, these tests are skipped; with ``COMPLYCUBE_REQUIRE_BROWSER=1`` they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}

OpenPage = Callable[..., Any]


def expect(subject: Any) -> Any:
    """
    Return playwright's assertions about a page or a locator, which wait for what they assert.

    It is imported when used, so that the tests are skipped rather than broken where there is no browser.
    """
    from playwright.sync_api import expect as waiting

    return waiting(subject)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return a running Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _do_without("the package playwright is not installed")
    if not shutil.which(CHROMIUM):
        _do_without(f"there is no {CHROMIUM}")
    # Playwright keeps a loop running in this thread, which Django takes for a view that must not block.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            yield browser
            browser.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


def _do_without(reason: str) -> None:
    if os.environ.get("COMPLYCUBE_REQUIRE_BROWSER") == "1":
        pytest.fail(f"COMPLYCUBE_REQUIRE_BROWSER is set, but {reason}.")
    pytest.skip(f"{reason}.")


@pytest.fixture
def open_page(chromium: Any, live_server: Any, transactional_db: None) -> Iterator[OpenPage]:
    """Return how to open a page of a given width and theme; what it logs as an error fails the test."""
    contexts = []
    errors: list[str] = []

    def open_page(
        *, theme: str = "light", size: dict[str, int] = WIDE, user: User | None = None
    ) -> Any:
        context = chromium.new_context(
            viewport=size, color_scheme=theme, base_url=live_server.url, reduced_motion="reduce"
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
            context.add_cookies([{**cookie, "url": live_server.url}])
        page = context.new_page()
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
