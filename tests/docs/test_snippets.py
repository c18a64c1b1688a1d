"""
Every block of the documentation runs.

Each page is run from top to bottom against a database with a few sessions and an API that knows them, so
that a block may use what an earlier one of its page has made. What a block is, its language and its first
line tell:

- ``python``: code. ``# settings.py`` makes it settings, ``# urls.py`` a URL configuration, ``# celery.py``
  a module of a project that has a Celery ``app``, and ``# any/other.py`` a module that can be imported.
- ``python host``: code of a project with packages of others, which a test of ``tests/installed_wheel`` runs.
- ``console``, or no fence at all: commands, one a line, of the programs in ``PROGRAMS``. ``[`` makes it the
  synopsis of a command; a word in capitals is a placeholder, with which a command is parsed and not run.
- ``text``: what the console block before it prints, with ``…`` for what differs and lines
  broken anywhere.
- ``json``: what the console block before it prints, by its keys.

Any other block, program or option fails the test of its page.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery, current_app
from django.core import checks
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.db.utils import ConnectionRouter
from django.dispatch import Signal
from django.test import override_settings
from django.urls import resolve, reverse

from complycube_sessions import signals
from complycube_sessions.models import WorkflowSession
from complycube_sessions.services import refresh_session, refresh_sessions
from complycube_sessions.system_checks import check_settings
from tests.builders import CHECK_IDS, SESSION_ID, UNKNOWN_ID, check_payload, vendor_example
from tests.docs.pages import HOST, PAGES, ROOT, Block, blocks, names, prose
from tests.examples import parameters
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.repository

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CRON = re.compile(r"((?:[\d*/,-]+ ){5})(.+)")
CRON_FIELD = re.compile(r"\*(/\d+)?|\d+([,-]\d+)*")
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_]+$|…")
MODULE = re.compile(r"# ([\w/]+)\.py\n")
ASSIGNMENT = re.compile(r"[A-Z][A-Z_]*=")
SIGNALS: tuple[Signal, ...] = (signals.session_changed, signals.session_outcome_changed)
# What a page may install besides this app: applications, and packages.
OTHER_APPS = {"django_tasks_db"}
OTHER_PACKAGES = {"django-tasks", "django-tasks-db", "psycopg", "mysqlclient"}
# They serve, ask or make something outside of the database.
ONLY_PARSED = {"demo", "runserver", "createsuperuser", "send_test_webhook"}
# A toctree or an included page is Sphinx's, which builds it without a warning or fails.
DIRECTIVE = re.compile(r"\{(toctree|include)\}")


class Customer:
    """Stands in for the model of a host project."""

    unlocked: dict[str, bool] = {}

    @classmethod
    def set_unlocked(cls, client_id: str, value: bool) -> None:
        cls.unlocked[client_id] = value


class Page:
    """Runs the blocks of one page in one namespace, as somebody would who reads it from its top."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.names: dict[str, Any] = {"__name__": "page", "Customer": Customer}
        self.printed: str | None = None

    def run(self, block: Block) -> None:
        """Run a block, or fail for a kind that has no rule."""
        if DIRECTIVE.match(block.kind):
            return
        rule = {
            "python": self.python,
            HOST: judge_host_module,
            "console": self.console,
            "text": self.text,
            "json": self.json,
        }.get(block.kind)
        assert rule, f"{block.where}: a block of the kind {block.kind!r} has no rule"
        rule(block)

    def python(self, block: Block) -> None:
        file = MODULE.match(block.text)
        # As many empty lines as stand before it, so that a traceback names the line of the page.
        source = "\n" * (block.line - 1) + block.text
        code = compile(source, str(block.page), "exec", dont_inherit=True)
        if file and file[1] == "settings":
            run_settings(code)
        elif file and file[1] == "urls":
            run_urls(code)
        elif file and file[1] == "celery":
            self.names |= run_celery(code, self.names)
        elif file:
            self.module(file[1].replace("/", "."), code)
        else:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, self.names)  # noqa: S102 - our own page

    def module(self, name: str, code: Any) -> None:
        """Let later blocks of the page import a module, as a dotted path of a setting does."""
        module = ModuleType(name)
        exec(code, vars(module))  # noqa: S102 - our own page
        while name:
            self.patch.setitem(sys.modules, name, module)
            name, _, child = name.rpartition(".")
            parent = sys.modules.get(name) or ModuleType(name)
            vars(parent).setdefault("__path__", [])
            setattr(parent, child, module)
            module = parent

    def console(self, block: Block) -> None:
        self.printed = ""
        # A line that is indented goes on with the one before it.
        for line in re.sub(r"\n +", " ", block.text).splitlines():
            words = line.split(" #")[0].strip()
            if words:
                self.printed += run_line(words, block.where)

    def text(self, block: Block) -> None:
        assert self.printed is not None, f"{block.where}: no console block stands before it"
        shown, printed = " ".join(block.text.split()), " ".join(self.printed.split())
        pattern = ".*".join(re.escape(part) for part in shown.split("…"))
        assert re.fullmatch(pattern, printed), self.printed

    def json(self, block: Block) -> None:
        assert self.printed is not None, f"{block.where}: no console block stands before it"
        assert list(json.loads(block.text)) == list(json.loads(self.printed)), block.where


