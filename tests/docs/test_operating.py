"""docs/operating.md names what the code tells: each problem, metric, span and line of the log, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import complycube_sessions
from complycube_sessions.contrib.prometheus import PROBLEM_GAUGES, metric_names
from complycube_sessions.operations.problems import SEVERITIES
from tests.docs.pages import DOCS, names, tables

pytestmark = pytest.mark.repository

PACKAGE = Path(complycube_sessions.__file__).parent
TREES = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))]
EXIT_CODES, PROBLEMS, _FILES, METRICS, SPANS, LINES = tables(DOCS / "operating.md")
PLACE = re.compile(r"%(?:\.\d+)?[sdrf]")
# A logger, or a ``RateLimitedLog``.
LOG_CALL = re.compile(r"logger\.(debug|info|warning|error|exception|log)|log_(?!each)\w+")


def text_of(node: ast.AST) -> str | None:
    """Return a text of the code, with ``…`` in place of what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return PLACE.sub("…", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) or "…" for value in node.values)
    return None


def nodes() -> Iterator[ast.AST]:
    for tree in TREES:
        yield from ast.walk(tree)


def logged() -> set[str]:
    """Return the texts that the code logs, but for those that consist of what is filled in."""
    constants = {
        node.target.id: text_of(node.value)
        for node in nodes()
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value
        and node.target.id.isupper()
    }
    found = set()
    for node in nodes():
        if not (isinstance(node, ast.Call) and LOG_CALL.fullmatch(ast.unparse(node.func))):
            continue
        for argument in node.args:
            is_name = isinstance(argument, ast.Name)
            text = constants.get(argument.id) if is_name else text_of(argument)  # type: ignore[attr-defined]
            if text and re.search(r"[a-z]{3}", text.replace("by", "")):
                found.add(text)
    return found


def test_problems__all_are_documented() -> None:
    """The table has each code with the exit code that it leads to."""
    assert {names(row[0])[0]: int(row[1]) for row in PROBLEMS} == {
        code: int(severity) for code, severity in SEVERITIES.items()
    }
    assert [row[0] for row in EXIT_CODES] == ["0", "1", "2"]


def test_metrics__all_are_documented() -> None:
    """The table has each metric, those of problems in one row."""
    documented = {name for row in METRICS for name in names(row[0])}
    assert documented - {"complycube_problem_…"} == set(metric_names()) - set(PROBLEM_GAUGES)


def test_spans__all_are_documented() -> None:
    """The table has each span, and each attribute but the counts of a run, which are the model's."""
    documented = {names(row[0])[0] for row in SPANS if not row[0].startswith("`GET")}
    in_code = {
        text
        for node in nodes()
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"tracing.span", "tracing.traced"}
        and (text := text_of(node.args[0]))
        and "…" not in text
    }
    assert documented == in_code


def test_logs__all_are_documented() -> None:
    """Each line that the code logs is in the table, and each of the table is in the code."""
    documented = {names(row[2])[0] for row in LINES}
    words = {text for text in documented if re.search(r"[a-z]{3}", text)}
    lines = logged()
    assert [line for line in sorted(lines) if not any(text in line for text in words)] == []
    texts = {text for node in nodes() if (text := text_of(node))}
    stale = [text for text in words if not any(text.rstrip("…") in line for line in texts)]
    assert stale == []


def test_loggers__all_are_documented() -> None:
    """The table has each logger of the app, and no other."""
    calls = [node for node in nodes() if isinstance(node, ast.Call)]
    in_code = {
        text_of(call.args[0]) for call in calls if ast.unparse(call.func) == "logging.getLogger"
    }
    assert {names(row[0])[0] for row in LINES} == in_code
