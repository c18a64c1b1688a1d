"""The tools of ``.ci``: what they let pass, and what they do not."""

from __future__ import annotations

import configparser
import importlib.util
import itertools
import re
import socket
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LEG = "py313-django61-postgres"
REPORT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tools find each other, as they do when one of them is run."""
    monkeypatch.syspath_prepend(ROOT / ".ci")


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the runner of the matrix with one leg, whose server answers and whose tests passed."""
    module = tool("matrix")
    monkeypatch.setattr(module, "WORK", tmp_path)
    monkeypatch.setattr(module, "expected_legs", lambda: [LEG])
    monkeypatch.setattr(module, "find_python", lambda name: "/usr/bin/python")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgres://postgres@127.0.0.1:{server.getsockname()[1]}/x"
        monkeypatch.setattr(module, "SERVERS", {"postgres": url})
        ran(module, monkeypatch, REPORT.format(7, 0, 0, 0))
        yield module


def ran(module: Any, monkeypatch: pytest.MonkeyPatch, report: str | None, code: int = 0) -> None:
    def run_tox(legs: list[str], interpreters: list[str]) -> int:
        if report is not None:
            (module.WORK / f"{LEG}.xml").write_text(report)
        return code

    monkeypatch.setattr(module, "run_tox", run_tox)


def pairs_of_tox() -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    match = re.fullmatch(r"py\{(.+)\}", parser["tox"]["env_list"])
    assert match
    return match[1].split(",")


def test_tox__covers_what_the_package_promises() -> None:
    """Each Python and each Django of the classifiers is in a pair, and the oldest and the newest are pairs."""
    pairs = pairs_of_tox()
    assert pairs == ["311-django52", "312-django52", "312-django60", "313-django60", "313-django61"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = set(itertools.chain(*(pair.split("-") for pair in pairs)))
    for kind, prefix in (("Programming Language :: Python", ""), ("Framework :: Django", "django")):
        named = [
            c.removeprefix(f"{kind} :: ") for c in project["classifiers"] if c.startswith(kind)
        ]
        versions = {prefix + v.replace(".", "") for v in named if re.fullmatch(r"\d+\.\d+", v)}
        assert versions <= promised
        assert versions == {v for v in promised if v.startswith("django") is bool(prefix)}


def test_legs__each_pair_on_each_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pair runs on all three databases, though one fails, and its exit code is the first failure's."""
    leg = tool("leg")
    ran: list[tuple[str, str]] = []

    def run(command: list[str], *, env: dict[str, str], check: bool) -> Any:
        (report,) = (part for part in command if part.startswith("--junitxml="))
        ran.append((Path(report).stem, env["DATABASE_URL"].partition(":")[0]))
        return SimpleNamespace(returncode=len(ran) - 1)

    monkeypatch.setattr(leg.subprocess, "run", run)
    monkeypatch.delenv("COMPLYCUBE_DATABASES", raising=False)
    assert leg.main("py312-django52", tmp_path) == 1
    kinds = {"sqlite": "sqlite", "postgres": "postgres", "mariadb": "mysql"}
    assert ran == [(f"py312-django52-{name}", kind) for name, kind in kinds.items()]


def test_legs__what_is_selected_is_there() -> None:
    """Every path of a selection exists, and every selection belongs to a pair and a database."""
    leg = tool("leg")
    legs = {(f"py{pair}", database) for pair in pairs_of_tox() for database in leg.DATABASES}
    assert leg.SELECTIONS.keys() <= legs
    for arguments in [*leg.SELECTIONS.values(), leg.PART]:
        paths = [part.removeprefix("--ignore=") for part in arguments]
        paths = [path for path in paths if path.startswith("tests")]
        assert paths
        assert [path for path in paths if not (ROOT / path).exists()] == []


def test_matrix__green(matrix: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A leg that passed is printed with its count."""
    assert matrix.main(strict=True) == 0
    assert capsys.readouterr().out == f"{LEG}: 7 tests, 0 failures, 0 errors, 0 skipped\n"


@pytest.mark.parametrize(("strict", "code"), [(True, 1), (False, 1)])
def test_matrix__no_interpreter(
    matrix: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    strict: bool,
    code: int,
) -> None:
    """A leg without its Python is named; where nothing is left to run, that is no success."""
    monkeypatch.setattr(matrix, "find_python", lambda name: None)
    monkeypatch.setattr(matrix, "run_tox", lambda legs, interpreters: 0)
    assert matrix.main(strict=strict) == code
    assert f"{LEG}: not run, there is no Python 3.13" in capsys.readouterr().out


def test_matrix__no_server(matrix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--strict`` one leg without its server fails all; without, the others count."""
    other = "py313-django61-sqlite"
    monkeypatch.setattr(matrix, "expected_legs", lambda: [LEG, other])
    monkeypatch.setattr(matrix, "SERVERS", {"postgres": "postgres://postgres@127.0.0.1:1/x"})

    def run_tox(legs: list[str], interpreters: list[str]) -> int:
        assert legs == [other]
        (matrix.WORK / f"{other}.xml").write_text(REPORT.format(3, 0, 0, 0))
        return 0

    monkeypatch.setattr(matrix, "run_tox", run_tox)
    assert matrix.main(strict=True) == 1
    assert matrix.main(strict=False) == 0


@pytest.mark.parametrize(
    ("report", "tox", "code"),
    [
        (REPORT.format(7, 1, 0, 0), 0, 1),
        (REPORT.format(7, 0, 1, 0), 0, 1),
        (REPORT.format(7, 0, 0, 1), 0, 1),
        (REPORT.format(0, 0, 0, 0), 0, 1),
        (REPORT.format(7, 0, 0, 0), 2, 2),
        (None, 0, 1),
    ],
)
def test_matrix__red(
    matrix: Any, monkeypatch: pytest.MonkeyPatch, report: str | None, tox: int, code: int
) -> None:
    """A failure, a skipped test, no test at all, no report, and tox's own failure are failures."""
    ran(matrix, monkeypatch, report, tox)
    assert matrix.main(strict=True) == code


def test_audit__known_vulnerability(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A known vulnerability fails; packages that the service does not know do not."""
    audit = tool("audit")
    bad = {"name": "x", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
    good = {"name": "y", "version": "1", "vulns": []}
    unknown = {"name": "z", "skip_reason": "not found"}
    monkeypatch.setattr(audit, "audit", lambda service: [bad, good, unknown])
    assert audit.main() == 1
    assert "x 1: CVE-1, fixed by 2" in capsys.readouterr().out
    monkeypatch.setattr(audit, "audit", lambda service: [good, unknown])
    assert audit.main() == 0
    assert "1 unknown" in capsys.readouterr().out


def test_audit__service_unreachable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing could be audited, that is said, and lint goes on."""
    audit = tool("audit")
    monkeypatch.setattr(audit, "audit", lambda service: [{"name": "z", "skip_reason": "not found"}])
    assert audit.main() == 0
    assert "NOT AUDITED" in capsys.readouterr().out
