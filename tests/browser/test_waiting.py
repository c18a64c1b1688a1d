"""A test of a page waits for what it asserts: what is read once is read too early on a slow machine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
FILES = sorted([*TESTS.glob("browser/*.py"), *TESTS.glob("themes/*.py")])
# What a page or a locator answers at once, and "expect" or "wait_for_url" waits for.
AT_ONCE = {
    *("is_visible", "is_hidden", "is_enabled", "is_disabled", "is_checked", "is_editable"),
    *("inner_text", "text_content", "input_value", "all_inner_texts", "title", "url"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_assertions__wait(path: Path) -> None:
    read_once = [
        f"line {statement.lineno}: {part.attr}"
        for statement in ast.walk(ast.parse(path.read_text()))
        if isinstance(statement, ast.Assert)
        for part in ast.walk(statement.test)
        if isinstance(part, ast.Attribute) and part.attr in AT_ONCE
    ]
    assert read_once == []
