"""
Check the wheel in somebody else's project: stock ``startproject``, two settings, nothing else.

Usage: python .ci/check_host_project.py WHEEL, where DATABASE_URL names a database in which the demo
was prepared: its sandbox answers the refresh.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from project.demo_server import DemoServer, free_port  # noqa: E402 - found by the line above
from project.sandbox import API_KEY  # noqa: E402
from project.sandbox.example import SESSION  # noqa: E402

UNKNOWN_ID: Final = "5eb2b61e02df0a0008f1cf2b"
COLUMNS: Final = {
    "client_id": "clientId",
    "entity_name": "entityName",
    "status": "status",
    "outcome": "outcome",
    "workflow_template_id": "workflowTemplateId",
    "workflow_template_name": "workflowTemplateName",
    "workflow_id": "workflowId",
    "workflow_version": "workflowVersion",
    "workflow_description": "workflowDescription",
    "compliance_policies": "compliancePolicies",
    "policy_assurance": "policyAssurance",
    "tasks": "tasks",
    "last_completed_task_id": "lastCompletedTaskId",
}
LOOK: Final = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from complycube_sessions.models import WorkflowSession
row = WorkflowSession.objects.get()
client = Client(SERVER_NAME="localhost")
client.force_login(get_user_model().objects.create_superuser("admin"))
base = "admin:complycube_sessions_workflowsession_"
pages = [reverse(base + "changelist"), reverse(base + "change", args=[row.pk])]
stamp = lambda time: time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
print(json.dumps({
    "columns": {name: getattr(row, name) for name in COLUMNS},
    "raw": row.raw,
    "times": [stamp(row.created_at), stamp(row.completed_at), stamp(row.updated_at)],
    "checks": [[c.check_id, c.type, c.task_id] for c in row.checks.all()],
    "pages": [[client.get(page).status_code, "John Doe" in client.get(page).content.decode()] for page in pages],
}))
"""


def main(wheel: str) -> str | None:
    """Return what went wrong, or None."""
    with tempfile.TemporaryDirectory() as folder, DemoServer(free_port()) as sandbox:
        python = _environment(Path(folder), wheel)
        host = Path(folder) / "host"
        host.mkdir()
        _run([python, "-m", "django", "startproject", "host", "."], host)
        _add_settings(host / "host" / "settings.py", f"{sandbox.url}/sandbox/v1")
        manage = [python, "manage.py"]
        _run([*manage, "check", "--fail-level", "WARNING"], host)
        _run([*manage, "migrate", "--verbosity", "0"], host)
        _run([*manage, "makemigrations", "--check", "--dry-run"], host)
        _run([*manage, "refresh_workflow_sessions", SESSION["id"]], host)
        unknown = subprocess.run(  # noqa: S603 - our own command
            [*manage, "refresh_workflow_sessions", UNKNOWN_ID],
            cwd=host,
            capture_output=True,
            text=True,
            check=False,
        )
        if unknown.returncode != 1 or f"id '{UNKNOWN_ID}'" not in unknown.stderr:
            return f"unknown id: exit code {unknown.returncode}, {unknown.stderr!r}"
        look = LOOK.replace("COLUMNS", repr(list(COLUMNS)))
        return _differences(json.loads(_run([*manage, "shell", "--no-imports", "-c", look], host)))


def _environment(folder: Path, wheel: str) -> str:
    _run([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    python = str(folder / "venv" / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", str(Path(wheel).resolve())], folder)
    return python


def _add_settings(settings: Path, base_url: str) -> None:
    account = {"API_KEY": API_KEY, "BASE_URL": base_url, "REQUESTS_PER_SECOND": 100}
    with settings.open("a") as file:
        file.write('\nINSTALLED_APPS += ["complycube_sessions"]\n')
        file.write(f"COMPLYCUBE_ACCOUNTS = {{'default': {account!r}}}\n")


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _differences(found: dict[str, object]) -> str | None:
    expected = {
        "columns": {column: SESSION[name] for column, name in COLUMNS.items()},
        "raw": SESSION,
        "times": [SESSION[name] for name in ("createdAt", "completedAt", "updatedAt")],
        "checks": [[c["checkId"], c["type"], c["taskId"]] for c in SESSION["allRelatedChecks"]],
        "pages": [[200, True], [200, True]],
    }
    wrong = [name for name, value in expected.items() if found[name] != value]
    if wrong:
        return "\n".join(f"{name}: {found[name]!r} is not {expected[name]!r}" for name in wrong)
    sys.stdout.write("the wheel works in a stock project, with two settings\n")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
