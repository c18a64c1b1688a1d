"""Answers that an API should not give, each a function of the right object."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.fake_api import Reply

Source = dict[str, Any]
Fault = Callable[[Source], Reply]
JSON = {"Content-Type": "application/json"}
HTML = b"<!DOCTYPE html><html><body>Bad gateway; Person 1</body></html>"


def _status(status: int, **headers: str) -> Fault:
    body = json.dumps({"type": "some_error", "message": f"Answered {status}"}).encode()
    return lambda source: (status, {**JSON, **headers}, body)


def _body(body: bytes) -> Fault:
    return lambda source: (200, JSON, body)


def _value(value: object) -> Fault:
    return lambda source: (200, JSON, json.dumps(value).encode())


def _with(**fields: object) -> Fault:
    return lambda source: (200, JSON, json.dumps({**source, **fields}).encode())


def _with_text(name: str, json_text: str) -> Fault:
    """Put JSON text as it stands in the place of a field."""

    def reply(source: Source) -> Reply:
        body = json.dumps({**source, name: "@@@"}).replace('"@@@"', json_text)
        return 200, JSON, body.encode("utf-8", "surrogatepass")

    return reply


def _nulls(source: Source) -> Reply:
    return 200, JSON, json.dumps({**dict.fromkeys(source), "id": source["id"]}).encode()


def _only_id(source: Source) -> Reply:
    return 200, JSON, json.dumps({"id": source["id"]}).encode()


def _cut_json(source: Source) -> Reply:
    return 200, JSON, json.dumps(source).encode()[:-20]


def _wrong_types(source: Source) -> Reply:
    wrong = {name: [{"a": 1}] if isinstance(value, str) else "x" for name, value in source.items()}
    return 200, JSON, json.dumps({**wrong, "id": source["id"]}).encode()


def _nested(depth: int) -> Fault:
    return _with_text("tasks", "[" * depth + "]" * depth)


def _related(*entries: object) -> Fault:
    def reply(source: Source) -> Reply:
        related = [*source["allRelatedChecks"], *entries, *source["allRelatedChecks"]]
        return 200, JSON, json.dumps({**source, "allRelatedChecks": related}).encode()

    return reply


def _short(source: Source) -> Reply:
    """Promise a longer body than is sent; only the real server can."""
    body = json.dumps(source).encode()
    return 200, {**JSON, "Content-Length": str(len(body) + 100)}, body


def dripping(seconds: float, piece: bytes = b" ", pause: float = 0.02) -> Iterator[bytes]:
    """Send a piece now and then, for longer than anyone should wait."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield piece
        time.sleep(pause)


