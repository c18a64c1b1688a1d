"""No link inside the repository leads to nothing; those to elsewhere are https, and not followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, anchors, blocks, links, slug_of

pytestmark = pytest.mark.repository

LINKING = [
    *PAGES,
    *sorted({*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md")} - set(PAGES)),
]


def fault(page: Path, target: str) -> str | None:
    """Return why a link of a page leads to nothing, or None."""
    if "://" in target or target.startswith("mailto:"):
        return None if target.startswith(("https://", "mailto:")) else "neither https nor a file"
    name, _, anchor = target.partition("#")
    found = (page.parent / name).resolve() if name else page
    if not found.exists():
        return "no such file"
    if not found.is_relative_to(ROOT):
        return "outside of the repository"
    if anchor and (found.suffix != ".md" or anchor not in anchors(found)):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links__lead_somewhere(page: Path) -> None:
    """Each link and picture of a page has its file, and each anchor its heading."""
    dead = [
        f"{page.relative_to(ROOT)}:{number}: {target}: {reason}"
        for number, target in links(page)
        if (reason := fault(page, target))
    ]
    assert dead == []


def test_links__faults_are_found(tmp_path: Path) -> None:
    """A dead file, a dead anchor, a dead picture and plain http are each a fault."""
    page = DOCS / "index.md"
    assert fault(page, "settings.md#the-apps-settings") is None
    assert fault(page, "nothing.md") == "no such file"
    assert fault(page, "settings.md#nothing") == "no such heading"
    assert fault(page, "screenshots/nothing.png") == "no such file"
    assert fault(page, "http://example.com") == "neither https nor a file"
    assert fault(page, "../../elsewhere") == "no such file"
    sample = tmp_path / "page.md"
    sample.write_text(
        "# A `b` c\n[![x](a.png)](b.md) [y](c.md 'title') `[no](d.md)`\n<img src='e.png'>\n[z]: f.md\n"
        "```text\n[no](g.md)\n```\n# A b c\n"
    )
    assert {target for _line, target in links(sample)} == {"a.png", "b.md", "c.md", "e.png", "f.md"}
    assert anchors(sample) == {"a-b-c", "a-b-c-1"}
    assert [block.kind for block in blocks(sample)] == ["text"]
    assert slug_of("Django's Tasks") == "djangos-tasks"


def test_blocks__fenced_and_indented(tmp_path: Path) -> None:
    """A block is found with its line, whether a fence or blanks make it; the text of an item is none."""
    sample = tmp_path / "page.md"
    sample.write_text(
        "Text:\n\n    make a\n    make b\n\nMore\n    of it.\n\n- item\n\n    its text\n\n"
        "1. item\n   ```python\n   x = 1\n   ```\n\nEnd.\n\n    make c\n"
    )
    assert [(block.line, block.kind, block.text) for block in blocks(sample)] == [
        (3, "console", "make a\nmake b"),
        (15, "python", "x = 1"),
        (20, "console", "make c"),
    ]


def test_pictures__are_shown() -> None:
    """No screenshot lies in the repository without a page that shows it, but the one in the dark."""
    shown = {
        (page.parent / target).resolve()
        for page in LINKING
        for _line, target in links(page)
        if target.endswith(".png")
    }
    kept = set((DOCS / "screenshots").glob("*.png"))
    assert {path.name for path in kept - shown} <= {"queue-dark.png"}


def test_readme__shows_the_five_main_pages() -> None:
    """The README shows what the admin looks like, without a click."""
    shown = {Path(target).name for _line, target in links(ROOT / "README.md")}
    main = {"queue.png", "session.png", "matches.png", "decision.png", "overview.png"}
    assert {name for name in shown if name.endswith(".png")} == main


def test_pages__are_all_reachable() -> None:
    """Each page stands in the table of contents of the index."""
    index = (DOCS / "index.md").read_text(encoding="utf-8").splitlines()
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} <= set(index)
