"""The pages as text: their blocks of code, headings, tables and links."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+)(?P<info>.*)$")
INDENTED = re.compile(r" {4}\S")
ITEM = re.compile(r"([-*+]|\d+[.)]) ")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$")
# A target may hold one pair of parentheses, and is followed by a title or by nothing.
LINK = re.compile(r"\]\((?P<target><[^>]+>|[^()\s]+(?:\([^)\s]*\))?)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]: *(?P<target>\S+)")
HTML_LINK = re.compile(r"""<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=["'](?P<target>[^"']+)""")
HTML_ANCHOR = re.compile(r"""<[a-z]+\b[^>]*?\b(?:id|name)=["']([^"']+)""")
CODE = re.compile(r"(`+)(?P<code>.+?)\1")
# A block that needs packages of others: a test of tests/installed_wheel runs it.
HOST = "python host"
ROW = re.compile(r"^ *\|(?P<cells>.*)\| *$")


@dataclass(frozen=True)
class Block:
    """One fenced block, with the line of its first line of text."""

    page: Path
    line: int
    kind: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order; one that is only indented counts as ``console``."""
    return sorted([*fenced(page), *indented(page)], key=lambda block: block.line)


def fenced(page: Path) -> list[Block]:
    found: list[Block] = []
    fence, kind, first, lines = "", "", 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        match = FENCE.match(line)
        if not fence and match:
            fence, kind, first, lines = match["fence"], match["info"].strip(), number + 1, []
        elif fence and match and match["fence"] == fence and not match["info"].strip():
            found.append(Block(page, first, kind, dedent("\n".join(lines))))
            fence = ""
        elif fence:
            lines.append(line)
    assert not fence, f"{page.relative_to(ROOT)}:{first - 1}: the block has no end"
    return found


def indented(page: Path) -> list[Block]:
    """Return the blocks that four blanks make, which those of a list's item are not."""
    found: list[Block] = []
    before, in_list = "", False
    for number, line in outside_of(page, fenced(page)):
        is_code = bool(INDENTED.match(line)) and not in_list
        if is_code and found and number == found[-1].line + len(found[-1].text.splitlines()):
            found[-1] = replace(found[-1], text=f"{found[-1].text}\n{line[4:]}")
        elif is_code and not before.strip():
            found.append(Block(page, number, "console", line[4:]))
        elif line.strip() and not line.startswith(" "):
            in_list = bool(ITEM.match(line))
        before = line
    return found


def outside_of(page: Path, found: list[Block]) -> list[tuple[int, str]]:
    """Return the numbered lines of a page that are in none of the blocks, nor their fences."""
    inside = {
        number
        for block in found
        for number in range(block.line - 1, block.line + len(block.text.splitlines()) + 1)
    }
    lines = page.read_text(encoding="utf-8").splitlines()
    return [(n, line) for n, line in enumerate(lines, start=1) if n not in inside]


def prose(page: Path) -> list[tuple[int, str]]:
    """Return the numbered lines of a page that are outside of its blocks."""
    return outside_of(page, blocks(page))


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Yield each target of a link or a picture with its line."""
    for number, line in prose(page):
        shown = CODE.sub("`code`", line)
        for pattern in (LINK, REFERENCE, HTML_LINK):
            for match in pattern.finditer(shown):
                yield number, match["target"].strip("<>")


def anchors(page: Path) -> set[str]:
    """Return what can stand after ``#``: the headings as GitHub and MyST name them, and ids."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for _number, line in prose(page):
        found.update(HTML_ANCHOR.findall(line))
        if match := HEADING.match(line):
            slug = slug_of(match["text"])
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def slug_of(heading: str) -> str:
    """Return the anchor of a heading: no marks, no punctuation, small letters, hyphens."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def tables(page: Path) -> list[list[list[str]]]:
    """Return the tables of a page: rows of cells, without heading and rule."""
    found: list[list[list[str]]] = []
    last = 0
    for number, line in prose(page):
        if match := ROW.match(line):
            if number != last + 1:
                found.append([])
            cells = re.split(r"(?<!\\)\|", match["cells"])
            found[-1].append([cell.strip() for cell in cells])
            last = number
    return [table[2:] for table in found]


def host_module(title: str) -> str:
    """Return the block for a host project that begins with a comment, for a test that runs it in one."""
    found = [
        block.text
        for page in PAGES
        for block in fenced(page)
        if block.kind == HOST and block.text.startswith(f"# {title}\n")
    ]
    assert len(found) == 1, title
    return f"{found[0]}\n"


def rows(page: Path) -> list[list[str]]:
    return [row for table in tables(page) for row in table]


def names(cell: str) -> list[str]:
    """Return what stands as code in a cell."""
    return [match["code"] for match in CODE.finditer(cell)]