# Each makes its record fail, with these words in the reason.
REFUSED: dict[str, tuple[Fault, str]] = {
    "null": (_value(None), "null"),
    "list": (_value([]), "a list"),
    "text": (_value("Person 1"), "a text"),
    "number": (_value(7), "a number"),
    "boolean": (_value(True), "a boolean"),
    "html": (_body(HTML), "HTML"),
    "empty": (_body(b""), "empty"),
    "broken json": (_body(b'{"id": "'), "not JSON"),
    "cut json": (_cut_json, "not JSON"),
    "not utf-8": (_body(b'{"id": "\xff\xfe"}'), "not JSON"),
    "wrong id": (_with(id="f" * 24), "has the id"),
    "no id": (_with(id=None), "no id"),
    "id of another type": (_with(id=12), "has the id"),
    "many megabytes": (_with(tasks=["x" * 17_000_000]), "larger than"),
    "nested without measure": (_nested(1_000_001), "nested"),
    "204": (lambda source: (204, {}, b""), "204"),
    **{str(s): (_status(s), str(s)) for s in (400, 403, 413, 422, 500, 502, 503, 504, 418)},
    "redirect": (_status(302, Location="https://elsewhere.example/x"), "elsewhere.example"),
    "redirect to nowhere": (_status(307), "redirect"),
}
# Each is stored: whole where it can be, marked where not.
TOLERATED: dict[str, Fault] = {
    "nulls everywhere": _nulls,
    "missing fields": _only_id,
    "wrong types": _wrong_types,
    "impossible second": _with(completedAt="2025-01-01T14:06:91.913Z"),
    "all times impossible": _with(
        createdAt="yesterday", completedAt="2025-02-30T10:00:00Z", updatedAt=1767225600
    ),
    "year 2099": _with(completedAt="2099-01-01T00:00:00.000Z"),
    "year 0": _with(completedAt="0000-00-00T00:00:00.000Z"),
    "year 10000": _with(completedAt="10000-01-01T00:00:00.000Z"),
    "time with an offset at the end of time": _with(completedAt="9999-12-31T23:59:59-23:59"),
    "unknown words": _with(status="escalated", outcome="véry_ünknown "),
    "extra fields": _with(newField={"a": [1, None, {"b": "c"}]}, newFlag=True),
    "200 kB of text": _with(workflowDescription="é" * 200_000, entityName="ñ" * 200_000),
    "200 kB in every word": _with(
        status="s" * 200_000, outcome="o" * 200_000, clientId="c" * 200_000
    ),
    "nul": _with_text("entityName", r'"Ann\u0000a"'),
    "nul in a key": _with_text("tasks", r'[{"a\u0000b": "\u0000"}]'),
    "lone surrogate": _with_text("entityName", r'"Ann\ud800a"'),
    "lone surrogate in a key": _with_text("tasks", r'[{"a\udfff": "\ud83d"}]'),
    "whole surrogate pair": _with_text("entityName", r'"\ud83d\ude00"'),
    "nan": _with_text("workflowVersion", "NaN"),
    "infinity deep inside": _with_text("tasks", '[{"score": [-Infinity, 1e999, NaN]}]'),
    "5,000 digits": _with_text("workflowVersion", "7" * 5000),
    "5,000 digits deep inside": _with_text("tasks", "[" + "7" * 5000 + ", 0." + "3" * 5000 + "]"),
    "300 digits": _with_text("tasks", "[" + "7" * 300 + "]"),
    "huge version": _with(workflowVersion=2**64),
    "float version": _with(workflowVersion=1.5),
    "version as text": _with(workflowVersion="3"),
    "nested 2,000 deep": _nested(2000),
    "nested 2,000 objects deep": _with_text("tasks", '{"a":' * 2000 + "1" + "}" * 2000),
    "nested 200,000 deep": _nested(200_000),
    "deep with brackets in text": _with_text(
        "tasks", r'["]}\"[", ' * 2000 + "[]" + r', "\"]"]' * 2000
    ),
    "nested 32 deep": _nested(32),
    "duplicate keys": _with_text("tasks", '[{"a": 1, "a": 2}]'),
    "empty keys": _with(tasks=[{"": {"": ""}}]),
    "byte order mark": lambda source: (200, JSON, b"\xef\xbb\xbf" + json.dumps(source).encode()),
    "repeated related checks": _related(),
    "half-empty related checks": _related(
        None, [], 7, "c", {}, {"checkId": None}, {"checkId": "only-an-id"}, {"type": "x"}
    ),
    "related checks with bad ids": _related(
        {"checkId": "../../clients/1"}, {"checkId": "a/b?c#d"}, {"checkId": "x" * 500}
    ),
    "related checks of another type": _with(allRelatedChecks={"checkId": "x"}),
}
# Only a real server can answer so.
ON_THE_WIRE: dict[str, tuple[Fault, str]] = {
    "cut-off body": (_short, "no complete answer"),
    "endless slow answer": (lambda source: (200, JSON, dripping(20)), "no complete answer"),
    "endless fast answer": (
        lambda source: (200, JSON, dripping(20, b" " * 1_000_000, 0)),
        "larger than",
    ),
    "closed without a byte": (
        lambda source: (200, {**JSON, "Content-Length": "50"}, b""),
        "no complete answer",
    ),
    "gzip that is none": (
        lambda source: (200, {**JSON, "Content-Encoding": "gzip"}, b"not compressed"),
        "no complete answer",
    ),
}
