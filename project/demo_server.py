"""The demo site as a process of its own, and other commands beside it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
MANAGE: Final = Path(__file__).resolve().parent.parent / "manage.py"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 10
POLL_SECONDS: Final = 0.1
# For the first refresh, and for those who are under way at the end.
LIVE_MARGIN_SECONDS: Final = 45


class DemoServerError(Exception):
    """The site cannot be served; the message says what to do."""


class DemoServer:
    """
    The site on one port, up from the start of a ``with`` block to its end.

    Args:
        port: Where to serve.
        live_seconds: For how long its lists show by themselves what is new, once they are filled.

    Raises:
        DemoServerError: The port is taken, or the site does not answer in time.
    """

    def __init__(self, port: int, *, live_seconds: float = 0) -> None:
        _refuse_taken(port)
        self._live_seconds = live_seconds
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def __enter__(self) -> Self:
        # Its input is what keeps it up: closed by us, or by the system should we be killed.
        self._process = subprocess.Popen(  # noqa: S603 - our own command, and a port that is a number
            _manage("serve_demo", str(self.port)),
            env=_environment(self.port, live_until=self._live_until()),
            stdin=subprocess.PIPE,
        )
        try:
            self._wait_until_up()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _live_until(self) -> float:
        if not self._live_seconds:
            return 0
        return time.time() + self._live_seconds + LIVE_MARGIN_SECONDS

    def wait(self) -> None:
        """
        Return never but by an interrupt.

        Raises:
            DemoServerError: The site stopped by itself.
        """
        raise DemoServerError(f"The site stopped with exit code {self._process.wait()}.")

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DemoServerError(f"The site did not start on {self.url}; see the lines above.")
            if self._answers():
                return
            time.sleep(POLL_SECONDS)
        raise DemoServerError(f"{self.url} did not answer within {START_SECONDS} seconds.")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/admin/login/")
            return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_manage(command: str, *, port: int) -> int:
    """Run a management command against the site on a port, and return its exit code."""
    return subprocess.run(  # noqa: S603 - our own command
        _manage(command), env=_environment(port), check=False
    ).returncode


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        # As the server itself does: a port that only waits for its old connections to end is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise DemoServerError(
                f"Port {port} cannot be used ({error}). Choose another one with --port "
                "(make demo PORT=…)."
            ) from error


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(MANAGE), *arguments]


def _environment(port: int, *, live_until: float = 0) -> dict[str, str]:
    # In sandbox mode the port is part of the address of the API.
    return {**os.environ, "DEMO_PORT": str(port), "DEMO_LIVE_UNTIL": str(live_until)}
