from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import complycube_sessions

PACKAGE = Path(complycube_sessions.__file__).parent
TOP, SERVICES, MODELS_OR_API, BOTTOM = 3, 2, 1, 0
LEVELS = {
    "admin": TOP,
    "templatetags": TOP,
    "views": TOP,
    "urls": TOP,
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


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_layers__imports_run_downwards(path: Path) -> None:
    """Admin, views, tasks and commands use services; services use models and api; not the other way."""
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own == "__init__":
        return
    for module in imports(path):
        other = area(module)
        if other is None or other not in LEVELS:
            continue
        assert LEVELS[own] >= LEVELS[other], f"{path} imports {module}"
        assert {own, other} != {"api", "models"}, f"{path} imports {module}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_layers__outside(path: Path) -> None:
    """Only ``api`` speaks HTTP, nothing knows the demo site or the environment."""
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    found = set(imports(path))
    assert not any(module.split(".")[0] in {"project", "tests", "environ"} for module in found)
    assert "os.environ" not in path.read_text()
    if own != "api":
        assert not any(module.split(".")[0] in {"requests", "urllib3"} for module in found)
