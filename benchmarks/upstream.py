"""
A stand-in for the API that is fast enough not to be what is measured.

It runs in a process of its own, keeps connections open, makes its answers from numbers instead of
holding them, and counts: every request, and every sliding second with more of them than the limit, which
it answers with 429. Run by the benchmarks; it shares no code with the app.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

KEY: Final = "test_benchmark"
TYPES: Final = ("document_check", "identity_check", "extensive_screening_check")
# One session in twenty is for a reviewer: its last check is not clear, so its breakdown is wanted.
REVIEWED_EVERY: Final = 20
_BEGAN: Final = datetime.now(UTC)


def iso(time_: datetime) -> str:
    return time_.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_.microsecond // 1000:03}Z"


class Upstream:
    """
    Sessions ``0`` to ``count - 1``, one created each minute, the last one a day ago.

    Those of one process were all created at the same times, so that its copies of a session differ by
    what has changed.

    Args:
        count: How many sessions.
        checks: How many checks each of them has.
    """

    def __init__(self, count: int, checks: int) -> None:
        self.count = count
        self.checks = checks
        self._first = _BEGAN - timedelta(days=1, minutes=count)
        self._changed: dict[int, str] = {}
        self._reviewed: set[int] = set()
        self._numbers = lru_cache(maxsize=8)(self._select)

    def change(self, sessions: int, reviewed: int) -> None:
        """Change evenly spread sessions and one check of each now; so many of these become reviewable."""
        spread = range(1, self.count, max(1, self.count // sessions))[:sessions]
        now = iso(datetime.now(UTC))
        self._changed |= dict.fromkeys(spread, now)
        self._reviewed |= set(spread[:reviewed])
        self._numbers.cache_clear()

    def session(self, number: int) -> dict[str, Any] | None:
        if not 0 <= number < self.count:
            return None
        related = [
            {"checkId": check_id(number, i), "type": TYPES[i % 3], "taskId": f"task_{i}"}
            for i in range(self.checks)
        ]
        return {
            **self.listed_session(number),
            "allRelatedChecks": related,
            "compliancePolicies": [{"id": "standard", "name": "Standard"}],
            "tasks": [{"id": f"task_{i}", "type": "verification"} for i in range(self.checks)],
            "policyAssurance": [{"id": "standard", "outcome": "clear"}],
            "completedAt": self._created(number, minutes=1),
        }

    def listed_session(self, number: int) -> dict[str, Any]:
        return {
            "id": f"{number:024x}",
            "clientId": f"c{number:023x}",
            "entityName": f"Person Number{number}",
            "status": "complete",
            "workflowTemplateName": "AML + Document",
            "workflowTemplateId": "68566be2a37a78622f4f7be3",
            "workflowId": "68566be3a37a78622f4f7be7",
            "workflowVersion": 1,
            "outcome": "attention" if self._is_reviewed(number) else "clear",
            "createdAt": self._created(number),
            "updatedAt": self._updated(number),
        }

    def check(self, number: int, index: int) -> dict[str, Any] | None:
        if not (0 <= number < self.count and 0 <= index < self.checks):
            return None
        listed = self.listed_check(number, index)
        groups = ("mrzAnalysis", "contentAnalysis", "formatAnalysis", "forensicAnalysis")
        listed["result"]["breakdown"] = {
            "extractedData": {"personDetails": {"lastName": f"Number{number}"}},
            **{group: {"breakdown": {"first": "clear", "second": "clear"}} for group in groups},
        }
        return listed

    def listed_check(self, number: int, index: int) -> dict[str, Any]:
        last = index == self.checks - 1
        return {
            "id": check_id(number, index),
            "clientId": f"c{number:023x}",
            "entityName": f"Person Number{number}",
            "type": TYPES[index % 3],
            "status": "complete",
            "result": {"outcome": "attention" if last and self._is_reviewed(number) else "clear"},
            "createdAt": self._created(number),
            "updatedAt": self._updated(number) if last else self._created(number, minutes=1),
        }

    def page(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        """Return one page of a list, newest first."""
        page, size = int(query.pop("page", "1")), int(query.pop("pageSize", "100"))
        numbers = self._numbers(tuple(sorted(query.items())))
        each = 1 if kind == "workflowSessions" else self.checks
        total = len(numbers) * each
        items = []
        for place in range((page - 1) * size, min(page * size, total)):
            number, index = numbers[place // each], place % each
            sessions = kind == "workflowSessions"
            items.append(
                self.listed_session(number) if sessions else self.listed_check(number, index)
            )
        pages = -(-total // size)
        return {"page": page, "pageSize": size, "totalItems": total, "pages": pages, "items": items}

    def _select(self, filters: tuple[tuple[str, str], ...]) -> range | list[int]:
        """Return the sessions that a list shows; a check is filtered by its session."""
        numbers: range | list[int] = range(self.count - 1, -1, -1)
        for name, value in filters:
            if name == "clientId":
                numbers = [n for n in [int(value[1:], 16)] if 0 <= n < self.count]
            elif name == "updatedAfter":
                numbers = [n for n in numbers if self._updated(n) > value]
            elif name == "createdBefore":
                numbers = [n for n in numbers if self._created(n) < value]
            else:
                numbers = []
        return numbers

    def _created(self, number: int, minutes: int = 0) -> str:
        return iso(self._first + timedelta(minutes=number + minutes))

    def _updated(self, number: int) -> str:
        return self._changed.get(number) or self._created(number, minutes=1)

    def _is_reviewed(self, number: int) -> bool:
        return number % REVIEWED_EVERY == 0 or number in self._reviewed


def check_id(number: int, index: int) -> str:
    return f"{index:04x}{number:020x}"


class Door:
    """
    Who may pass, and when: counts, limit and latency.

    Args:
        limit: Requests that any second may hold, however it is laid; 0 for any number.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.reset()

    def reset(self) -> None:
        self._recent: deque[float] = deque()
        self.requests = self.refused = 0
        self.first = self.last = 0.0
        self.most_in_a_second = 0
        self._fetched: set[str] = set()
        self.fetched_again = 0

    def count_session(self, found_id: str) -> None:
        """Count how many sessions are fetched that were fetched before."""
        self.fetched_again += found_id in self._fetched
        self._fetched.add(found_id)

    def lets_pass(self) -> bool:
        now = time.monotonic()
        self.first = self.first or now
        self.last = now
        self.requests += 1
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        self._recent.append(now)
        self.most_in_a_second = max(self.most_in_a_second, len(self._recent))
        too_many = bool(self.limit) and len(self._recent) > self.limit
        self.refused += too_many
        return not too_many

    def stats(self) -> dict[str, float]:
        return {
            "requests": self.requests,
            "refused": self.refused,
            "seconds": self.last - self.first,
            "most_in_a_second": self.most_in_a_second,
            "fetched_again": self.fetched_again,
        }


