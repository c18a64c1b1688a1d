"""
Fingerprints of what a decision is based on: pure functions.

A fingerprint is readable text. It contains the words of a session and its checks, and the number of matches of
each check by decision, so that the differences between two fingerprints can be named. It contains no names and
no dates.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from complycube_sessions.models import RelatedCheck, WorkflowSession

MOST_DIFFERENCES: Final = 20
_SCREENING: Final = (RelatedCheck.Type.STANDARD_SCREENING, RelatedCheck.Type.EXTENSIVE_SCREENING)
_UNDECIDED: Final = ("", "pending", "attention")


def fingerprint(session: WorkflowSession, checks: Iterable[RelatedCheck]) -> str:
    """Return the fingerprint of a session; checks that the session no longer names do not count."""
    named = {
        check.check_id: [check.type, check.status, check.outcome, *_matches(check.result)]
        for check in checks
        if check.missing_since is None
    }
    meaning = {"status": session.status, "outcome": session.outcome, "checks": named}
    return json.dumps(meaning, sort_keys=True, separators=(",", ":"))


def differences(old: str, new: str) -> list[str]:
    """
    Return the differences between two fingerprints in words, those of the session first.

    Returns:
        An empty list if there are none; one sentence without details if a fingerprint cannot be read; at most
        20 differences.
    """
    if old == new:
        return []
    before, after = _read(old), _read(new)
    if before is None or after is None:
        return [_("The session has changed")]
    found = list(_of_session(before, after))
    checks, others = before["checks"], after["checks"]
    for check_id in sorted({*checks, *others}):
        found += _of_check(checks.get(check_id), others.get(check_id))
    return found[:MOST_DIFFERENCES]


def _of_session(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[str]:
    labels = {"outcome": WorkflowSession.Outcome, "status": WorkflowSession.Status}
    for name, sentence in (
        ("outcome", _("The outcome went from %(old)s to %(new)s")),
        ("status", _("The status went from %(old)s to %(new)s")),
    ):
        if before[name] != after[name]:
            yield sentence % _words(labels[name], before[name], after[name])


def _of_check(before: list[Any] | None, after: list[Any] | None) -> list[str]:
    if before is None or after is None:
        known = after or before or ["", "", ""]
        sentence = _("%(check)s was added") if before is None else _("%(check)s is gone")
        return [sentence % {"check": _check(known[0])}]
    check = {"check": _check(after[0])}
    found = []
    if before[2] != after[2]:
        words = _words(RelatedCheck.Outcome, before[2], after[2])
        found.append(_("%(check)s went from %(old)s to %(new)s") % (check | words))
    if before[1] != after[1] and not found:
        words = _words(RelatedCheck.Status, before[1], after[1])
        found.append(_("The status of %(check)s went from %(old)s to %(new)s") % (check | words))
    # Matches can only be compared if both results were fetched.
    if before[3:] and after[3:] and before[3:] != after[3:] and not found:
        counts = {"old": _undecided(before[3:]), "new": _undecided(after[3:])}
        found.append(
            _(
                "Matches of %(check)s were decided or added (undecided before: %(old)d, now: %(new)d)"
            )
            % (check | counts)
        )
    return found


def _check(check_type: str) -> str:
    if check_type in _SCREENING:
        return _("AML screening")
    known = dict(RelatedCheck.Type.choices)
    return str(known.get(check_type) or check_type or _("A check"))


def _words(choices: Any, old: str, new: str) -> dict[str, str]:
    """Return two words of the vendor as they are written in a sentence."""
    known = dict(choices.choices)
    language = get_language() or "en"

    def word(value: str) -> str:
        label = str(known.get(value) or value or _("none"))
        return label.lower() if value in known and language.startswith("en") else label

    return {"old": word(old), "new": word(new)}


def _matches(result: Any) -> list[Any]:
    """Return the number of matches by decision, and a hash of all decisions; empty if the result has no matches."""
    if not isinstance(result, Mapping) or not {"breakdown", "matches"} & result.keys():
        return []
    decided = sorted(
        (str(match.get("id", "")), str(match.get("validation") or ""))
        for match in _match_lists(result)
    )
    counts = Counter(decision for _id, decision in decided)
    digest = hashlib.sha256(json.dumps(decided).encode("utf-8", "replace")).hexdigest()
    return [dict(sorted(counts.items())), digest[:16]]


def _match_lists(result: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    breakdown = result.get("breakdown")
    for place in (result, breakdown if isinstance(breakdown, Mapping) else {}):
        matches = place.get("matches")
        if isinstance(matches, list):
            yield from (match for match in matches if isinstance(match, Mapping))


def _undecided(matches: list[Any]) -> int:
    counts = matches[0] if matches else {}
    return sum(counts.get(word, 0) for word in _UNDECIDED)


def _read(text: str) -> dict[str, Any] | None:
    """Parse a fingerprint; return None if it is invalid, as it may come from a form."""
    try:
        meaning = json.loads(text)
        checks = {
            str(check_id): [*map(str, words[:3]), *words[3:]]
            for check_id, words in meaning["checks"].items()
        }
        for words in checks.values():
            counts = words[3] if len(words) > 3 else {}
            if len(words) not in {3, 5} or not all(isinstance(n, int) for n in counts.values()):
                return None
        return {
            "status": str(meaning["status"]),
            "outcome": str(meaning["outcome"]),
            "checks": checks,
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
