"""Tasks, policies and assurance, whose shape is undocumented: common keys are recognised, the rest is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.findings.labels import word_in_words
from complycube_sessions.findings.meanings import Meaning, Place, meaning
from complycube_sessions.findings.values import time_of

_TITLES: Final = ("name", "title", "displayName", "label", "policyName", "policy", "taskName")
_IDS: Final = ("id", "policyId", "taskId", "task_id", "key")
_OUTCOMES: Final = ("outcome", "result", "verdict", "decision", "assurance")
_TYPES: Final = ("subType", "type", "kind")
_TIMES: Final = {
    "createdAt": gettext_lazy("created"),
    "startedAt": gettext_lazy("started"),
    "completedAt": gettext_lazy("completed"),
    "updatedAt": gettext_lazy("updated"),
    "timestamp": gettext_lazy("time"),
    "date": gettext_lazy("date"),
}
_STATUSES: Final = {
    "pending": gettext_lazy("Pending"),
    "started": gettext_lazy("Started"),
    "processing": gettext_lazy("Processing"),
    "complete": gettext_lazy("Complete"),
    "failed": gettext_lazy("Failed"),
}
_MAX_ITEMS: Final = 200
_MAX_TEXT: Final = 500


@dataclass
class Item:
    """One object of a list whose shape is undocumented."""

    title: str
    item_id: str = ""
    type: str = ""
    status: str = ""
    outcome: str = ""
    times: list[tuple[str, datetime]] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    rest: dict[str, Any] | list[Any] = field(default_factory=dict)

    @property
    def meaning(self) -> Meaning | None:
        """The meaning of its outcome, or of a status that is no stage of processing; None if it has neither."""
        word = self.outcome or ("" if self.status in _STATUSES else self.status)
        return meaning(word, Place.POLICY) if word else None

    @property
    def status_label(self) -> str | Promise:
        """Its status in words."""
        return _STATUSES.get(self.status) or word_in_words(self.status)

    @property
    def type_label(self) -> str:
        """Its type in words."""
        return word_in_words(self.type)


@dataclass
class Policy:
    """A policy with its assurance."""

    policy: Item
    assurance: list[Item]


def items(value: Any) -> list[Item]:
    """Return the objects of a list in order, at most 200; any other value counts as one object."""
    if value in (None, "", [], {}):
        return []
    entries = value if isinstance(value, list) else [value]
    shown = [_item(entry, number) for number, entry in enumerate(entries[:_MAX_ITEMS], start=1)]
    if len(entries) > _MAX_ITEMS:
        more = _("%(count)d more are not shown") % {"count": len(entries) - _MAX_ITEMS}
        shown.append(Item(title=more))
    return shown


def policies(policies_value: Any, assurance_value: Any) -> list[Policy]:
    """Return each policy with the assurance that names it, then assurance without a policy."""
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
    if not isinstance(entry, dict):
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
        facts=_take_facts(rest),
        rest=rest,
    )


def _take(rest: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Remove the first of these keys that holds a short text or a number from ``rest``; return its text."""
    for key in keys:
        value = rest.get(key)
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            continue
        text = str(value) if isinstance(value, str) or abs(value) < 10**_MAX_TEXT else ""
        if 0 < len(text) <= _MAX_TEXT:
            del rest[key]
            return text
    return ""


def _take_times(rest: dict[str, Any]) -> list[tuple[str, datetime]]:
    times = []
    for key, label in _TIMES.items():
        when = time_of(rest.get(key))
        if when is not None:
            del rest[key]
            times.append((str(label), when))
    return times


def _take_facts(rest: dict[str, Any]) -> list[str]:
    """Remove facts that a few words express better than a tree from ``rest``; return them as texts."""
    facts = []
    version, enabled, checks = (rest.get(key) for key in ("version", "enabled", "checks"))
    if type(version) is int and abs(version) < 10**9:
        facts.append(_("Version %(number)d") % {"number": version})
        del rest["version"]
    if isinstance(enabled, bool):
        # Only mention it if it is not enabled.
        facts += [] if enabled else [_("Not enabled")]
        del rest["enabled"]
    if isinstance(checks, list) and checks and all(isinstance(check, str) for check in checks):
        text = ngettext("Based on %(count)d check", "Based on %(count)d checks", len(checks))
        facts.append(text % {"count": len(checks)})
        del rest["checks"]
    return facts
