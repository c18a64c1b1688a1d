"""
JSON of any shape as a tree of folded branches.

The shapes of breakdowns, tasks and policies are not documented, so nothing here expects one: it looks
for verdicts (``clear``, ``attention`` …) wherever they are, and is bounded in depth, width and text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.admin.display import Appearance, badge, folded, outcome_appearance
from complycube_sessions.models import RelatedCheck, WorkflowSession

MAX_DEPTH: Final = 100
MAX_NODES: Final = 5_000
MAX_TEXT: Final = 20_000

_KNOWN: Final = frozenset({*RelatedCheck.Outcome.values, *WorkflowSession.Outcome.values})
_VERDICT_KEYS: Final = frozenset({"outcome", "verdict", "decision"})
_WORD: Final = re.compile(r"[a-z][a-z_]{1,63}")


@dataclass(slots=True)
class Node:
    """One value of the tree."""

    key: str
    text: str = ""
    look: Appearance | None = None
    kind: str = "text"
    # The verdict here or below it that is worst to miss: not clear.
    concern: bool = False
    children: list[Node] = field(default_factory=list)


def tree(value: Any, *, open_levels: int = 0, verdicts: bool = False) -> SafeString:
    """
    Return a value as nested lists.

    Args:
        value: Anything that ``json.loads`` returns.
        open_levels: How many levels are unfolded from the start.
        verdicts: Mark outcomes, and unfold and mark every branch that holds one that is not clear.
    """
    builder = _Builder(verdicts)
    nodes = builder.children(value, 0) if _is_branch(value) else [builder.node("", value, 0)]
    parts: list[str] = []
    _write(nodes, parts, open_levels)
    if builder.left_out:
        rest = ngettext(
            "%(count)d more value is not shown.",
            "%(count)d more values are not shown.",
            builder.left_out,
        ) % {"count": builder.left_out}
        parts.append(f'<p class="ccs-quiet">{escape(rest)}</p>')
    return mark_safe(f'<div class="ccs-treebox">{"".join(parts)}</div>')  # noqa: S308 - every part was escaped when it was written


def is_verdict(value: object) -> bool:
    """Return whether a value is one of the outcomes that are known."""
    return isinstance(value, str) and value in _KNOWN


class _Builder:
    """Turn a value into nodes, at most so many of them."""

    def __init__(self, verdicts: bool) -> None:
        self.verdicts = verdicts
        self.nodes = 0
        self.left_out = 0

    def children(self, value: Any, depth: int, *, under: str = "") -> list[Node]:
        nodes = []
        in_verdicts = self.verdicts and _holds_verdicts(value)
        for key, item in _items(value):
            if self.nodes >= MAX_NODES:
                self.left_out += 1
                continue
            self.nodes += 1
            nodes.append(self.node(key, item, depth, in_verdicts=in_verdicts, under=under))
        return nodes

    def node(
        self, key: str, value: Any, depth: int, *, in_verdicts: bool = False, under: str = ""
    ) -> Node:
        if not _is_branch(value):
            return self._leaf(key, value, in_verdicts)
        node = Node(key, text=_size(value), kind="branch")
        if depth >= MAX_DEPTH:
            node.kind, node.text = (
                "text",
                _("%(size)s, nested too deeply to be shown") % {"size": node.text},
            )
            return node
        node.children = self.children(value, depth + 1, under=key)
        # The vendor lists possible matches of a screening only when there are any.
        is_matches = self.verdicts and key == "matches" and bool(node.children)
        node.concern = is_matches or any(child.concern for child in node.children)
        return node

    def _leaf(self, key: str, value: Any, in_verdicts: bool) -> Node:
        text = _text(value)
        if not self.verdicts:
            return Node(key, text, kind=_kind(value))
        asked = in_verdicts or key in _VERDICT_KEYS
        if is_verdict(value) or (asked and isinstance(value, str) and _WORD.fullmatch(value)):
            look = outcome_appearance(value)
            return Node(key, text, look, "verdict", concern=not look.is_clear)
        if asked and (value is None or value == ""):
            return Node(key, text, outcome_appearance(""), "verdict", concern=True)
        return Node(key, text, kind=_kind(value))


def _is_branch(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and bool(value)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    else:
        yield from ((str(number), item) for number, item in enumerate(value, start=1))


def _holds_verdicts(value: Any) -> bool:
    """Tell whether a branch lists outcomes by name, so that an unknown word in it is one too."""
    return isinstance(value, Mapping) and any(
        is_verdict(item) for key, item in value.items() if key not in _VERDICT_KEYS
    )


def _size(value: Mapping[str, Any] | Sequence[Any]) -> str:
    count = len(value)
    return ngettext("%(count)d entry", "%(count)d entries", count) % {"count": count}


def _kind(value: Any) -> str:
    if value is None or isinstance(value, (bool, Mapping, list, tuple)):
        return "constant"
    return "number" if isinstance(value, (int, float)) else "text"


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    text = str(value)
    if len(text) <= MAX_TEXT:
        return text
    cut = _("… (%(count)d more characters)") % {"count": len(text) - MAX_TEXT}
    return text[:MAX_TEXT] + cut


def _write(nodes: list[Node], parts: list[str], open_levels: int) -> None:
    parts.append('<ul class="ccs-tree">')
    for node in nodes:
        concern = ' class="ccs-concern"' if node.concern else ""
        key = f'<bdi class="ccs-key">{escape(node.key)}</bdi>' if node.key else ""
        if node.children:
            opened = " open" if node.concern or open_levels > 0 else ""
            mark = badge(outcome_concern()) if node.concern else ""
            size = f'<span class="ccs-quiet">{escape(node.text)}</span>'
            parts.append(f"<li{concern}><details{opened}><summary>{key} {size} {mark}</summary>")
            _write(node.children, parts, open_levels - 1)
            parts.append("</details></li>")
        elif node.look is not None:
            parts.append(f"<li{concern}>{key} {badge(node.look)}</li>")
        else:
            value = folded(node.text, f"ccs-value ccs-kind-{node.kind}")
            parts.append(f"<li>{key} {value}</li>")
    parts.append("</ul>")


def outcome_concern() -> Appearance:
    """Return the mark of a branch in which something is not clear."""
    return Appearance("attention", "!", _("Not clear"))
