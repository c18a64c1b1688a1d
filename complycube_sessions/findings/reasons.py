"""Why a check is not clear, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.utils.functional import Promise, lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.findings.analyses import Finding, findings_of, listed, sentence
from complycube_sessions.findings.labels import label_of
from complycube_sessions.findings.matches import Match, Matches, matches_of
from complycube_sessions.findings.meanings import FAILED, check_meaning
from complycube_sessions.findings.sentences import GRAVITY, REJECTIONS
from complycube_sessions.findings.values import score_text, short_text

MAX_REASONS: Final = 50
MAX_LENGTH: Final = 300
MATCHES_NAMED: Final = 10
# The lists of a screening, each of which has an outcome.
_LISTS: Final = frozenset({"pep", "watchlist", "adverseMedia", "otherLists"})
# A standard screening does not include these, which is no failure.
_EXTENSIVE_ONLY: Final = frozenset({"adverseMedia", "otherLists"})
# The order: reasons about the whole check, then undecided ones, then the worst.
_WHOLE, _UNDECIDED, _SETTLED, _REST = 0, 1, 8, 9
_RANKS: Final = {"refused": 2, "failed": 2, "attention": 3, "unknown": 4, "none": 5}
_OTHER_RANK: Final = 6


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a sentence in the reader's language, its tone, and its position in the order."""

    text: str | Promise
    tone: str
    order: tuple[int, int]

    def __str__(self) -> str:
        return str(self.text)


def reasons(
    check_type: str, outcome: str, result: Any, *, status: str = "complete"
) -> tuple[Reason, ...]:
    """
    Return why a check is not clear, worst first; reasons that still have to be decided precede the others.

    A check that is not clear always has a reason; a clear check only has one if its breakdown contains values
    that are not clear. Reasons contain personal data from the result. The result may have any shape.

    Args:
        check_type: The vendor's word, which may be unknown.
        outcome: The vendor's word, which may be unknown, or ``""``.
        result: The ``result`` of the check, of any shape; empty or None if none is stored.
        status: The status of the check.

    Returns:
        At most 50, each of at most 300 characters.
    """
    look = check_meaning(outcome, status)
    matches = matches_of(result)
    found = [
        *_of_the_whole(outcome, status, matches),
        *_refusals(result),
        *_of_matches(check_type, outcome, matches, list(findings_of(_breakdown(result)))),
    ]
    if look.tone in {"attention", "refused"}:
        found += _risk(result)
    if not look.is_clear and not found:
        found.append(_without_cause(str(outcome), bool(result)))
    return _bounded(sorted(found, key=lambda reason: reason.order))


def _bounded(found: list[Reason]) -> tuple[Reason, ...]:
    """Return reasons without duplicates; if there are too many, the last one says that there are more."""
    unique: dict[str, Reason] = {}
    for reason in found:
        unique.setdefault(str(reason), reason)
        if len(unique) > MAX_REASONS:
            more = gettext_lazy("More is not clear; the breakdown shows it")
            kept = list(unique.values())[: MAX_REASONS - 1]
            return (*kept, Reason(more, "attention", (_REST, 0)))
    return tuple(unique.values())


def _reason(make: Callable[[], str], tone: str, rank: int, place: int = 0) -> Reason:
    return Reason(_when_read(make), tone, (rank, place))


def _write(make: Callable[[], str]) -> str:
    return short_text(make(), MAX_LENGTH)


# Sentences are built when they are read, in the reader's language.
_when_read: Final = lazy(_write, str)


def _breakdown(result: Any) -> Any:
    """Return the breakdown of a result, or the rest of the result if it has none."""
    if not isinstance(result, dict):
        return result
    breakdown = result.get("breakdown")
    return breakdown or {key: value for key, value in result.items() if key != "outcome"}


def _of_the_whole(outcome: str, status: str, matches: Matches) -> Iterator[Reason]:
    """Yield the reasons that status and outcome alone give, if they are specific."""
    look = check_meaning(outcome, status)
    if look is FAILED or look.tone in {"waiting", "unprocessed"}:
        yield Reason(look.note, look.tone, (_WHOLE, 0))
    elif look.tone == "unknown":
        text = partial(_named, gettext_lazy("Unknown outcome “%(word)s”, not approved"), outcome)
        yield _reason(text, look.tone, _WHOLE)
    elif outcome == "rejected":
        yield Reason(gettext_lazy("Rejected by a reviewer at ComplyCube"), look.tone, (_WHOLE, 0))
    elif outcome == "match_confirmed" and not matches.count("is_confirmed"):
        yield Reason(gettext_lazy("A match was confirmed at ComplyCube"), look.tone, (_WHOLE, 0))


def _named(text: str | Promise, word: str) -> str:
    return str(text) % {"word": short_text(word, 60)}


def _refusals(result: Any) -> Iterator[Reason]:
    """Yield the reasons why a person refused a document."""
    words = result.get("rejectionReasons") if isinstance(result, dict) else None
    if words is None and isinstance(result, dict) and isinstance(result.get("validation"), dict):
        words = result["validation"].get("rejectionReasons")
    for word in words[:20] if isinstance(words, list) else ():
        if isinstance(word, str) and word:
            text = REJECTIONS.get(word)
            named = partial(_named, gettext_lazy("Refused by a reviewer: “%(word)s”"), word)
            yield Reason(text or _when_read(named), "refused", (_WHOLE, 1))


