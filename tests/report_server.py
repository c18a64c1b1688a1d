"""
A server of reports with TLS, found under a public address that leads to this machine.

``ca.pem`` and ``server.pem`` in ``certificates`` were made for these tests, for ``files.example.test``, and
are trusted nowhere else.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CERTIFICATES = Path(__file__).parent / "certificates"
CA_BUNDLE = str(CERTIFICATES / "ca.pem")
HOST = "files.example.test"
PUBLIC = "93.184.216.34"
SECRET = "secret-of-the-address"
URL = f"https://{HOST}/reports/a.pdf?signature={SECRET}"
PDF = b"%PDF-1.4\n" + b"x" * 200_000 + b"\n%%EOF\n"

Reply = Callable[[], Iterable[bytes]]
_real_getaddrinfo = socket.getaddrinfo


def head(status: int = 200, **headers: str) -> bytes:
    """Return the beginning of an answer; ``_`` in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status} Told"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(body: bytes = PDF, status: int = 200, **headers: str) -> bytes:
    """Return an answer with its length, a PDF's unless told otherwise."""
    return head(
        status,
        **{"Content_Type": "application/pdf", "Content_Length": str(len(body)), **headers},
    ) + body  # fmt: skip


class ReportServer:
    """What the server answers, what it was sent, and which names were looked up."""

    def __init__(self) -> None:
        self.reply: Reply = lambda: [whole()]
        self.requests: list[bytes] = []
        self.tunnels: list[bytes] = []
        self.names: dict[str, list[str]] = {HOST: [PUBLIC]}
        self.lookups: list[str] = []
        # Set at the end of a test, so that no reply outlives it.
        self.ended = threading.Event()
        self.port = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(CERTIFICATES / "server.pem")

    def trickle(self, piece: bytes) -> Iterator[bytes]:
        """Send a piece again and again, for as long as the test lasts."""
        while not self.ended.wait(0.02):
            yield piece

    def getaddrinfo(self, host: str, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Lead the public address to the server, and names to the addresses that the test gives them."""
        self.lookups.append(host)
        if host == PUBLIC:
            return _real_getaddrinfo("127.0.0.1", self.port, *args, **kwargs)
        if host in self.names:
            kind = socket.SOCK_STREAM
            return [
                (socket.AF_INET6 if ":" in a else socket.AF_INET, kind, 6, "", (a, port))
                for a in self.names[host]
            ]
        return _real_getaddrinfo(host, port, *args, **kwargs)

    def handle(self, connection: socket.socket) -> None:
        """Answer one request, after opening the tunnel that a client of a proxy asks for."""
        first = connection.recv(1, socket.MSG_PEEK)
        if first == b"C":
            self.tunnels.append(_read_head(connection))
            connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
        if first == b"G":
            self._answer(connection)
            return
        with self.context.wrap_socket(connection, server_side=True) as secure:
            self._answer(secure)

    def _answer(self, connection: socket.socket) -> None:
        self.requests.append(_read_head(connection))
        for piece in self.reply():
            connection.sendall(piece)


def _read_head(connection: socket.socket) -> bytes:
    text = b""
    while not text.endswith(b"\r\n\r\n") and (piece := connection.recv(1)):
        text += piece
    return text


@contextmanager
def report_server() -> Iterator[ReportServer]:
    """Run a server until the end of the block."""
    state = ReportServer()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # The client that has had enough is what many tests are about.
            with suppress(OSError):
                state.handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
