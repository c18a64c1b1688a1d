"""Who may import whom, one line a room: ``docs/architecture.md`` draws the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import complycube_sessions

pytestmark = pytest.mark.repository

APP = "complycube_sessions"
PACKAGE = Path(complycube_sessions.__file__).parent

BASE = "conf exceptions setting_rules wording tracing"
ROOMS = "services operations upstream sync webhooks mirror privacy evidence findings reviews statistics models db api"
# What a room may import beside itself; a dotted name stands for that module alone.
ALLOWED = {
    "exceptions": "",
    "signals": "",
    "wording": "",
    "tracing": "",
    "setting_rules": "",
    "conf": "exceptions setting_rules",
    "system_checks": BASE,
    "db": BASE,
    "findings": "",
    "api": BASE,
    "models": "db exceptions",
    "statistics": f"{BASE} models db",
    "privacy": f"{BASE} models db api statistics mirror.accounts",
    "reviews": f"{BASE} models db signals",
    "mirror": f"{BASE} models db api statistics privacy reviews signals",
    "sync": f"{BASE} models db api statistics privacy mirror reviews webhooks.inbox",
    "upstream": f"{BASE} models db api sync mirror privacy.tombstones",
    "webhooks": f"{BASE} models db api privacy mirror sync tasks",
    "evidence": f"{BASE} models db api findings privacy.tombstones sync {APP}",
    "operations": f"{BASE} models db sync mirror statistics webhooks.health",
    "services": f"{BASE} models api upstream sync webhooks privacy evidence reviews statistics",
    "testing": f"{BASE} models api mirror webhooks.receive",
    "tasks": f"{BASE} models db services webhooks contrib",
    "contrib": f"{BASE} tasks operations",
    "database_checks": f"{BASE} db mirror privacy webhooks system_checks",
    "views": f"{BASE} db webhooks api.sealing",
    "urls": "views",
    "apps": "system_checks database_checks",
    "management": f"{BASE} {ROOMS}",
    "admin": f"{BASE} {ROOMS} tasks",
    "templatetags": f"{BASE} models admin",
}
# Imported in a function: only a project that asks for it has the other package.
ON_DEMAND = {
    ("webhooks.dispatch", "tasks"),
    ("tasks", "contrib.celery"),
}


def modules() -> dict[str, Path]:
    """Return the modules of the app by their dotted names, without the app's own."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if parts and parts[0] != "migrations":
            found[".".join(parts)] = path
    return found


MODULES = modules()


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's nodes but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from statements(child)


@cache
def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, a module's own where one of its names is."""
    found = set()
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {
                name if name.removeprefix(f"{APP}.") in MODULES else node.module for name in names
            }
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


def own_imports(name: str) -> set[str]:
    """Return what a module imports of the app, by the names of ``MODULES``."""
    found = {m for m in imports(MODULES[name]) if m.split(".")[0] == APP}
    return {m.removeprefix(f"{APP}.") for m in found}


def room(name: str) -> str:
    return name.split(".")[0]


def test_layers__every_room_has_its_line() -> None:
    assert {room(name) for name in MODULES} == set(ALLOWED)


def test_layers__only_what_the_table_allows() -> None:
    """Imports run downwards, inside of functions as well."""
    refused = []
    for name in MODULES:
        allowed = {room(name), *ALLOWED[room(name)].split()}
        refused += [
            f"{name} imports {other}"
            for other in own_imports(name)
            if other not in allowed and room(other) not in allowed
        ]
    assert refused == []


def test_layers__no_circle() -> None:
    """No module needs itself by way of others, inside of a room either."""
    graph = {
        name: {
            other
            for other in own_imports(name)
            if other in MODULES and (name, other) not in ON_DEMAND
        }
        for name in MODULES
    }
    assert set(TopologicalSorter(graph).static_order()) >= set(MODULES)


def test_layers__rooms_say_what_they_are_for() -> None:
    """Each package begins with what it is for."""
    silent = [
        name
        for name, path in MODULES.items()
        if path.name == "__init__.py"
        and name not in {"management", "management.commands", "templatetags"}
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_layers__outside() -> None:
    """Only ``api`` speaks HTTP, nothing knows the demo site or the environment."""
    for name, path in MODULES.items():
        outside = {module.split(".")[0] for module in imports(path)}
        assert not outside & {"project", "tests", "environ"}, name
        assert "os.environ" not in path.read_text(), name
        if room(name) != "api":
            assert not outside & {"requests", "urllib3"}, name