def _of_matches(
    check_type: str, outcome: str, matches: Matches, findings: list[Finding]
) -> Iterator[Reason]:
    """Yield the matches and lists of a screening, then the other findings."""
    flagged: list[str | Promise] = []
    unscreened: list[Finding] = []
    for finding in findings:
        tone = finding.meaning.tone
        if tone == "unprocessed" and outcome == "clear":
            continue
        if not _is_list(finding) or tone not in {"attention", "unprocessed"}:
            yield _of_finding(finding)
        elif tone == "attention":
            flagged.append(label_of(finding.key, finding.path[-2]))
        else:
            unscreened.append(finding)
    if matches.rows:
        yield from _match_reasons(matches, flagged, is_clear=outcome == "clear")
    elif flagged:
        yield _reason(partial(_on_lists, flagged), "attention", _UNDECIDED)
    yield from _of_unscreened(check_type, unscreened)


def _of_unscreened(check_type: str, findings: list[Finding]) -> Iterator[Reason]:
    """Yield the lists that were not screened, and separately the lists that this check does not include."""
    beyond = _EXTENSIVE_ONLY if check_type == "standard_screening_check" else frozenset()
    counts = Counter(finding.path[-2] for finding in findings)
    missed: list[str | Promise] = []
    outside: list[str | Promise] = []
    for finding in findings:
        group = finding.path[-2]
        is_whole = counts[group] == len(finding.beside)
        named = label_of(group) if is_whole else label_of(finding.key, group)
        (outside if group in beyond else missed).append(named)
    if missed:
        text = gettext_lazy("Not screened: %(lists)s")
        yield _reason(partial(_unscreened, text, missed), "unprocessed", _OTHER_RANK)
    if outside:
        text = gettext_lazy("Not part of this screening: %(lists)s")
        yield _reason(partial(_unscreened, text, outside), "none", _SETTLED)


def _is_list(finding: Finding) -> bool:
    return len(finding.path) > 1 and finding.path[-2] in _LISTS


def _of_finding(finding: Finding) -> Reason:
    tone = finding.meaning.tone
    return _reason(partial(sentence, finding), tone, _RANKS.get(tone, _OTHER_RANK), finding.gravity)


def _match_reasons(
    matches: Matches, flagged: list[str | Promise], *, is_clear: bool
) -> Iterator[Reason]:
    """Yield the number of matches, and each match that is not dismissed."""
    undecided, confirmed = matches.count("is_undecided"), matches.count("is_confirmed")
    if is_clear and not undecided and not confirmed:
        return
    rank = _UNDECIDED if undecided else _RANKS["refused"] if confirmed else _SETTLED
    tone = "refused" if confirmed else "attention" if undecided else "dismissed"
    yield _reason(partial(_counted, matches, flagged), tone, rank)
    open_matches = [match for match in matches.rows if not match.is_dismissed]
    for place, match in enumerate(open_matches[:MATCHES_NAMED], start=1):
        rank = _UNDECIDED if match.is_undecided else _RANKS["refused"]
        yield _reason(partial(_one_match, match), match.decision.tone, rank, place)


def _counted(matches: Matches, flagged: list[str | Promise]) -> str:
    total = len(matches.rows) + matches.left_out
    names = flagged or [name for match in matches.rows for name in match.lists]
    text = ngettext("%(count)d possible match", "%(count)d possible matches", total)
    text = text % {"count": total}
    if names:
        text = _("%(matches)s: %(lists)s") % {"matches": text, "lists": listed(names)}
    parts = [
        pattern % {"count": count}
        for pattern, count in (
            (_("%(count)d undecided"), matches.count("is_undecided") + matches.left_out),
            (_("%(count)d confirmed"), matches.count("is_confirmed")),
            (_("%(count)d dismissed"), matches.count("is_dismissed")),
        )
        if count
    ]
    return f"{text} ({', '.join(parts)})"


def _one_match(match: Match) -> str:
    name = match.name or match.id or _("no name")
    score = _("match score %(score)s") % {"score": match.score} if match.score else ""
    parts = [part for part in (score, match.born, match.source) if part]
    text = f"{match.decision.label}: {short_text(name, 80)}"
    return f"{text} ({', '.join(short_text(part, 60) for part in parts)})" if parts else text


def _on_lists(flagged: list[str | Promise]) -> str:
    return _("Possible matches: %(lists)s") % {"lists": listed(flagged)}


def _unscreened(text: str | Promise, names: list[str | Promise]) -> str:
    return str(text) % {"lists": listed(names)}


def _risk(result: Any) -> Iterator[Reason]:
    """Yield the risk level of an email address or a phone number."""
    breakdown = _breakdown(result)
    group = breakdown.get("riskAnalysis") if isinstance(breakdown, dict) else None
    for place in (breakdown, group):
        level = place.get("riskLevel") if isinstance(place, dict) else None
        if score_text(level):
            text = partial(_level, level)
            yield _reason(text, "attention", _RANKS["attention"], len(GRAVITY) + 1)
            return


def _level(level: Any) -> str:
    return _("Risk level: %(score)s") % {"score": score_text(level)}


def _without_cause(outcome: str, has_result: bool) -> Reason:
    """Return the reason for a check that is not clear without any known cause."""
    if not outcome:
        return Reason(gettext_lazy("ComplyCube gave no outcome"), "none", (_WHOLE, 0))
    text = (
        gettext_lazy("Outcome “%(word)s”, for which the result names no cause")
        if has_result
        else gettext_lazy("Outcome “%(word)s”, of which no details are stored")
    )
    look = check_meaning(outcome, "complete")
    return _reason(lambda: _named(text, str(look.label)), look.tone, _WHOLE)
