from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.urls import reverse

from complycube_sessions.conf import get_account, webhook_secrets
from complycube_sessions.setting_rules import DEFAULT_BASE_URL
from project.demo_port import noted_port
from project.demo_server import DemoServer, DemoServerError, free_port, run_manage
from project.demo_users import create_users

INTERRUPTED = 130


class Command(BaseCommand):
    help = "Prepare the demo site, refresh it once over HTTP, and serve it until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            help=f"where to serve on 127.0.0.1; {_default_port()} unless told",
        )
        parser.add_argument(
            "--no-serve",
            action="store_true",
            help="stop the site after the refresh and return; uses any free port unless told",
        )
        parser.add_argument(
            "--live-minutes",
            type=float,
            default=5,
            help="for how long people walk through the sandbox while you watch; 0 for not at all",
        )

    def handle(
        self, *, port: int | None, no_serve: bool, live_minutes: float, **options: Any
    ) -> None:
        port = port or (free_port() if no_serve else _default_port())
        serving = False
        try:
            with _signals_as_interrupt():
                is_live = not no_serve and live_minutes > 0 and _has_sandbox()
                live_seconds = 60 * live_minutes if is_live else 0
                server = DemoServer(port, live_seconds=live_seconds)
                passwords = self._prepare()
                with server, _noted(port):
                    _register_receiver(server.url)
                    self._refresh(port, stay_up=not no_serve)
                    self._show(server.url, passwords, live_minutes if is_live else 0, not no_serve)
                    if not no_serve:
                        serving = True
                        with _live(server.url, live_seconds):
                            server.wait()
        except DemoServerError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            if not serving:
                raise CommandError("Interrupted.", returncode=INTERRUPTED) from None
            self.stdout.write("\nStopped.")

    def _prepare(self) -> dict[str, str]:
        if (
            not _has_sandbox()
            and "sandbox_sandboxsession" in connection.introspection.table_names()
        ):
            raise CommandError(
                "This database holds the sandbox, and COMPLYCUBE_API_KEY is set. Sandbox and real data "
                "do not mix: delete db.sqlite3, or set DATABASE_URL to a database of its own."
            )
        self.stdout.write("Preparing the database …")
        call_command("migrate", verbosity=0)
        if _has_sandbox():
            call_command("load_sandbox", stdout=self.stdout)
        return create_users()

    def _refresh(self, port: int, *, stay_up: bool) -> None:
        source = "the sandbox" if _has_sandbox() else "ComplyCube"
        if not _has_sandbox():
            self.stdout.write(where_the_key_goes())
        self.stdout.write(f"Refreshing from {source} …")
        self.stdout.flush()
        # A process of its own, as cron would start it: it talks to the site over HTTP.
        returncode = run_manage("refresh_workflow_sessions", port=port)
        if returncode == 1 and stay_up:
            self.stderr.write("Some sessions failed; the rest is there.")
        elif returncode:
            raise CommandError(
                f"The refresh ended with exit code {returncode}.", returncode=returncode
            )

    def _show(
        self, url: str, passwords: dict[str, str], live_minutes: float, stay_up: bool
    ) -> None:
        width = max(map(len, passwords))
        lines = [
            "",
            f"  The admin:  {url}/admin/complycube_sessions/workflowsession/",
            *(f"  {name:<{width}}    password {password}" for name, password in passwords.items()),
            "",
        ]
        if live_minutes:
            lines += [
                f"For {live_minutes:g} minutes the first sessions of the list move by themselves.",
                "",
            ]
        lines.append(
            "Ctrl-C stops the site." if stay_up else "Start it with: python manage.py demo"
        )
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def where_the_key_goes() -> str:
    """Return a line for those who typed a key: with it, the demo asks the real API."""
    account = get_account()
    host = account.host
    if account.base_url == DEFAULT_BASE_URL:
        host = f"the real API, {host}; set COMPLYCUBE_BASE_URL for another address"
    return f"COMPLYCUBE_API_KEY is set, so there is no sandbox: the key goes to {host}."


def _has_sandbox() -> bool:
    return apps.is_installed("project.sandbox")


@contextlib.contextmanager
def _live(url: str, seconds: float) -> Iterator[None]:
    """Let people walk through the sandbox meanwhile, for so many seconds at most."""
    secrets = webhook_secrets("default")
    if not seconds or not secrets:
        yield
        return
    # A model of an app that is installed only where there is a sandbox.
    from project.sandbox.live import LiveSandbox

    live = LiveSandbox(_receiver(url), secrets[0], seconds=seconds)
    live.start()
    try:
        yield
    finally:
        live.stop()


def _register_receiver(url: str) -> None:
    """Let the sandbox tell the site of what is changed in it by its API."""
    secrets = webhook_secrets("default")
    if not _has_sandbox() or not secrets:
        return
    # A model of an app that is installed only where there is a sandbox.
    from project.sandbox.loading import register_receiver

    register_receiver(_receiver(url), secrets[0])


def _receiver(url: str) -> str:
    return url + reverse("complycube_sessions:webhook", args=["default"])


def _default_port() -> int:
    port: int = getattr(settings, "DEMO_DEFAULT_PORT", 8000)
    return port


def _noted(port: int) -> contextlib.AbstractContextManager[None]:
    """Let commands beside the demo find its sandbox, which only a demo without a real key has."""
    path = getattr(settings, "DEMO_PORT_FILE", None)
    return noted_port(path, port) if path and _has_sandbox() else contextlib.nullcontext()


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """
    Let SIGTERM end the demo as Ctrl-C does, so that its server never outlives it.

    SIGINT too: a shell starts its background jobs with that one ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
