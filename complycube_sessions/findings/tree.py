"""
JSON of any shape as a tree of labelled nodes, in which values that are not clear are marked.

No shape is assumed: verdicts (``clear``, ``attention`` …) are found at any place, and the tree is bounded in
depth, width and text. The page decides how to render it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.findings.labels import label_of
from complycube_sessions.findings.meanings import (
    Meaning,
    Place,
    is_outcome,
    meaning,
    unknown_outcome,
)
from complycube_sessions.findings.values import (
    likeness_text,
    score_text,
    short_text,
    structured_date,
)

VERDICT_KEYS: Final = frozenset({"outcome", "verdict", "decision"})
MATCHES: Final = "matches"
VALIDATION: Final = "validation"
_SCORE: Final = re.compile(r"score|similarity|riskLevel|\w*Score")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_]{1,63}")


@dataclass(slots=True)
class Bounds:
    """
    The limits for all trees that are built with the same object.

    At most ``longest`` characters of a text count, as the page cuts it there.
    """

    nodes: int = 5_000
    text: int = 10_000_000
    longest: int = 20_000
    depth: int = 100
    left_out: int = 0


@dataclass(slots=True)
class Node:
    """One value of a tree."""

    key: str
    label: str | Promise
    text: str = ""
    kind: str = "text"
    meaning: Meaning | None = None
    # Whether this node or one below it is not clear.
    concern: bool = False
    # Whether it is a possible match that is undecided or a hit.
    is_open_match: bool = False
    children: list[Node] = field(default_factory=list)


def build(value: Any, bounds: Bounds, *, verdicts: bool = False) -> list[Node]:
    """
    Return a value as nodes.

    Args:
        value: Anything that ``json.loads`` returns.
        bounds: The limits; values that exceed them are counted there.
        verdicts: Whether to find the verdicts in it, and label the keys in words.
    """
    builder = _Builder(bounds, verdicts)
    return builder.children(value, 0) if is_branch(value) else [builder.node("", value, 0)]


def verdict_of(key: str, value: Any, *, among_verdicts: bool) -> Meaning | None:
    """
    Return the meaning of a value as a verdict, or None if it is not a verdict.

    Args:
        key: Its key; any value under a key such as ``outcome`` is a verdict.
        value: A value that is no branch.
        among_verdicts: Whether its siblings are verdicts, so that an unknown word is one too.
    """
    if is_outcome(value):
        return meaning(value, Place.ANALYSIS)
    is_verdict_key = key in VERDICT_KEYS
    if (is_verdict_key or among_verdicts) and value in (None, "", [], {}):
        return meaning("", Place.ANALYSIS)
    is_word = among_verdicts and isinstance(value, str) and _WORD.fullmatch(value)
    if is_verdict_key or is_word:
        return unknown_outcome(short_text(value, 60) or "?")
    return None


def match_meaning(match: Any) -> Meaning:
    """Return the decision on a possible match; any value that is no decision means undecided."""
    word = match.get(VALIDATION) if isinstance(match, dict) else None
    if isinstance(word, dict):
        word = word.get("outcome")
    return meaning(word if isinstance(word, str) else "", Place.MATCH)


def holds_verdicts(value: Any) -> bool:
    """Return whether a branch lists outcomes by name, so that an unknown word in it is one too."""
    return isinstance(value, dict) and any(
        is_outcome(item) for key, item in value.items() if key not in VERDICT_KEYS
    )


def is_branch(value: Any) -> bool:
    """Return whether a value contains other values."""
    return isinstance(value, (dict, list, tuple)) and bool(value)


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a branch; the keys of a list are numbers from 1."""
    if isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    else:
        yield from ((str(number), item) for number, item in enumerate(value, start=1))


class _Builder:
    """Turn a value into nodes within bounds."""

    def __init__(self, bounds: Bounds, verdicts: bool) -> None:
        self.bounds = bounds
        self.verdicts = verdicts

    def children(self, value: Any, depth: int, key: str = "") -> list[Node]:
        nodes = []
        among = self.verdicts and holds_verdicts(value)
        is_numbered = not isinstance(value, dict)
        for name, item in entries(value):
            if self.bounds.nodes <= 0 or self.bounds.text <= 0:
                self.bounds.left_out += 1
                continue
            self.bounds.nodes -= 1
            node = self.node(name, item, depth, group=key, among_verdicts=among)
            if is_numbered:
                node.label = _numbered(name, item)
                if self.verdicts and key == MATCHES:
                    _mark_match(node, item)
            nodes.append(node)
        return nodes

    def node(
        self, key: str, value: Any, depth: int, *, group: str = "", among_verdicts: bool = False
    ) -> Node:
        label = label_of(key, group) if self.verdicts else key
        node = Node(key, label)
        if date := structured_date(value):
            node.text, node.kind = date, "date"
        elif not is_branch(value):
            self._fill_leaf(node, value, among_verdicts)
        elif depth >= self.bounds.depth:
            size = _size(value)
            node.text = _("%(size)s, nested too deeply to be shown") % {"size": size}
            self.bounds.left_out += 1
        else:
            node.text, node.kind = _size(value), "branch"
            node.children = self.children(value, depth + 1, key)
            node.concern = any(child.concern for child in node.children)
        self.bounds.text -= min(len(node.text), self.bounds.longest) + len(key)
        return node

    def _fill_leaf(self, node: Node, value: Any, among_verdicts: bool) -> None:
        node.text, node.kind = _text(value), _kind(value)
        if not self.verdicts:
            return
        if isinstance(value, bool):
            node.text = _("yes") if value else _("no")
        node.meaning = verdict_of(node.key, value, among_verdicts=among_verdicts)
        if node.meaning is not None:
            node.kind = "verdict"
            node.concern = not node.meaning.is_settled
        elif _SCORE.fullmatch(node.key) and (score := _score(node.key, value)):
            node.text = score


def _mark_match(node: Node, match: Any) -> None:
    """Mark a possible match by its decision; a dismissed match needs no attention."""
    decided = match_meaning(match)
    node.is_open_match = node.concern = not decided.is_settled
    for child in node.children:
        if child.key == VALIDATION:
            child.meaning, child.concern = decided, node.concern
            child.kind = child.kind if child.children else "verdict"


def _score(key: str, value: Any) -> str:
    return likeness_text(value) if "imilarity" in key else score_text(value)


def _numbered(number: str, item: Any) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return f"{number}. {name[:200]}" if isinstance(name, str) and name else f"{number}."


def _size(value: Any) -> str:
    count = len(value)
    return ngettext("%(count)d entry", "%(count)d entries", count) % {"count": count}


def _kind(value: Any) -> str:
    if value is None or isinstance(value, (bool, dict, list, tuple)):
        return "constant"
    return "number" if isinstance(value, (int, float)) else "text"


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    if isinstance(value, int) and value.bit_length() > 10_000:  # Python does not write it out
        return _("a number of more than %(count)d digits") % {"count": 3_000}
    return str(value)