def judge_host_module(block: Block) -> None:
    """Demand that a test of a host project runs the block, which is named by its first line."""
    compile(block.text, block.where, "exec", dont_inherit=True)
    title = block.text.splitlines()[0].removeprefix("# ")
    tests = (ROOT / "tests" / "installed_wheel").glob("test_*.py")
    assert any(f'host_module("{title}")' in test.read_text() for test in tests), block.where


def run_settings(code: Any) -> None:
    """Use the settings: the system checks find no error in them, and their applications are there."""
    names: dict[str, Any] = {"INSTALLED_APPS": []}
    exec(code, names)  # noqa: S102 - our own page
    apps = names.pop("INSTALLED_APPS")
    assert set(apps) <= {"complycube_sessions", *OTHER_APPS}
    found = {name: value for name, value in names.items() if name.isupper()}
    # Another database than the test's own would be opened.
    found.pop("DATABASES", None)
    with override_settings(**found):
        errors = [m for m in check_settings() if m.level >= checks.ERROR]
    assert errors == []
    for dotted_path in found.get("DATABASE_ROUTERS", []):
        judge_router(ConnectionRouter([dotted_path]))
    assert found or apps or "DATABASES" in names


def judge_router(router: ConnectionRouter) -> None:
    """Demand that the app lives on a database of its own, alone, and is read where it is written."""
    alias = router.db_for_write(WorkflowSession)
    assert alias == router.db_for_read(WorkflowSession) != "default"
    assert router.allow_migrate(alias, "complycube_sessions")
    assert not router.allow_migrate(alias, "auth")
    assert router.allow_migrate("default", "auth")
    assert not router.allow_migrate("default", "complycube_sessions")


def run_urls(code: Any) -> None:
    """Serve the URL configuration: the receiver of webhooks is where the page says."""
    module = ModuleType("urls_of_page")
    exec(code, vars(module))  # noqa: S102 - our own page
    path = reverse("complycube_sessions:webhook", args=["default"], urlconf=module)  # type: ignore[arg-type]  # a module is one too
    assert path == "/complycube/webhook/default/"
    assert resolve(path, urlconf=module).view_name == "complycube_sessions:webhook"  # type: ignore[arg-type]


def run_celery(code: Any, names: dict[str, Any]) -> dict[str, Any]:
    """Give the module an app, and return it: each entry of its schedule is a task with its arguments."""
    app = names.get("app") or Celery("page", set_as_current=False)
    module = {"__name__": "celery_of_page", "app": app}
    exec(code, module)  # noqa: S102 - our own page
    for entry in app.conf.beat_schedule.values():
        task = current_app.tasks[entry["task"]]
        task.__header__(*entry.get("args", ()), **entry.get("kwargs", {}))
    return {"app": app}


