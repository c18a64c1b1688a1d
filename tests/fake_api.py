"""
A ComplyCube API in memory, for the tests: through ``responses``, or as a real local server.

It counts requests, can be told to answer wrongly, and calls ``before_page`` so that a test can change
the data while a list is read. It shares no code with the app.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# A body of pieces is sent piece by piece, by the real server only, and ends with the connection.
Body = bytes | Iterator[bytes]
Reply = tuple[int, dict[str, str], Body]
# A status of the real server: it closes the connection without a byte.
CONNECTION_RESET = 0
KEY = "test_dummy-key-of-the-tests"
LIST_FIELDS = (
    "id",
    "clientId",
    "entityName",
    "status",
    "workflowTemplateName",
    "workflowTemplateId",
    "workflowId",
    "workflowVersion",
    "outcome",
    "createdAt",
    "updatedAt",
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


class FakeAPI:
    """Sessions and checks by id, as the vendor would show them."""

    def __init__(self, *, key: str = KEY) -> None:
        self.key = key
        self.sessions: dict[str, dict[str, Any]] = {}
        self.checks: dict[str, dict[str, Any]] = {}
        self.now = START + timedelta(days=30)
        self.requests: list[str] = []
        self.audit_logs: dict[str, dict[str, Any]] = {}
        self.posts: list[tuple[str, dict[str, Any]]] = []
        # By path: given what does the change, returns the answer, which may be lost.
        self.change_faults: dict[str, Callable[[Callable[[], Reply]], Reply]] = {}
        self.lock = threading.RLock()
        self.faults: dict[str, Callable[[int], Reply | None]] = {}
        self.fault_counts: Counter[str] = Counter()
        self.before_page: Callable[[str, int], None] = lambda path, page: None
        self.page_size_limit = 1000
        self.result_window: int | None = None  # a list shows so many items, and counts no others
        self.ignored_filters: set[str] = set()
        self.filters_without_answer: set[str] = set()
        self.unlisted: set[str] = set()
        self.date_header: Callable[[], str | None] = lambda: format_datetime(self.now, usegmt=True)
        self.limit_per_second: int | None = None
        self.refused_for_rate = 0
        self.latency_seconds = 0.0
        self.arrivals: list[float] = []
        self.on_request: Callable[[int, str], None] = lambda number, path: None
        self._recent: deque[float] = deque()

    def add_session(self, number: int, *, checks: int = 3, **fields: Any) -> str:
        """Add a complete, clear session that was created ``number`` minutes after the start."""
        session_id = f"{number:024x}"
        created = START + timedelta(minutes=number)
        related = []
        for index in range(checks):
            check_id = f"c{index}{number:022x}"
            kind = ("document_check", "identity_check", "extensive_screening_check")[index % 3]
            related.append({"checkId": check_id, "type": kind, "taskId": f"task_{index}"})
            self.checks[check_id] = {
                "id": check_id,
                "clientId": f"client{number:018x}",
                "entityName": f"Person {number}",
                "type": kind,
                "status": "complete",
                "result": {"outcome": "clear", "breakdown": {"summary": {"a": "clear"}}},
                "createdAt": iso(created),
                "updatedAt": iso(created + timedelta(seconds=50)),
            }
        self.sessions[session_id] = {
            "id": session_id,
            "clientId": f"client{number:018x}",
            "entityName": f"Person {number}",
            "status": "complete",
            "workflowTemplateId": "68566be2a37a78622f4f7be3",
            "workflowTemplateName": "AML + Document",
            "workflowId": "68566be3a37a78622f4f7be7",
            "workflowVersion": 1,
            "outcome": "clear",
            "allRelatedChecks": related,
            "createdAt": iso(created),
            "completedAt": iso(created + timedelta(minutes=1)),
            "updatedAt": iso(created + timedelta(minutes=1)),
            **fields,
        }
        return session_id

    def touch(self, session_id: str, **fields: Any) -> None:
        """Change a session now, by the vendor's clock, which moves on by a second."""
        self.now += timedelta(seconds=1)
        self.sessions[session_id] |= {"updatedAt": iso(self.now), **fields}

    def touch_check(self, check_id: str, outcome: str) -> None:
        self.now += timedelta(seconds=1)
        self.checks[check_id]["result"]["outcome"] = outcome
        self.checks[check_id]["updatedAt"] = iso(self.now)

    def fail(self, path: str, status: int, body: object = None, **headers: str) -> None:
        """Let every request for a path end in a status."""
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.faults[path] = lambda count: (status, headers, content)

    def answer(self, target: str, headers: Any) -> Reply:
        """Answer a GET of a path with its query."""
        if self.latency_seconds:
            time.sleep(self.latency_seconds)
        with self.lock:
            parts = urlsplit(target)
            path = unquote(parts.path).removeprefix("/v1")
            self.requests.append(f"{path}?{parts.query}" if parts.query else path)
            self.arrivals.append(time.monotonic())
            self.on_request(len(self.requests), path)
            status, extra, body = self._answer(path, dict(parse_qsl(parts.query)), headers)
            date = self.date_header()
            return status, {**({"Date": date} if date else {}), **extra}, body

    def change(self, target: str, headers: Any, sent: bytes) -> Reply:
        """Answer a POST, after which the object is another one."""
        path = unquote(urlsplit(target).path).removeprefix("/v1")
        body = json.loads(sent or b"{}")
        self.posts.append((path, body))
        if headers.get("Authorization") != self.key:
            return _json(401, {"type": "unauthorized", "message": "wrong"})
        if fault := self.change_faults.get(path):
            return fault(lambda: self._change(path, body))
        return self._change(path, body)

    def _change(self, path: str, body: dict[str, Any]) -> Reply:
        _, found_id, action = path.removeprefix("/").split("/")
        if action == "validate":
            self._validate(found_id, body)
            return _json(200, {"outcome": self.checks[found_id]["result"]["outcome"]})
        if self.sessions[found_id]["status"] != "started":
            return _json(400, {"type": "invalid_request", "message": "Not started"})
        status = {"complete": "processing", "cancel": "cancelled"}[action]
        self.touch(found_id, status=status)
        return 204, {}, b""

    def _validate(self, check_id: str, body: dict[str, Any]) -> None:
        outcome = {"confirmed": "clear"}.get(body["outcome"], body["outcome"])
        if "matchId" in body:
            matches = self.checks[check_id]["result"]["breakdown"]["matches"]
            match = next(match for match in matches if match["id"] == body["matchId"])
            match["validation"] = body["outcome"]
            outcome = "match_confirmed" if body["outcome"] == "confirmed" else "clear"
        self.touch_check(check_id, outcome)

    def count(self, prefix: str) -> int:
        return sum(request.startswith(prefix) for request in self.requests)

    def _answer(self, path: str, query: dict[str, str], headers: Any) -> Reply:
        if self._too_fast():
            self.refused_for_rate += 1
            return _json(429, {"type": "rate_limit_exceeded", "message": "Too many requests"})
        if headers.get("Authorization") != self.key:
            message = "The 'Authorization' header is invalid"
            return _json(401, {"type": "unauthorized", "message": message})
        if fault := self.faults.get(path):
            self.fault_counts[path] += 1
            if (reply := fault(self.fault_counts[path])) is not None:
                return reply
        if path == "/workflowSessions":
            return self._list(
                path, self.sessions, query, lambda s: {k: s[k] for k in LIST_FIELDS if k in s}
            )
        if path == "/auditLogs":
            return self._list(path, self.audit_logs, query, dict)
        if path == "/checks":
            return self._list(path, self.checks, query, _listed_check)
        kind, _, found_id = path.removeprefix("/").partition("/")
        store = {"workflowSessions": self.sessions, "checks": self.checks}.get(kind, {})
        if found_id in store:
            return _json(200, store[found_id])
        message = f"Invalid {'workflow session' if kind == 'workflowSessions' else 'check'} id '{found_id}'"
        return _json(404, {"type": "resource_not_found", "message": message})

    def _list(
        self,
        path: str,
        store: dict[str, dict[str, Any]],
        query: dict[str, str],
        shown: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> Reply:
        page, size = int(query.pop("page", 1)), int(query.pop("pageSize", 100))
        self.before_page(path, page)
        size = min(size, self.page_size_limit)
        items = sorted(
            (o for o in store.values() if o["id"] not in self.unlisted),
            key=lambda o: (o.get("createdAt", ""), o["id"]),
            reverse=True,
        )
        for name, value in query.items():
            if name in self.filters_without_answer:
                items = []
            if name in self.ignored_filters:
                continue
            items = [o for o in items if _matches(o, name, value)]
        items = items[: self.result_window]
        shown_items = [shown(o) for o in items[(page - 1) * size : page * size]]
        return _json(
            200,
            {
                "page": page,
                "pageSize": size,
                "totalItems": len(items),
                "pages": -(-len(items) // size),
                "items": shown_items,
            },
        )

    def _too_fast(self) -> bool:
        """Count the requests of any one second, however it is laid."""
        if self.limit_per_second is None:
            return False
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        self._recent.append(now)
        return len(self._recent) > self.limit_per_second


def _matches(item: dict[str, Any], name: str, value: str) -> bool:
    if name.endswith("After"):
        return str(item.get(f"{name.removesuffix('After')}At", "")) > value
    if name.endswith("Before"):
        return str(item.get(f"{name.removesuffix('Before')}At", "")) < value
    return str(item.get(name)) == value


def _listed_check(check: dict[str, Any]) -> dict[str, Any]:
    if "result" not in check:
        return check
    return {**check, "result": {"outcome": check["result"].get("outcome")}}


def _json(status: int, value: object) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    status, headers, body = reply
    if status == CONNECTION_RESET:
        handler.close_connection = True
        return
    handler.send_response_only(status)
    if isinstance(body, bytes):
        headers = {"Content-Length": str(len(body)), **headers}
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if isinstance(body, bytes):
        handler.wfile.write(body)
        # A body that is shorter than promised ends with the connection, or nobody would notice.
        handler.close_connection |= int(headers["Content-Length"]) != len(body)
        return
    handler.close_connection = True
    for piece in body:
        handler.wfile.write(piece)


@contextmanager
def served(api: FakeAPI) -> Iterator[str]:
    """Serve the API on a free loopback port and yield its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            _send(self, api.answer(self.path, self.headers))

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            _send(self, api.change(self.path, self.headers, sent))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Stay silent when a client was killed in the middle of an answer."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
