"""The tools of ``.ci``: what they let pass, and what they do not."""

from __future__ import annotations

import configparser
import fnmatch
import functools
import importlib.util
import itertools
import re
import shlex
import socket
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.docs.pages import DOCS, tables

pytestmark = pytest.mark.repository

ROOT = Path(__file__).parent.parent
LEG = "py313-django61-postgres"
REPORT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


PAIRS = [
    "311-django52",
    "312-django52",
    "312-django60",
    "313-django60",
    "313-django61",
    "314-django52",
    "314-django61",
]
DATABASES = ["sqlite", "postgres", "mariadb"]
LEGS = [f"py{pair}-{database}" for pair in PAIRS for database in DATABASES]
YAML = sorted([*ROOT.glob(".*.yaml"), *ROOT.glob(".github/**/*.yml")])
CI_RUN = (ROOT / ".ci/run").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@functools.cache
def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    return loaded


def commands(job: dict[str, Any]) -> list[str]:
    """Return the commands of a job in their order."""
    return [step["run"] for step in job["steps"] if "run" in step]


def recipe(target: str) -> list[str]:
    """Return the commands of a target of the Makefile, with the usual folder of the environment."""
    match = re.search(
        rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert match
    return [line.strip().replace("$(VENV)", ".venv") for line in match[1].splitlines()]


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
    assert pairs == PAIRS
    project = PYPROJECT["project"]
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
    monkeypatch.delenv("COMPLYCUBE_LEGS", raising=False)
    assert leg.main("py312-django52", tmp_path) == 1
    kinds = {"sqlite": "sqlite", "postgres": "postgres", "mariadb": "mysql"}
    assert ran == [(f"py312-django52-{name}", kind) for name, kind in kinds.items()]

    ran.clear()
    monkeypatch.setenv("COMPLYCUBE_LEGS", "py312-django52-mariadb py313-django61-sqlite")
    assert leg.main("py312-django52", tmp_path) == 0
    assert ran == [("py312-django52-mariadb", "mysql")]


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


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        ((), LEGS),
        (("py312-django60",), [leg for leg in LEGS if leg.startswith("py312-django60-")]),
        (("postgres-py311",), ["py311-django52-postgres"]),
        (
            ("py311", "django61-sqlite"),
            [*LEGS[:3], "py313-django61-sqlite", "py314-django61-sqlite"],
        ),
    ],
)
def test_matrix__parts(parts: tuple[str, ...], chosen: list[str]) -> None:
    """A leg is chosen by some of its factors; several parts choose what each of them does."""
    assert tool("matrix").choose(LEGS, parts) == chosen


def test_matrix__unknown_part(matrix: Any) -> None:
    """A part that no leg has is a failure, whatever the others choose."""
    with pytest.raises(SystemExit, match="no leg with py31") as caught:
        matrix.main("postgres", "py31", strict=False)
    assert caught.value.code != 0


