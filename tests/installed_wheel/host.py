"""Somebody else's project: an environment that holds the wheel, and what ``startproject`` makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from project.demo_server import free_port
from tests.webhook_requests import encoded, event, signature

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


class Host:
    """A project called ``host`` in a folder; nothing of this repository can be imported in it."""

    def __init__(self, folder: Path, wheel: Path, *packages: str) -> None:
        self.folder = folder / "host"
        self.folder.mkdir()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "DJANGO", "PYTEST", "COMPLYCUBE"))
        }
        self._run(sys.executable, "-m", "venv", str(folder / "venv"))
        self.python = str(folder / "venv" / "bin" / "python")
        self._run(self.python, "-m", "pip", "install", "--quiet", str(wheel), *packages)
        self._run(self.python, "-m", "django", "startproject", "host", ".")

    def add(self, path: str, text: str) -> None:
        """Append to a file of the project, or make it."""
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the project, which has to end in an exit code, and return its outputs."""
        return self._run(self.python, "-W", "error", "manage.py", *arguments, code=code)

    def ask(self, code: str) -> Any:
        """Run code in the project's shell and return the JSON that it prints."""
        return json.loads(self.manage("shell", "--no-imports", "-c", code))

    def set_up(self, *databases: str) -> None:
        """Do what the README asks for after the settings are written."""
        self.manage("check", "--fail-level", "WARNING")
        for database in databases or ("default",):
            self.manage("migrate", "--verbosity", "0", "--database", database)
        self.manage("makemigrations", "--check", "--dry-run")
        self.environment |= {"DJANGO_SUPERUSER_PASSWORD": "secret"}

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve the project on a free port and yield its address."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        log = (self.folder / "server.log").open("wb")
        process = subprocess.Popen(
            [self.python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(url):
                assert process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait()
            log.close()

    def log(self) -> str:
        """Return what the server wrote."""
        return (self.folder / "server.log").read_text(encoding="utf-8")

    def _run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr


def answers(url: str) -> bool:
    try:
        requests.get(url, timeout=30)
    except requests.ConnectionError:
        return False
    return True


class Browser:
    """Somebody who signs in to the admin over HTTP."""

    def __init__(self, url: str, admin: str = "/admin/") -> None:
        self.url, self.admin = url, f"{url}{admin}"
        self.session = requests.Session()

    def sign_in(self, username: str) -> None:
        address = f"{self.admin}login/"
        self.session.get(address, timeout=30)
        form = {"username": username, "password": "secret", "next": self.admin}
        answer = self.post(address, **form)
        assert answer.url == self.admin, answer.text

    def get(self, path: str) -> str:
        """Return the page of this app at a path; it has to be there."""
        answer = self.session.get(f"{self.admin}complycube_sessions/{path}", timeout=30)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def post(self, address: str, **form: str) -> requests.Response:
        token = {"csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        return self.session.post(
            address, data=form | token, headers={"Referer": address}, timeout=30
        )

    def refresh(self, session_id: str) -> str:
        """Press the button of a session and return the page that follows."""
        page = f"{self.admin}complycube_sessions/workflowsession/{session_id}/refresh/"
        answer = self.post(page)
        assert answer.status_code == 200
        return answer.text


def send_event(url: str, session_id: str, *, account: str, secret: str, path: str) -> int:
    """Send a signed event as the vendor would and return the status."""
    body = encoded(event(f"event-of-{session_id}", id=session_id))
    return requests.post(
        f"{url}{path}webhook/{account}/",
        data=body,
        headers={
            "ComplyCube-Signature": signature(body, secret),
            "Content-Type": "application/json",
        },
        timeout=30,
    ).status_code


def rows_of(page: str) -> set[str]:
    """Return the ids of the sessions that a list links to."""
    return set(re.findall(r"/workflowsession/([0-9a-f]{24})/change/", page))
