"""
JSON of any shape in, JSON out that SQLite, PostgreSQL and MariaDB can all store.

Values that a database cannot store are replaced by a mark: numbers that are too long or not finite, nesting
that is too deep, NUL and lone surrogates.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from complycube_sessions.exceptions import ComplyCubePayloadError

# MariaDB rejects JSON that is nested deeper than 31 levels; one limit keeps all mirrors equal.
MAX_DEPTH: Final = 30
# Python reads JSON with recursion, to a depth that differs between its versions.
MAX_READ_DEPTH: Final = 100
MAX_READ_BRACKETS: Final = 1_000_000
MAX_DIGITS: Final = 300
FIRST_INEXACT_FLOAT: Final = 2.0**53

# A text, whole or cut off, or a bracket outside of any text.
_JSON_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# PostgreSQL rejects NUL; no driver can encode lone surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class NumberMark(str):
    """A mark for a number that no database can store; it is stored and shown, but never compared."""

    __slots__ = ()


def load_json(body: bytes) -> Any:
    """
    Return the JSON of a body; numbers that no database can store become ``NumberMark`` text.

    Raises:
        ComplyCubePayloadError: The body is empty, not UTF-8, not JSON or nested too deeply to be read.
    """
    try:
        text = body.decode("utf-8-sig")
        try:
            return _parse_json(text)
        except RecursionError:
            return _parse_json(_without_depth(text))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        # The error's message would quote the body, which may be personal data.
        raise ComplyCubePayloadError(_not_json(body, type(error).__name__)) from None


def clean_json(value: Any, *, depth: int = 0) -> Any:
    """Return JSON that all supported databases can store; see the module docstring and ``MAX_DEPTH``."""
    if isinstance(value, str):
        return value if isinstance(value, NumberMark) else clean_text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return f"[{value}]"
        # PostgreSQL returns 1e23 as 10 ** 23, which is not the same number: it would always look changed.
        return int(value) if abs(value) >= FIRST_INEXACT_FLOAT else value
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return f"[cut: nested deeper than {MAX_DEPTH} levels]" if value else value
    if isinstance(value, dict):
        return {clean_text(str(k)): clean_json(v, depth=depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [clean_json(item, depth=depth + 1) for item in value]
    return value


def clean_text(text: str) -> str:
    """Return text without NUL and lone surrogates, each replaced by U+FFFD."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def _parse_json(text: str) -> Any:
    return json.loads(
        text, parse_int=_parse_int, parse_constant=lambda name: NumberMark(f"[{name}]")
    )


def _without_depth(text: str) -> str:
    """
    Return JSON text in which values nested deeper than ``MAX_READ_DEPTH`` are null.

    ``clean_json`` replaces them later: it puts its mark at the smaller ``MAX_DEPTH``.
    """
    if text.count("[") + text.count("{") > MAX_READ_BRACKETS:
        raise ComplyCubePayloadError("The answer is nested too deep to be read.")
    kept: list[str] = []
    depth = start = 0
    for token in _JSON_STRUCTURE.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == MAX_READ_DEPTH + 1:
                kept += [text[start : token.start()], "null"]
        elif token[0] in "]}":
            if depth == MAX_READ_DEPTH + 1:
                start = token.end()
            depth -= 1
    return "".join(kept) if depth > MAX_READ_DEPTH else "".join([*kept, text[start:]])


def _parse_int(digits: str) -> int | NumberMark:
    if len(digits) <= MAX_DIGITS:
        return int(digits)
    return NumberMark(f"[number of {len(digits)} digits]")


def _not_json(body: bytes, name: str) -> str:
    if not body.strip():
        return "The answer is empty."
    what = "HTML" if body.lstrip()[:1] == b"<" else "not JSON"
    return f"The answer is {what} ({len(body)} bytes, {name})."
