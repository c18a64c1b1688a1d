from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from project.sandbox import API_KEY
from project.sandbox.loading import DEFAULT_COUNT
from tests.project.site_process import ROOT, environment, run, run_script

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
    "True False complycube_sessions.view_relatedcheck complycube_sessions.view_sensitive_workflowsession "
    "complycube_sessions.view_sessionchange complycube_sessions.view_workflowsession"
)
LOGIN = """
import sys
from django.contrib.auth import authenticate
print(*(authenticate(username=name, password=sys.stdin.readline().strip()) for name in ("admin", "reviewer")))
"""


def passwords(output: str) -> dict[str, str]:
    return dict(re.findall(r"^  (admin|reviewer) +password (\S+)$", output, re.MULTILINE))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two runs of the demo in one folder: the folder, and what each printed."""
    folder = tmp_path_factory.mktemp("demo")
    outputs = []
    for _run in range(2):
        result = run(folder, "manage.py", "demo", "--no-serve")
        assert result.returncode == 0, result.stdout + result.stderr
        outputs.append(result.stdout)
        assert API_KEY not in result.stdout + result.stderr
    return folder, outputs


def test_demo__stores_every_sandbox_session(demo: tuple[Path, list[str]]) -> None:
    """All sessions and checks of the sandbox arrive over HTTP, and the users are ready."""
    folder, _outputs = demo
    assert run_script(folder, STATE).splitlines() == [
        f"True {DEFAULT_COUNT + 1}",
        "True",
        "succeeded succeeded",
        REVIEWER,
        "Compliance reviewer",
        "True",
    ]


def test_demo__prints_where_to_look(demo: tuple[Path, list[str]]) -> None:
    """The address of the list and both users stand at the end."""
    _folder, outputs = demo
    assert re.search(
        r"http://127\.0\.0\.1:\d+/admin/complycube_sessions/workflowsession/", outputs[0]
    )
    assert set(passwords(outputs[0])) == {"admin", "reviewer"}


def test_demo__second_run_prints_new_working_passwords(demo: tuple[Path, list[str]]) -> None:
    """The passwords of the last run are the ones that work."""
    folder, outputs = demo
    first, second = passwords(outputs[0]), passwords(outputs[1])
    assert not set(first.values()) & set(second.values())
    script = f"import django; django.setup()\n{LOGIN}"
    result = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment(folder),
        input=f"{second['admin']}\n{second['reviewer']}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "admin reviewer\n"


def test_demo__serves_until_interrupted(demo: tuple[Path, list[str]]) -> None:
    """The site answers while the demo is up; Ctrl-C ends both without a traceback."""
    folder, _outputs = demo
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - this Python
        [sys.executable, "manage.py", "demo", "--port", str(port)],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        with urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=10) as response:
            assert "demo site" in response.read().decode()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert (process.wait(30), rest) == (0, "\nStopped.\n"), lines
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=10)


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


def test_demo__real_key_refuses_a_sandbox_database(demo: tuple[Path, list[str]]) -> None:
    """With a real key the demo does not mix the sandbox's people with real ones."""
    folder, _outputs = demo
    key = "test_a-key-of-the-real-api"
    result = run(folder, "manage.py", "demo", "--no-serve", COMPLYCUBE_API_KEY=key)
    assert result.returncode == 1
    assert "This database holds the sandbox" in result.stderr
    assert key not in result.stdout + result.stderr