def test_matrix__interpreter_is_not_needed(matrix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--strict`` only a chosen leg needs its Python."""
    monkeypatch.setattr(matrix, "expected_legs", lambda: [LEG, "py314-django61-postgres"])
    monkeypatch.setattr(matrix, "find_python", {"py313": "/usr/bin/python"}.get)
    assert matrix.main("py313", strict=True) == 0
    assert matrix.main(strict=False) == 0
    assert matrix.main(strict=True) == 1


def test_ci_run__legs() -> None:
    """
    Each pair runs on a database, the oldest and the newest on all of them.

    On SQLite the oldest is what ``make test`` has run before, with the coverage. Python 3.14, which the machine of ``.ci/run`` need not have, and the other legs are the workflow's.
    """
    match = re.search(r"matrix\.py --strict (.+)", CI_RUN)
    assert match
    chosen = tool("matrix").choose(LEGS, tuple(match[1].split()))
    pairs = [f"py{pair}" for pair in PAIRS if not pair.startswith("314")]
    assert list(dict.fromkeys(leg.rpartition("-")[0] for leg in chosen)) == pairs
    for pair, databases in ((pairs[0], DATABASES[1:]), (pairs[-1], DATABASES)):
        assert [f"{pair}-{database}" for database in databases] == [
            leg for leg in chosen if leg.startswith(pair)
        ]


def test_workflow__legs_are_those_of_tox() -> None:
    """The workflow runs each leg once, with the Python that the leg needs, and lets none be left out."""
    job = workflow("ci")["jobs"]["matrix"]
    rows = job["strategy"]["matrix"]["include"]
    matrix = tool("matrix")
    assert [leg for row in rows for leg in matrix.choose(LEGS, (row["leg"],))] == LEGS
    for row in rows:
        assert row["leg"].split("-")[0] == "py" + row["python"].replace(".", "")
    assert commands(job)[-1] == 'make matrix MATRIX="--strict $LEG"'


def test_workflow__runs_what_ci_run_runs() -> None:
    """Each target and each group of marked tests of ``.ci/run`` is run by the workflow too."""
    found = [command for job in workflow("ci")["jobs"].values() for command in commands(job)]
    wanted = re.findall(
        r"^(make [a-z-]+|\.venv/bin/python -m pytest .+?)(?: &)?$", CI_RUN, re.MULTILINE
    )
    assert len(wanted) >= 4
    assert [command for command in wanted if command not in found] == []
    assert any(command.startswith("make test ") for command in found)


def test_workflow__installs_what_ci_run_installs() -> None:
    """The packages of the system are those of ``.ci/run``, but for Chromium, for which Chrome stands in."""
    match = re.search(r"^for package in (.+); do$", CI_RUN, re.MULTILINE)
    assert match
    for name in ("matrix", "processes"):
        (line,) = (c for c in commands(workflow("ci")["jobs"][name]) if "apt-get install" in c)
        assert line.split("-y -qq ")[1].split() == match[1].split()


def test_workflow__databases_are_those_of_the_support_page() -> None:
    """The servers have the versions that docs/support.md calls tested, and the pairs are its own."""
    versions = {row[0].lower(): row[1] for row in tables(DOCS / "support.md")[1]}
    jobs = workflow("ci")["jobs"]
    images = {
        service["image"] for job in jobs.values() for service in job.get("services", {}).values()
    }
    assert {f"postgres:{versions['postgresql']}", f"mariadb:{versions['mariadb']}"} <= images
    pairs = [
        f"{python.replace('.', '')}-django{django.replace('.', '')}"
        for django, pythons, _end in tables(DOCS / "support.md")[0]
        for python in pythons.split(", ")
    ]
    assert sorted(pairs) == PAIRS


def test_workflows__rights() -> None:
    """A job may read the code; the one that publishes may prove who it is, and nothing else."""
    rights = {
        (name, job): content["permissions"]
        for name in ("ci", "release")
        for job, content in workflow(name)["jobs"].items()
    }
    assert rights.pop(("release", "publish")) == {"id-token": "write"}
    assert all(right == {"contents": "read"} for right in rights.values())
    assert workflow("ci")["permissions"] == workflow("release")["permissions"] == {}


def test_workflows__actions_are_pinned() -> None:
    """Code of others is named by its commit, and by the same one everywhere."""
    used = [
        step["uses"]
        for name in ("ci", "release")
        for job in workflow(name)["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    ]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)
    assert len({action.split("@")[0] for action in used}) == len(set(used))


def test_release__publishes_what_was_checked() -> None:
    """The files are built and tried by the job before the one with the right to publish, which builds none."""
    jobs = workflow("release")["jobs"]
    assert commands(jobs["build"])[0] == "make release-check DIST=dist"
    assert recipe("release-check") == [".venv/bin/python .ci/check_release.py $(DIST)"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["environment"]["name"] == "pypi"
    assert commands(jobs["publish"]) == []


def test_hooks__are_what_lint_runs() -> None:
    """A commit and a push together meet what ``make lint`` does, in its order."""
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == recipe("lint")
    assert not any(hook["pass_filenames"] for hook in hooks)


def test_lint__tools_are_installed() -> None:
    """What ``make lint`` runs stands in requirements.txt, held at a release."""
    tools = {Path(shlex.split(line)[0]).name for line in recipe("lint")} - {"python"}
    assert tools == {"ruff", "codespell", "zizmor", "mypy"}
    held = re.findall(r"^([\w-]+)~=", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert tools | {"pip-audit", "pre-commit"} <= set(held)


def test_requirements__stand_once() -> None:
    """The matrix installs what ``make test`` does, and each file what the smaller one before it has."""
    tox = (ROOT / "tox.ini").read_text()
    assert "\n    -r requirements-test.txt\n" in tox
    assert "dependency-groups" not in PYPROJECT
    names: list[str] = []
    for kind in ("-demo", "-test", "", "-ci"):
        text = (ROOT / f"requirements{kind}.txt").read_text()
        before = re.findall(r"^-r (\S+)$", text, re.MULTILINE)
        assert before == names[-1:], kind
        names.append(f"requirements{kind}.txt")


def test_spelling__ignored_folders_are_those_of_git() -> None:
    """What git ignores inside the repository is no prose, and the linter leaves it out."""
    skipped = [
        pattern.removeprefix("./") for pattern in PYPROJECT["tool"]["codespell"]["skip"].split(",")
    ]
    ignored = [
        line.rstrip("/").removeprefix("docs/") for line in (ROOT / ".gitignore").read_text().split()
    ]
    quiet = {"__pycache__", ".coverage"}  # bytes, which it leaves out by itself
    assert [
        name
        for name in ignored
        if name not in quiet and not any(fnmatch.fnmatch(name, pattern) for pattern in skipped)
    ] == []


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(ROOT)))
def test_yaml__can_be_read(path: Path) -> None:
    """Each file of GitHub, pre-commit and Read the Docs is a mapping with what its reader needs."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    needed = {
        "ISSUE_TEMPLATE": {"name", "description", "body"},
        "workflows": {"name", "permissions", "jobs"},
    }
    assert needed.get(path.parent.name if path.name != "config.yml" else "", set()) <= set(content)


def test_readthedocs__builds_as_make_does() -> None:
    """The hosted pages are built from the same packages, and a warning stops them too."""
    content = yaml.safe_load((ROOT / ".readthedocs.yaml").read_text())
    assert content["python"]["install"] == [{"requirements": "requirements.txt"}]
    assert content["sphinx"] == {"configuration": "docs/conf.py", "fail_on_warning": True}
    assert "sphinx-build -W " in recipe("docs")[0]


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
