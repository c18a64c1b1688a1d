"""
What a decision is about, as text that tells itself: pure functions.

A fingerprint holds the words of a session and its checks, and how many matches of each were decided in which
way, so that of two of them the difference can be named. It holds no names and no dates.
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
    """Return what a session means now; a check that the session no longer names does not count."""
    named = {
        check.check_id: [check.type, check.status, check.outcome, *_matches(check.result)]
        for check in checks
        if check.missing_since is None
    }
    meaning = {"status": session.status, "outcome": session.outcome, "checks": named}
    return json.dumps(meaning, sort_keys=True, separators=(",", ":"))


def differences(old: str, new: str) -> list[str]:
    """
    Return in words what changed between two fingerprints, the session first.

    Returns:
        None of it where both mean the same; one sentence without details where one cannot be read; of
        more than 20 differences the first ones.
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
    # A result that was not fetched tells nothing of its matches.
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
    """Return two words of the vendor as they stand in a sentence."""
    known = dict(choices.choices)
    language = get_language() or "en"

    def word(value: str) -> str:
        label = str(known.get(value) or value or _("none"))
        return label.lower() if value in known and language.startswith("en") else label

    return {"old": word(old), "new": word(new)}


def _matches(result: Any) -> list[Any]:
    """Return how many matches were decided in which way, and a hash of which; nothing where none is told."""
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
    """Return a fingerprint's meaning, or None for text that is none: it may come from a form."""
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
