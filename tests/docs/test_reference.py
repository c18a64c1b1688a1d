"""The tables of the documentation name what the code has: nothing less, nothing more."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import get_commands, load_command_class
from django.db import models
from pytest_django import Settings

import complycube_sessions
from complycube_sessions import conf, exceptions, tasks
from complycube_sessions.management.commands import refresh_workflow_sessions as refresh
from complycube_sessions.management.commands.create_complycube_groups import GROUPS
from complycube_sessions.models import RelatedCheck, SessionChange, WorkflowSession
from complycube_sessions.models.session_queries import WorkflowSessionQuerySet
from complycube_sessions.setting_rules import ACCOUNT_KEYS
from tests.docs.pages import DOCS, PAGES, ROOT, names, rows, tables

pytestmark = pytest.mark.repository

PACKAGE = Path(complycube_sessions.__file__).parent
CHECK_ID = re.compile(r"(?:complycube_sessions\.)?([EW]\d{3})")
SETTING = re.compile(r"\bCOMPLYCUBE_[A-Z_]+\b")
# Variables of the demo site and of the tests, which are no settings.
VARIABLES = re.compile(
    r"COMPLYCUBE_(THOROUGH|API_KEY|BASE_URL|WEBHOOK_SECRET|(REQUIRE|FORBID)_[A-Z]+)"
)
DJANGO_OPTIONS = {
    "help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color",
    "skip_checks",
}  # fmt: skip


def first_column(page: str) -> list[str]:
    return [name for row in rows(DOCS / page) for name in names(row[0])]


def settings_in_code() -> set[str]:
    """Return the app's settings by the table of ``conf.py``."""
    return {row.name for row in conf.SETTINGS if SETTING.fullmatch(row.name)}