def run_line(line: str, where: str) -> str:
    """Run or judge one command and return what it printed."""
    if match := CRON.fullmatch(line):
        assert all(CRON_FIELD.fullmatch(field) for field in match[1].split()), where
        line = match[2]
    printed = ""
    for command in line.removesuffix(" >/dev/null").split(" && "):
        if " [" in command:
            judge_synopsis(command, where)
            continue
        words = shlex.split(command)
        while ASSIGNMENT.match(words[0]):
            words = words[1:]
        program = PROGRAMS.get(Path(words[0]).name)
        if os.access(ROOT / words[0], os.X_OK):
            program = judge_tool  # a script of the repository
        assert program, f"{where}: there is no rule for the program {words[0]!r}"
        printed += program(words[1:], where) or ""
    return printed


def run_python(words: list[str], where: str) -> str:
    if words[:1] == ["-m"]:
        program = PROGRAMS.get(words[1])
        assert program, f"{where}: there is no rule for the module {words[1]!r}"
        return program(words[2:], where) or ""
    assert words[0] == "manage.py", where
    return run_manage(words[1:], where)


def run_manage(words: list[str], where: str) -> str:
    """Run a management command, or only parse it where it would serve, follow or ask, or names no real id."""
    name, *arguments = words
    parser = parser_of(name, where)
    if name in ONLY_PARSED or "--follow" in arguments or any(map(PLACEHOLDER.search, arguments)):
        parser.parse_args(arguments)
        return ""
    output = io.StringIO()
    call_command(name, *arguments, stdout=output, stderr=io.StringIO())
    return output.getvalue()


def parser_of(name: str, where: str) -> ArgumentParser:
    app = get_commands().get(name)
    assert app, f"{where}: there is no command {name}"
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    return command.create_parser("manage.py", name)


def judge_synopsis(command: str, where: str) -> None:
    """Compare a synopsis with the parser: every option of the command's own, and no other."""
    match = re.fullmatch(r"(?:\S*/)?python manage\.py (\S+) (.+)", command)
    assert match, f"{where}: this is no synopsis of a command"
    shown = set(re.findall(r"--[a-z-]+", match[2]))
    django = {
        option for a in BaseCommand().create_parser("", "")._actions for option in a.option_strings
    }
    parser = parser_of(match[1], where)
    options = {o for a in parser._actions for o in a.option_strings if o.startswith("--")} - django
    assert shown == options, where


def judge_make(words: list[str], where: str) -> None:
    targets = [word for word in words if "=" not in word]
    assert targets, where
    for target in targets:
        assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"{where}: no {target}"
    for word in words:
        name = word.split("=")[0]
        assert word in targets or f"$({name})" in MAKEFILE, f"{where}: no variable {name}"


def judge_pip(words: list[str], where: str) -> None:
    """Accept this package, with extras that it has, and those that a page needs besides."""
    assert words[0] == "install", where
    packages = [word for word in words[1:] if not word.startswith("-")]
    assert packages, where
    for package in packages:
        match = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?", package)
        assert match, where
        assert match[1] in {PROJECT["project"]["name"], *OTHER_PACKAGES}, f"{where}: {match[1]}"
        extras = set(filter(None, (match[2] or "").split(",")))
        assert extras <= set(PROJECT["project"]["optional-dependencies"]), f"{where}: {extras}"


def judge_cd(words: list[str], where: str) -> None:
    assert len(words) == 1, where


def judge_file(words: list[str], where: str) -> None:
    """Accept a program of the system that is given one file."""
    assert len(words) == 1, where


def judge_git(words: list[str], where: str) -> None:
    assert words[0] in {"clone", "switch", "checkout", "add", "commit"}, where