class Connection(asyncio.Protocol):
    """One kept-alive connection; a request has no body."""

    def __init__(self, upstream: Upstream, door: Door, latency_seconds: float) -> None:
        self._upstream = upstream
        self._door = door
        self._latency = latency_seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP only
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._answer(head.decode("latin-1"))

    def _answer(self, head: str) -> None:
        parts = urlsplit(head.split(" ", 2)[1])
        query = dict(parse_qsl(parts.query))
        if parts.path.startswith("/control/"):
            self._send(200, self._control(parts.path.removeprefix("/control/"), query))
        elif not self._door.lets_pass():
            self._send(429, {"type": "rate_limit_exceeded", "message": "Too many requests"})
        elif f"\r\nauthorization: {KEY}" not in f"{head.lower()}\r\n":
            self._send(401, {"type": "unauthorized", "message": "Invalid key"})
        else:
            status, body = self._resource(parts.path, query)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._send, status, body)
            else:
                self._send(status, body)

    def _control(self, what: str, query: dict[str, str]) -> dict[str, float]:
        stats = self._door.stats()
        if what == "reset":
            self._door.reset()
        elif what == "change":
            self._upstream.change(int(query["sessions"]), int(query["reviewed"]))
        return stats

    def _resource(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind, _, found_id = path.removeprefix("/v1/").partition("/")
        if not found_id:
            return 200, self._upstream.page(kind, query)
        if kind == "workflowSessions":
            self._door.count_session(found_id)
            found = self._upstream.session(int(found_id, 16))
        else:
            found = self._upstream.check(int(found_id[4:], 16), int(found_id[:4], 16))
        if found is None:
            return 404, {"type": "resource_not_found", "message": "Invalid id"}
        return 200, found

    def _send(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        head = (
            f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
            f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


@dataclass(frozen=True)
class Served:
    """The way to a running stand-in."""

    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, float]:
        return self._control("stats")

    def reset(self) -> None:
        self._control("reset")

    def change(self, sessions: int, reviewed: int) -> None:
        self._control(f"change?sessions={sessions}&reviewed={reviewed}")

    def _control(self, what: str) -> dict[str, float]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/control/{what}") as answer:
            return dict(json.loads(answer.read()))


@contextmanager
def serving(
    sessions: int, *, checks: int, latency_seconds: float = 0.0, limit: float = 0
) -> Iterator[Served]:
    """Run the stand-in in a process of its own until the block ends."""
    numbers = map(str, (sessions, checks, latency_seconds, limit))
    process = subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, __file__, *numbers], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        yield Served(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()


async def _serve(make: Callable[[], Connection]) -> None:
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", type=int)
    parser.add_argument("checks", type=int)
    parser.add_argument("latency_seconds", type=float)
    parser.add_argument("limit", type=float)
    arguments = parser.parse_args()
    upstream, door = Upstream(arguments.sessions, arguments.checks), Door(arguments.limit)
    asyncio.run(_serve(lambda: Connection(upstream, door, arguments.latency_seconds)))


if __name__ == "__main__":
    main()
