"""Servers on the loopback address that answer as nobody should, and repeat whatever key they were sent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("self_signed.pem")


@dataclass
class Hostile:
    """
    One answer for every request.

    ``{key}`` in a header or in the body becomes the key that the request brought.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    url: str = ""
    keys_seen: list[str | None] = field(default_factory=list)


@contextmanager
def serving(hostile: Hostile, *, tls: bool = False) -> Iterator[Hostile]:
    """Serve the answer on a free port, over TLS with a certificate that nobody signed if asked to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = self.headers.get("Authorization")
            hostile.keys_seen.append(key)
            body = hostile.body.replace("{key}", key or "").encode()
            self.send_response_only(hostile.status)
            for name, value in hostile.headers.items():
                self.send_header(name, value.replace("{key}", key or ""))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Stay silent when a client leaves because it does not trust the certificate."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    hostile.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield hostile
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
