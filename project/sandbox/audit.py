"""
The audit log: who changed what. What comes by the API key has no team member.

Source:
    API reference, "Audit logs".
"""

from __future__ import annotations

import random
import secrets
from datetime import datetime
from typing import Any, Final, NamedTuple

from project.sandbox.data import Body, iso
from project.sandbox.models import SandboxAuditLog

MEMBERS: Final = ("64d1f0a2c7e4b90008a1b001", "64d1f0a2c7e4b90008a1b002")
DECIDED: Final = frozenset({"rejected", "match_confirmed"})


class Change(NamedTuple):
    """One difference between what a resource was and what it is."""

    path: tuple[str | int, ...]
    old: str
    new: str

    def as_json(self) -> Body:
        """Return it as the API shows it; what is empty is left out."""
        values = {"old": self.old, "new": self.new}
        kept = {name: value for name, value in values.items() if value}
        return {"action": "update" if self.old else "create", "path": list(self.path), **kept}


def write_entry(
    resource_type: str, resource: Body, trigger: str, changes: list[Change], now: datetime
) -> None:
    """Note what a caller with the key has done; the trigger begins with the kind of action."""
    entry = _entry(secrets.token_hex(12), resource_type, resource, trigger, now)
    _with_diff(entry, changes)
    SandboxAuditLog.from_body(entry).save(force_insert=True)


def history(session: Body, checks: list[Body]) -> list[Body]:
    """Return the entries that an invented session would have: it began, and people decided on its checks."""
    rng = random.Random(f"audit:{session['id']}")  # noqa: S311 - repeatable on purpose
    created_at = datetime.fromisoformat(session["createdAt"])
    entries = [
        _entry(_id(rng), "workflowSession", session, "createWorkflowSession", created_at),
    ]
    for check in checks:
        outcome = check.get("result", {}).get("outcome", "")
        if outcome not in DECIDED:
            continue
        at = datetime.fromisoformat(check["updatedAt"])
        entry = _entry(_id(rng), "check", check, "validateCheck", at)
        entry["memberId"] = rng.choice(MEMBERS)
        entries.append(
            _with_diff(entry, [Change(("result", "outcome"), "attention", outcome)]),
        )
    return entries


def _entry(
    entry_id: str, resource_type: str, resource: Body, trigger: str, at: datetime
) -> dict[str, Any]:
    action = trigger.removesuffix(resource_type[0].upper() + resource_type[1:])
    client_id = resource["id"] if resource_type == "client" else resource.get("clientId", "")
    return {
        "id": entry_id,
        "resourceType": resource_type,
        "resourceId": resource["id"],
        "clientId": client_id,
        "trigger": trigger,
        "action": action if action in {"create", "delete"} else "update",
        "createdAt": iso(at),
    }


def _with_diff(entry: Body, changes: list[Change]) -> Body:
    if changes:
        entry["diff"] = [change.as_json() for change in changes]
    return entry


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(96):024x}"
