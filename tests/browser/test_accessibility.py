"""No violation of WCAG 2.2 AA on any page, by the axe-core engine, in either theme and narrow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.admin.builders import make_staff
from tests.admin.test_pages import PAGES, address, store_hostile
from tests.browser.conftest import NARROW, WIDE, OpenPage

pytestmark = pytest.mark.browser

# The theme changes colours and nothing else.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", WIDE), ("light", NARROW)])
def test_pages__no_violation(open_page: OpenPage, theme: str, size: dict[str, int]) -> None:
    """Every page, with rows on it and all of it unfolded, satisfies the engine; in the dark, its colours."""
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    engine = axe_module.Axe()
    rows = store_hostile("An ordinary name", depth=3, length=300)
    page = open_page(theme=theme, size=size, user=make_staff(superuser=True))
    found: dict[str, Any] = {}
    rules = COLOURS if theme == "dark" else {"type": "tag", "values": RULES}
    for name in PAGES:
        page.goto(address(name, rows))
        page.evaluate(
            "document.querySelectorAll('.ccs details').forEach((d) => { d.open = true; })"
        )
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        for violation in engine.run(page, options=options).response["violations"]:
            nodes = [node["html"][:200] for node in violation["nodes"]]
            found.setdefault(violation["id"], []).append((name, nodes[:3]))
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            found.setdefault("too wide", []).append((name, width))
    assert not found, json.dumps(found, indent=1)
