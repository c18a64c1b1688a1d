from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from pytest_django import Settings

from complycube_sessions.models import Erasure, RelatedCheck, WorkflowSession
from complycube_sessions.services import refresh_session
from complycube_sessions.system_checks import check_settings
from tests.builders import session_row
from tests.fake_api import KEY, FakeAPI
from tests.privacy.support import NAME, add_person, run

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
MODELS = list(apps.get_app_config("complycube_sessions").get_models())


def block(beginning: str) -> dict[str, Any]:
    """Run the code of the page that begins so, and return its names."""
    names: dict[str, Any] = {}
    for text in BLOCKS:
        if text.startswith(beginning):
            exec(text, names)  # noqa: S102 - our own page
    assert names
    return {name: value for name, value in names.items() if name != "__builtins__"}


# What the settings of the page point to.
scrub = block("# your_project/scrubbing.py")["scrub"]
legal_hold = block("# your_project/privacy.py")["legal_hold"]


def documented() -> dict[str, list[str]]:
    """Return the columns that the tables of the page name, by model."""
    columns: dict[str, list[str]] = {}
    for title, body in re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE):
        names = [
            name
            for line in body.splitlines()
            if line.startswith("| `")
            for name in re.findall(r"`(\w+)`", line.split("|")[1])
        ]
        for model in title.split(", "):
            columns[model] = names
    return columns


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_page__names_every_column(model: Any) -> None:
    """Each column of each table stands in the list of what is kept."""
    columns = documented()[model.__name__]
    assert len(columns) == len(set(columns))
    missing = {field.name for field in model._meta.concrete_fields} - set(columns)
    assert not missing


def test_page__names_no_other_column() -> None:
    """The list names nothing that is not there."""
    found: dict[str, set[str]] = {}
    for title, columns in documented().items():
        for name in columns:
            found.setdefault(name, set()).add(title)
    for name, titles in found.items():
        models = [model for model in MODELS if model.__name__ in titles]
        assert any(name == f.name for model in models for f in model._meta.concrete_fields), name


def test_page__settings(settings: Settings) -> None:
    """The settings of the page are right."""
    values = block("# settings.py")
    assert {"COMPLYCUBE_RETENTION", "COMPLYCUBE_LEGAL_HOLD", "COMPLYCUBE_SCRUBBER"} <= set(values)
    for name, value in values.items():
        if name.startswith("COMPLYCUBE_"):
            setattr(settings, name, value)
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_docs.legal_hold"
    settings.COMPLYCUBE_SCRUBBER = "tests.privacy.test_docs.scrub"
    assert check_settings() == []


@pytest.mark.django_db
def test_page__scrubber_and_hold(api: FakeAPI, settings: Settings) -> None:
    """The scrubber and the hold of the page do what the page says."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000}}
    settings.COMPLYCUBE_SCRUBBER = "tests.privacy.test_docs.scrub"
    settings.COMPLYCUBE_LEGAL_HOLD = "tests.privacy.test_docs.legal_hold"
    person = add_person(api, 40)
    api.sessions[person.sessions[0]]["clientId"] = "5eb1276d96be4a0008713af5"

    row = refresh_session(person.sessions[0])

    assert row.entity_name == row.raw["entityName"] == "Z. Q."
    assert all(check.result == {"outcome": "attention"} for check in RelatedCheck.objects.all())
    assert NAME not in str(WorkflowSession.objects.values())
    said = run("erase_complycube_client", row.client_id)
    assert (said.code, Erasure.objects.count()) == (1, 0)
    assert "legal hold: case 4711" in said.err


@pytest.mark.django_db
def test_page__commands(settings: Settings) -> None:
    """The commands of the page run as they stand there."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY}}
    lines = re.findall(r"^    python manage.py (.+)$", PAGE, re.MULTILINE)
    assert len(lines) == 8
    session_row(client_id="CLIENT_ID")
    for line in lines:
        command, *arguments = [a.strip('"') for a in re.findall(r'"[^"]*"|\S+', line)]
        if command != "refresh_workflow_sessions":
            assert run(command, *arguments).code == 0, line
