"""JSON of any shape as folded branches; what is found in it and how much of it says ``findings/tree.py``."""

from __future__ import annotations

from typing import Any, Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.admin.display import badge, folded
from complycube_sessions.findings.meanings import NOT_CLEAR
from complycube_sessions.findings.tree import Bounds, Node, build

MAX_TEXT: Final = 20_000


def tree(value: Any, *, open_levels: int = 0, verdicts: bool = False) -> SafeString:
    """
    Return a value as nested lists.

    Args:
        value: Anything that ``json.loads`` returns.
        open_levels: How many levels are unfolded from the start.
        verdicts: Label the keys in words and mark outcomes, and unfold and mark every branch that holds
            one that is not clear.
    """
    bounds = Bounds()
    parts: list[str] = []
    _write(build(value, bounds, verdicts=verdicts), parts, open_levels)
    if bounds.left_out:
        rest = ngettext(
            "%(count)d more value is not shown.",
            "%(count)d more values are not shown.",
            bounds.left_out,
        ) % {"count": bounds.left_out}
        parts.append(f'<p class="ccs-quiet">{escape(rest)}</p>')
    return mark_safe(f'<div class="ccs-treebox">{"".join(parts)}</div>')  # noqa: S308 - every part was escaped when it was written


def _write(nodes: list[Node], parts: list[str], open_levels: int) -> None:
    parts.append('<ul class="ccs-tree">')
    for node in nodes:
        concern = ' class="ccs-concern"' if node.concern else ""
        key = _key(node)
        if node.children:
            opened = " open" if node.concern or open_levels > 0 else ""
            mark = badge(NOT_CLEAR) if node.concern else ""
            size = f'<span class="ccs-quiet">{escape(node.text)}</span>'
            parts.append(f"<li{concern}><details{opened}><summary>{key} {size} {mark}</summary>")
            _write(node.children, parts, open_levels - 1)
            parts.append("</details></li>")
        elif node.meaning is not None:
            parts.append(f"<li{concern}>{key} {badge(node.meaning)}</li>")
        else:
            value = folded(_cut(node.text), f"ccs-value ccs-kind-{node.kind}")
            parts.append(f"<li>{key} {value}</li>")
    parts.append("</ul>")


def _key(node: Node) -> str:
    """Return the label of a node, with the vendor's key where that is another text."""
    if not node.label:
        return ""
    title = f' title="{escape(node.key)}"' if node.label != node.key else ""
    return f'<bdi class="ccs-key"{title}>{escape(node.label)}</bdi>'


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    cut = _("… (%(count)d more characters)") % {"count": len(text) - MAX_TEXT}
    return text[:MAX_TEXT] + cut
