from __future__ import annotations

import signal
import socket
import sys
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from project.demo_server import HOST


class PromptServer(ThreadedWSGIServer):
    """A server that sends the small second part of an answer at once."""

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        # Head and body are two writes; without this the body waits 40 ms for the head to be acknowledged.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


class Command(BaseCommand):
    help = "Serve the demo site until standard input ends; the demo command starts this one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("port", type=int)

    def handle(self, *, port: int, **options: Any) -> None:
        # Ctrl-C reaches the whole group of processes, and the demo command decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server = PromptServer((HOST, port), WSGIRequestHandler)
        server.set_app(get_wsgi_application())

        def stop_at_end_of_input() -> None:
            sys.stdin.buffer.read()
            server.shutdown()

        threading.Thread(target=stop_at_end_of_input, daemon=True).start()
        server.serve_forever()
        server.server_close()