def judge_tool(words: list[str], where: str) -> None:
    """Accept a tool of development whose paths and markers are there."""
    if "-m" in words:
        markers = {marker.split(":")[0] for marker in PROJECT["tool"]["pytest"]["markers"]}
        named = set(re.findall(r"\w+", words[words.index("-m") + 1])) - {"and", "or", "not"}
        assert named <= markers, where
    for word in words:
        if "/" in word and not word.startswith("-"):
            assert (ROOT / word.split("::")[0]).exists(), f"{where}: no {word}"


PROGRAMS: dict[str, Callable[[list[str], str], str | None]] = {
    "python": run_python,
    "manage.py": run_manage,
    "make": judge_make,
    "pip": judge_pip,
    "cd": judge_cd,
    "git": judge_git,
    "pytest": judge_tool,
    "ruff": judge_tool,
    "mypy": judge_tool,
    "tox": judge_tool,
    "sha256sum": judge_file,
}


@pytest.fixture
def prepared(api: FakeAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeAPI]:
    """Store the vendor's example and a few more sessions, one of which has moved since."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPLYCUBE_API_KEY", KEY)
    monkeypatch.setenv("NINJA_SKIP_REGISTRY", "1")  # the recipes are run more than once
    monkeypatch.setenv("COMPLYCUBE_WEBHOOK_SECRET", "secret")
    for number in range(1, 4):
        api.add_session(number)
    api.sessions[SESSION_ID] = vendor_example()
    api.checks |= {check_id: check_payload(check_id) for check_id in CHECK_IDS}
    refresh_sessions()
    refresh_session(SESSION_ID)
    api.touch(f"{1:024x}", outcome="attention")
    assert UNKNOWN_ID not in api.sessions
    kept = {signal: list(signal.receivers) for signal in SIGNALS}
    yield api
    for signal, receivers in kept.items():
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_snippets__run(path: Path, prepared: FakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of a page runs, from top to bottom."""
    page = Page(monkeypatch)
    for block in blocks(path):
        page.run(block)
    assert WorkflowSession.objects.filter(pk=SESSION_ID).exists()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inline_commands__exist(path: Path) -> None:
    """A command in the middle of a sentence is one: of the Makefile, of Django, of a tool."""
    for number, line in prose(path):
        for command in names(line):
            where = f"{path.relative_to(ROOT)}:{number}"
            words = command.removeprefix("python ").split()
            if words[0] in {"make", "pip", "pytest"} and len(words) > 1:
                PROGRAMS[words[0]](words[1:], where)
            elif words[0] == "manage.py" and len(words) > 1:
                parser_of(words[1], where)


BAD = {
    "kind": ("ruby", "puts 1", "has no rule"),
    "program": ("console", "curl https://example.com", "no rule for the program"),
    "command": ("console", "python manage.py invented", "no command invented"),
    "option": ("console", "python manage.py refresh_workflow_sessions --invented", "invented"),
    "synopsis": ("console", "python manage.py refresh_workflow_sessions [--full]", "assert"),
    "target": ("console", "make invented", "no invented"),
    "package": ("console", "pip install django-complycube", "django-complycube"),
    "extra": ("console", "pip install 'django-complycube-sessions[invented]'", "invented"),
    "cron": ("console", "*/x * * * * cd /srv", "rule"),
    "code": ("python", "1 / 0", "division"),
    "settings": ("python", '# settings.py\nCOMPLYCUBE_CHECK_RESULTS = "some"', "E011"),
    "output": ("text", "anything", "no console block"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", parameters(BAD, quick={"code", "settings", "cron"}))
def test_snippets__bad_ones_fail(
    name: str, prepared: FakeAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that is of no known kind, or wrong, fails."""
    kind, text, reason = BAD[name]
    with pytest.raises(Exception, match=reason):
        Page(monkeypatch).run(Block(ROOT / "README.md", 1, kind, text))
