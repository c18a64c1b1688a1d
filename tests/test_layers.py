from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import complycube_sessions

PACKAGE = Path(complycube_sessions.__file__).parent
TOP, SERVICES, MODELS_OR_API, BOTTOM = 3, 2, 1, 0
LEVELS = {
    "admin": TOP,
    "templatetags": TOP,
    "views": TOP,
    "urls": TOP,
    "dispatch": TOP,
    "testing": TOP,
    "tasks": TOP,
    "celery_tasks": TOP,
    "database_checks": TOP,
    "management": TOP,
    "apps": TOP,
    "services": SERVICES,
    "models": MODELS_OR_API,
    "querysets": MODELS_OR_API,
    "fields": MODELS_OR_API,
    "migration_steps": BOTTOM,
    "migrations": MODELS_OR_API,
    "api": MODELS_OR_API,
    "signals": BOTTOM,
    "system_checks": BOTTOM,
    "names": BOTTOM,
    "conf": BOTTOM,
    "exceptions": BOTTOM,
    "rare_log": BOTTOM,
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]


def area(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if parts[0] == "complycube_sessions" and len(parts) > 1 else None


def test_layers__imports_run_downwards() -> None:
    """Admin, views, tasks and commands use services; services use models and api; not the other way."""
    faults = []
    for path in modules():
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for module in imports(path) if own != "__init__" else ():
            other = area(module)
            if other in LEVELS and (
                LEVELS[own] < LEVELS[other] or {own, other} == {"api", "models"}
            ):
                faults.append(f"{path} imports {module}")
    assert faults == []


def test_layers__outside() -> None:
    """Only ``api`` speaks HTTP, nothing knows the demo site or the environment."""
    faults = []
    for path in modules():
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        foreign = {"project", "tests", "environ"}
        if own != "api":
            foreign |= {"requests", "urllib3"}
        found = {module for module in imports(path) if module.split(".")[0] in foreign}
        faults += [f"{path} imports {module}" for module in sorted(found)]
        if "os.environ" in path.read_text():
            faults.append(f"{path} reads the environment")
    assert faults == []
