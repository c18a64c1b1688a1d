"""Each file and module that a page names is there, and the page on the architecture names every package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, rows

pytestmark = pytest.mark.repository

PACKAGE = ROOT / "complycube_sessions"
BASES = (ROOT, PACKAGE, ROOT / "tests", PACKAGE / "management" / "commands")
PATH = re.compile(r"`([\w./-]+\.(?:py|md|toml|yml|txt)|[\w./-]+/)`")
DOTTED = re.compile(r"`(complycube_sessions(?:\.[a-z_]+)+)")
SAMPLES = {"settings.py", "urls.py", "celery.py"}  # of a host project
ARCHITECTURE = DOCS / "architecture.md"


def named_in(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def names_of(path: Path) -> set[str]:
    """Return what a module defines, methods included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages__paths_are_there(page: Path) -> None:
    """A path that a page names is one of the repository, the package or its tests."""
    text = page.read_text(encoding="utf-8")
    named = set(PATH.findall(text)) - SAMPLES
    assert [path for path in named if not any((base / path).exists() for base in BASES)] == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages__modules_are_there(page: Path) -> None:
    """A dotted name begins with a module of the package; loggers and ids of checks are in the code as text."""
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for name in set(DOTTED.findall(page.read_text(encoding="utf-8"))):
        module = PACKAGE / name.split(".")[1]
        assert module.is_dir() or module.with_suffix(".py").exists() or f'"{name}"' in code, name


def test_architecture__packages_and_their_modules() -> None:
    """The table has each package of the app, and in its row only modules and names of that package."""
    table = {
        named_in(row[0].replace("/", ""))[0]: row for row in rows(ARCHITECTURE) if "/`" in row[0]
    }
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(table) == packages - {"migrations"}
    for package, (_name, _purpose, look) in table.items():
        folder = PACKAGE / package
        known = {path.stem for path in folder.rglob("*.py")}
        known |= set(re.findall(r"\w+", (folder / "__init__.py").read_text(encoding="utf-8")))
        assert set(named_in(look)) <= known, package


def test_architecture__answers() -> None:
    """The module that answers a question defines the name that stands with it."""
    for question, answer, *_rest in rows(ARCHITECTURE):
        for path, name in re.findall(r"`([\w/]+\.py)` \(`(\w+)`", answer):
            assert name in names_of(PACKAGE / path), question
