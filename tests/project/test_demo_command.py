from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from pytest_django import Settings

from project.demo_server import free_port
from project.management.commands.demo import where_the_key_goes
from project.sandbox import API_KEY
from project.sandbox.loading import DEFAULT_COUNT
from tests.project.site_process import ROOT, environment, run, run_script

# One worker has them all, since each would start the demo anew.
pytestmark = [pytest.mark.demo, pytest.mark.xdist_group("demo")]
# A shell starts its background jobs with SIGINT ignored.
BACKGROUND_JOB = ["/bin/sh", "-c", 'trap "" INT; exec "$0" "$@"']
STATE = """
from django.contrib.auth.models import User
from complycube_sessions.models import RefreshRun, RelatedCheck, WorkflowSession
from project.sandbox.models import SandboxCheck, SandboxSession
sandbox = set(SandboxSession.objects.values_list("pk", "status", "outcome"))
print(sandbox == set(WorkflowSession.objects.values_list("pk", "status", "outcome")), len(sandbox))
checks = set(SandboxCheck.objects.values_list("pk", "status", "outcome"))
print(checks == set(RelatedCheck.objects.values_list("check_id", "status", "outcome")))
print(*RefreshRun.objects.values_list("state", flat=True))
reviewer = User.objects.get(username="reviewer")
print(reviewer.is_staff, reviewer.is_superuser, *sorted(reviewer.get_all_permissions()))
print(*reviewer.groups.values_list("name", flat=True))
print(User.objects.get(username="admin").is_superuser)
"""
REVIEWER = (
    "True False complycube_sessions.change_upstream_workflowsession complycube_sessions.view_relatedcheck "
    "complycube_sessions.view_review "
    "complycube_sessions.view_sensitive_workflowsession complycube_sessions.view_sessionchange "
    "complycube_sessions.view_workflowsession complycube_sessions.work_review"
)
LOGIN = """
import json, os
from django.contrib.auth import authenticate
attempts = json.loads(os.environ["ATTEMPTS"])
print(*(authenticate(username=name, password=password) for name, password in attempts))
"""


def passwords(output: str) -> dict[str, str]:
    return dict(
        re.findall(r"^  (admin|reviewer|lead|operator) +password (\S+)$", output, re.MULTILINE)
    )


@dataclass(frozen=True)
class Demo:
    """What two runs of the demo in one folder left behind: one that returned, one that stayed up."""

    folder: Path
    first_output: str
    second_output: str
    page: str
    beside: subprocess.CompletedProcess[str]
    after_interrupt: str
    returncode: int
    url: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    first = run(folder, "manage.py", "demo", "--no-serve")
    assert first.returncode == 0, first.stdout + first.stderr
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    output, page, beside = "", "", None
    with subprocess.Popen(
        [
            *(*BACKGROUND_JOB, sys.executable, "manage.py", "demo"),
            *("--port", str(port), "--live-minutes", "0"),
        ],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as second:
        assert second.stdout is not None
        try:
            for line in second.stdout:
                output += line
                if line.startswith("Ctrl-C"):
                    with urlopen(f"{url}/admin/login/", timeout=10) as response:  # noqa: S310 - http
                        page = response.read().decode()
                    beside = run(folder, "manage.py", "refresh_workflow_sessions")
                    second.send_signal(signal.SIGINT)
                    break
            rest = second.stdout.read()
            second.wait(30)
        finally:
            second.kill()
    assert beside is not None, output
    return Demo(
        folder, first.stdout + first.stderr, output, page, beside, rest, second.returncode, url
    )


def test_demo__stores_every_sandbox_session(demo: Demo) -> None:
    """All sessions and checks of the sandbox arrive over HTTP, and the users are ready."""
    assert run_script(demo.folder, STATE).splitlines() == [
        f"True {DEFAULT_COUNT + 1}",
        "True",
        "succeeded succeeded succeeded",
        REVIEWER,
        "Compliance reviewer",
        "True",
    ]


def test_demo__prints_where_to_look(demo: Demo) -> None:
    """The address of the list and all users stand at the end, and the key nowhere."""
    path = "/admin/complycube_sessions/workflowsession/"
    assert re.search(rf"http://127\.0\.0\.1:\d+{path}", demo.first_output)
    assert f"{demo.url}{path}" in demo.second_output
    assert set(passwords(demo.first_output)) == {"admin", "reviewer", "lead", "operator"}
    assert API_KEY not in demo.first_output + demo.second_output


def test_demo__hears_of_what_is_changed_in_the_sandbox(demo: Demo) -> None:
    """The site's receiver is the webhook of the sandbox, wherever the last demo was served."""
    script = "from project.sandbox.models import SandboxWebhook as W; print(*W.objects.values_list('url'))"
    url = f"{demo.url}/complycube/webhook/default/"
    assert run_script(demo.folder, script) == f"('{url}',)\n"


def test_demo__second_run_prints_new_working_passwords(demo: Demo) -> None:
    """The passwords of the last run are the ones that work."""
    first, second = passwords(demo.first_output), passwords(demo.second_output)
    assert not set(first.values()) & set(second.values())
    attempts = json.dumps([*first.items(), *second.items()])
    assert run_script(demo.folder, LOGIN, ATTEMPTS=attempts) == (
        f"{'None ' * 4}admin reviewer lead operator\n"
    )


def test_demo__serves_until_interrupted(demo: Demo) -> None:
    """The site answers while the demo is up; Ctrl-C ends both without a traceback."""
    assert "demo site" in demo.page
    assert (demo.returncode, demo.after_interrupt) == (0, "\nStopped.\n"), demo.second_output
    with pytest.raises(URLError):
        urlopen(f"{demo.url}/admin/login/", timeout=10)  # noqa: S310 - http


def test_demo__is_found_by_commands_beside_it(demo: Demo) -> None:
    """A command in another window asks the demo that is up, whatever its port; the note goes with the demo."""
    assert demo.beside.returncode == 0, demo.beside.stderr
    assert "succeeded" in demo.beside.stdout
    assert not (demo.folder / ".demo_port").exists()


def test_demo__says_where_a_real_key_goes(settings: Settings) -> None:
    """With a key and no address, the demo says before its first request that the real API gets it."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": "test_a-key-of-the-real-api"}}
    assert "the key goes to the real API, api.complycube.com" in where_the_key_goes()
    settings.COMPLYCUBE_ACCOUNTS["default"]["BASE_URL"] = "https://proxy.example/v1"
    assert where_the_key_goes().endswith("the key goes to proxy.example.")


def test_demo__taken_port_names_the_option(tmp_path: Path) -> None:
    """A port in use ends the demo at once, with the option that helps."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(tmp_path, "manage.py", "demo", "--port", str(port))
    assert result.returncode == 1
    assert f"Port {port} cannot be used" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


def test_demo__real_key_refuses_a_sandbox_database(demo: Demo) -> None:
    """With a real key the demo does not mix the sandbox's people with real ones."""
    key = "test_a-key-of-the-real-api"
    result = run(demo.folder, "manage.py", "demo", "--no-serve", COMPLYCUBE_API_KEY=key)
    assert result.returncode == 1
    assert "This database holds the sandbox" in result.stderr
    assert key not in result.stdout + result.stderr
