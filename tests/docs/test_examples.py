"""The files that docs/operating.md hands out: what runs a command runs one that is there, with options that it has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from complycube_sessions.contrib.prometheus import MirrorCollector, metric_names
from tests.docs.pages import DOCS
from tests.docs.test_snippets import CRON_FIELD, parser_of

pytestmark = pytest.mark.repository

EXAMPLES = DOCS / "examples"
PYTHON = "/srv/site/venv/bin/python"
UNITS = sorted(path.name for path in EXAMPLES.glob("complycube-*.*"))
METRIC = re.compile(r"\bcomplycube_\w+")


def judge(words: list[str], where: str) -> None:
    """Parse a management command as its own parser does."""
    program, script, name, *options = words
    assert (Path(program).name, script) == ("python", "manage.py"), where
    parser_of(name, where).parse_args(options)


def unit(name: str) -> ConfigParser:
    parsed = ConfigParser(interpolation=None, strict=True)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string((EXAMPLES / name).read_text())
    return parsed


def dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    """Yield each dictionary in a tree."""
    if isinstance(node, dict):
        yield node
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from dictionaries(child)


def loaded(name: str) -> list[Any]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def test_systemd__commands() -> None:
    """Each timer has its service, and each service a command that is there."""
    services = [name for name in UNITS if name.endswith(".service")]
    assert services
    for name in services:
        judge(unit(name)["Service"]["ExecStart"].split(), name)
        timer = unit(name.replace(".service", ".timer"))
        assert timer["Timer"]["OnCalendar"]
        assert timer["Install"]["WantedBy"] == "timers.target"


if shutil.which("systemd-analyze"):  # a skip would fail where all tests have to run

    def test_systemd__verified(tmp_path: Path) -> None:
        """So says systemd itself, of the interpreter of the tests in place of the site's."""
        for name in UNITS:
            text = (EXAMPLES / name).read_text().replace(PYTHON, sys.executable)
            (tmp_path / name).write_text(text)
        command = ["systemd-analyze", "verify", *(f"./{name}" for name in UNITS)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_kubernetes() -> None:
    """Each schedule is one, each container's command is there, and what has to end in order has the time."""
    names = []
    for node in dictionaries(loaded("kubernetes.yaml")):
        if "schedule" in node:
            assert all(CRON_FIELD.fullmatch(field) for field in node["schedule"].split())
        for container in node.get("containers", ()):
            judge(container["command"], container["name"])
            assert node["terminationGracePeriodSeconds"] >= 60
            names.append(container["name"])
    assert names == ["refresh", "full", "webhooks"]


def test_compose() -> None:
    """So it is in each service, in the loop of a shell and in a health check as well."""
    (project,) = loaded("docker-compose.yaml")
    found = 0
    for name, service in project["services"].items():
        told = [service.get("command", []), service.get("healthcheck", {}).get("test", [])]
        for words in told:
            for line in re.findall(r"python manage\.py [^;]+", " ".join(words)):
                judge(line.split(), name)
                found += 1
    assert found == 3
    assert set(project["volumes"]) == {"database"}


def test_dashboard__metrics_are_there() -> None:
    """A panel asks for what the collector yields, by the account alone, and every metric is on a panel."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expression in asked for name in METRIC.findall(expression)}
    assert named == set(metric_names())
    labels = {label for e in asked for label in re.findall(r"\{(\w+)=~", e)}
    assert labels == {"account"}
    (variable,) = (v for v in dashboard["templating"]["list"] if v["name"] == "account")
    assert METRIC.findall(variable["query"]["query"]) == ["complycube_state"]


@pytest.mark.django_db
def test_metrics__names() -> None:
    """The names are those that the collector yields."""
    assert [family.name for family in MirrorCollector().collect()] == list(metric_names())