def strings_in_code() -> set[str]:
    return {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_settings__all_are_documented() -> None:
    """docs/settings.md has a row for each setting and each key of an account, and no other."""
    documented = first_column("settings.md")
    assert len(documented) == len(set(documented))
    assert {name for name in documented if SETTING.fullmatch(name)} == settings_in_code()
    assert {name for name in documented if not SETTING.fullmatch(name)} == set(ACCOUNT_KEYS)


def test_settings__defaults_are_documented(settings: Settings) -> None:
    """The default in the table is the value that the app uses where nothing is set."""
    for name in settings_in_code():
        if hasattr(settings, name):
            delattr(settings, name)
    for row in tables(DOCS / "settings.md")[0]:
        (name,) = names(row[0])
        (shown,) = names(row[1])
        default = eval(shown, {"timedelta": timedelta})  # noqa: S307 - our own page
        assert getattr(conf.conf, name) == default, name


def test_settings__defaults_of_an_account(settings: Settings) -> None:
    """So are those of an account's keys."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": "live_x"}, "test": {"API_KEY": "test_x"}}
    live, test = conf.get_account("default"), conf.get_account("test")
    fields = {"TIMEOUT": "timeout_seconds"}
    shown = {names(row[0])[0]: row[1] for row in tables(DOCS / "settings.md")[1]}
    assert shown.pop("API_KEY") == "required"
    rate = f"{live.requests_per_second:g} for a live key, else {test.requests_per_second:g}"
    assert shown.pop("REQUESTS_PER_SECOND") == rate
    for key, cell in shown.items():
        default = ast.literal_eval(names(cell)[0])
        value = getattr(live, fields.get(key, key.lower()))
        assert (list(value) if isinstance(value, tuple) else value) == default, key


def test_settings__none_is_invented() -> None:
    """No page speaks of a setting that is not there."""
    mentioned = {
        name
        for page in [*PAGES, ROOT / "CHANGELOG.md"]
        for name in SETTING.findall(page.read_text(encoding="utf-8"))
    }
    unknown = {name for name in mentioned if not VARIABLES.fullmatch(name)} - settings_in_code()
    assert unknown == set()


def test_checks__all_are_documented() -> None:
    """docs/checks.md has a row with meaning and remedy for each id in the code, and no other."""
    in_code = {match[1] for text in strings_in_code() if (match := CHECK_ID.fullmatch(text))}
    table = {names(row[0])[0]: row[1:] for row in rows(DOCS / "checks.md")}
    missing = sorted(in_code - set(table))
    assert missing == [], f"add rows for {', '.join(missing)} to docs/checks.md"
    stale = sorted(set(table) - in_code)
    assert stale == [], f"docs/checks.md has rows for ids that are not in the code: {stale}"
    assert all(meaning and remedy for meaning, remedy in table.values())


def table_of(model: type[models.Model]) -> list[list[str]]:
    """Return the table under the heading that is the model's name."""
    text = (DOCS / "querying.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    with_table = [heading for heading in headings if heading != "Types"]
    return tables(DOCS / "querying.md")[with_table.index(model.__name__)]


@pytest.mark.parametrize("model", [WorkflowSession, RelatedCheck, SessionChange])
def test_fields__all_are_documented(model: type[models.Model]) -> None:
    """docs/querying.md has each field of the three models in the model's own table."""
    table = table_of(model)
    documented = [name for row in table for name in names(row[0])]
    assert sorted(documented) == sorted(field.name for field in model._meta.concrete_fields)


@pytest.mark.parametrize(
    ("model", "field", "known"),
    [
        (WorkflowSession, "status", WorkflowSession.Status),
        (WorkflowSession, "outcome", WorkflowSession.Outcome),
        (RelatedCheck, "status", RelatedCheck.Status),
        (RelatedCheck, "outcome", RelatedCheck.Outcome),
        (SessionChange, "field", SessionChange.Field),
        (SessionChange, "source", SessionChange.Source),
    ],
)
def test_words__all_are_documented(
    model: type[models.Model], field: str, known: type[models.TextChoices]
) -> None:
    """The row of a field names each word that is known for it, and no other."""
    (meaning,) = (row[2] for row in table_of(model) if names(row[0]) == [field])
    assert set(names(meaning)) - {'""'} == set(known.values)


def test_querysets__all_are_documented() -> None:
    """So is each question that the queryset answers, with parameters that it has."""
    table = tables(DOCS / "querying.md")[0]
    documented = dict(names(row[0])[0].rstrip(")").split("(") for row in table)
    methods = {
        name: set(inspect.signature(method).parameters)
        for name, method in vars(WorkflowSessionQuerySet).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    assert set(documented) == set(methods)
    for name, shown in documented.items():
        parameters = {part.strip().split("=")[0] for part in shown.split(",") if part.strip()}
        assert parameters == methods[name] - {"self"}, name


def test_errors__all_are_documented() -> None:
    """docs/errors.md has each class of exceptions.py."""
    classes = {
        name
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__
    }
    assert set(first_column("errors.md")) == classes


def test_tasks__all_are_documented() -> None:
    """docs/refreshing.md has each task with parameters that it has."""
    functions = {
        node.name: {argument.arg for argument in node.args.args}
        for node in ast.parse(inspect.getsource(tasks)).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    shown = [name for name in first_column("refreshing.md") if name.split("(")[0] in functions]
    documented = dict(name.rstrip(")").split("(") for name in shown)
    assert {name: set(text.split(", ")) for name, text in documented.items()} == functions


@pytest.mark.django_db
def test_permissions__all_are_documented() -> None:
    """docs/permissions.md has each permission of the app, and each group with what it is given."""
    groups, permissions = tables(DOCS / "permissions.md")
    codenames = Permission.objects.filter(content_type__app_label="complycube_sessions")
    documented = [names(row[0])[0] for row in permissions]
    assert sorted(documented) == sorted(codenames.values_list("codename", flat=True))
    assert {row[0]: set(names(row[1])) for row in groups} == {
        name: set(given) for name, given in GROUPS.items()
    }


def command_options() -> list[tuple[str, str]]:
    """Return each command of the app with each option of its own."""
    found = []
    for name, app in get_commands().items():
        if app != "complycube_sessions":
            continue
        parser = load_command_class(app, name).create_parser("manage.py", name)
        found.append((name, name))
        for action in parser._actions:
            if action.dest not in DJANGO_OPTIONS and action.option_strings:
                found.append((name, action.option_strings[-1]))
    return found


@pytest.mark.parametrize(("command", "option"), command_options())
def test_commands__all_are_documented(command: str, option: str) -> None:
    """Each command, and each of its options, stands on a page that speaks of the command."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    word = re.compile(rf"{re.escape(option)}(?![\w-])")
    assert any(command in text and word.search(text) for text in texts)


def test_exit_codes__are_documented() -> None:
    """The table of exit codes has those of the command."""
    codes = {0, refresh.SOME_FAILED, refresh.COULD_NOT_RUN, refresh.LOCKED, refresh.INTERRUPTED}
    shown = [table for table in tables(DOCS / "refreshing.md") if table[0][0] == "0"]
    assert [int(row[0]) for row in shown[0]] == sorted(codes)
