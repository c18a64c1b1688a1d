"""The page of an evidence, opened from a disk by somebody who has nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from complycube_sessions.evidence.build import export_evidence
from tests.admin.test_pages import MARKUP, store_hostile
from tests.browser.conftest import NARROW, WIDE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """Return an empty page that asks nobody for anything and reports no error."""
    errors: list[str] = []
    asked: list[str] = []
    # The engine of the test is injected, which the policy of the page would forbid.
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert errors == []
    assert len(asked) == 1


def saved(folder: Path, text: str) -> str:
    """Save the page of a session with this text everywhere, and return its address."""
    rows = store_hostile(text, depth=24, length=5_000)
    path = folder / "evidence.html"
    path.write_bytes(export_evidence(rows["workflowsession"].pk).page)
    return path.as_uri()


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("text", ["An ordinary name", f"{MARKUP}\u202e" + "W" * 40])
def test_page__fits_and_can_be_read(
    page: Any, tmp_path: Path, size: dict[str, int], text: str
) -> None:
    """The page fits its width, whatever is in it, and satisfies the engine of accessibility."""
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size(size)
    page.goto(saved(tmp_path, text))
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found = axe_module.Axe().run(page, options=options).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


def test_page__prints(page: Any, tmp_path: Path) -> None:
    """The page prints on sheets of A4, of which none is wider than its text."""
    page.goto(saved(tmp_path, "An ordinary name"))
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in pdf
