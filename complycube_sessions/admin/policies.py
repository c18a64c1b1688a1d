"""Tasks, policies and assurance: the keys that such objects commonly have, and the rest as a tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin.display import Appearance, moment, outcome_appearance
from complycube_sessions.admin.tree import tree

_TITLES: Final = ("name", "title", "displayName", "label", "policyName", "policy", "taskName")
_IDS: Final = ("id", "policyId", "taskId", "task_id", "key")
_OUTCOMES: Final = ("outcome", "result", "verdict", "decision", "assurance")
_TYPES: Final = ("type", "kind")
_TIMES: Final = {
    "createdAt": gettext_lazy("created"),
    "startedAt": gettext_lazy("started"),
    "completedAt": gettext_lazy("completed"),
    "updatedAt": gettext_lazy("updated"),
    "timestamp": gettext_lazy("time"),
    "date": gettext_lazy("date"),
}
_MAX_ITEMS: Final = 200


@dataclass
class Item:
    """One object of a list whose shape is not documented."""

    title: str
    item_id: str = ""
    type: str = ""
    status: str = ""
    outcome: str = ""
    times: list[tuple[str, datetime]] = field(default_factory=list)
    rest: dict[str, Any] | list[Any] = field(default_factory=dict)

    @property
    def look(self) -> Appearance | None:
        """How its outcome looks, or None when it names none."""
        return outcome_appearance(self.outcome) if self.outcome else None

    @property
    def when(self) -> list[tuple[str, SafeString | str]]:
        """Its times as they are shown."""
        return [(key, moment(when)) for key, when in self.times]

    @property
    def details(self) -> SafeString | str:
        """What was not recognised, as a tree."""
        return tree(self.rest, verdicts=True) if self.rest else ""


@dataclass
class Policy:
    """A policy with what the vendor says about how well it was kept."""

    policy: Item
    assurance: list[Item]


def items(value: Any) -> list[Item]:
    """Return the objects of a list in their order, at most 200; anything else is one object."""
    if value in (None, "", [], {}):
        return []
    entries = value if isinstance(value, list) else [value]
    shown = [_item(entry, number) for number, entry in enumerate(entries[:_MAX_ITEMS], start=1)]
    if len(entries) > _MAX_ITEMS:
        more = _("%(count)d more are not shown") % {"count": len(entries) - _MAX_ITEMS}
        shown.append(Item(title=more))
    return shown


def policies(policies_value: Any, assurance_value: Any) -> list[Policy]:
    """Return each policy with the assurance that names it; assurance without a policy comes last."""
    rest = items(assurance_value)
    found = []
    for policy in items(policies_value):
        names = {policy.item_id, policy.title} - {""}
        mine = [entry for entry in rest if {entry.item_id, entry.title} & names]
        rest = [entry for entry in rest if entry not in mine]
        found.append(Policy(policy, mine))
    return found + [Policy(entry, [entry]) for entry in rest]


def _item(entry: Any, number: int) -> Item:
    unnamed = _("No. %(number)d") % {"number": number}
    if not isinstance(entry, Mapping):
        if isinstance(entry, str) and entry:
            return Item(title=entry)
        return Item(title=unnamed, rest=[entry])
    rest = {str(key): value for key, value in entry.items()}
    title = _take(rest, _TITLES)
    item_id = _take(rest, _IDS)
    return Item(
        title=title or item_id or unnamed,
        item_id=item_id,
        type=_take(rest, _TYPES),
        status=_take(rest, ("status", "state")),
        outcome=_take(rest, _OUTCOMES),
        times=_take_times(rest),
        rest=rest,
    )


def _take(rest: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Take the first of these keys that holds a short text or a number out of the rest."""
    for key in keys:
        value = rest.get(key)
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            continue
        if len(str(value)) <= 500:
            del rest[key]
            return str(value)
    return ""


def _take_times(rest: dict[str, Any]) -> list[tuple[str, datetime]]:
    times = []
    for key, label in _TIMES.items():
        value = rest.get(key)
        when = _time(value) if isinstance(value, str) else None
        if when is not None:
            del rest[key]
            times.append((str(label), when))
    return times


def _time(text: str) -> datetime | None:
    if len(text) > 64:
        return None
    try:
        when = parse_datetime(text)
    except ValueError:
        return None
    if when is None:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
