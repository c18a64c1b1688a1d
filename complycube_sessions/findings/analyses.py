"""Finding the analyses of a breakdown that are not clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.findings.labels import label_of
from complycube_sessions.findings.meanings import NOT_CLEAR, Meaning
from complycube_sessions.findings.sentences import GRAVITY, SENTENCES
from complycube_sessions.findings.tree import (
    MATCHES,
    VERDICT_KEYS,
    entries,
    holds_verdicts,
    is_branch,
    match_meaning,
    verdict_of,
)
from complycube_sessions.findings.values import (
    likeness_text,
    score_text,
    short_text,
    structured_date,
)

MAX_NODES: Final = 5_000
MAX_DEPTH: Final = 40
PATH_SHOWN: Final = 3
_UNNAMED: Final = frozenset({"breakdown", "summary"})
_EXPIRIES: Final = frozenset({"expiry", "documentExpiry"})
_SUBJECTS: Final = ("feature", "name", "type")
_COMMENTS: Final = ("narrative", "reason", "description")
Values = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    An analysis that is not clear.

    ``path`` holds the keys that lead to it, ``beside`` the object that contains it, ``whole`` the breakdown.
    """

    path: tuple[str, ...]
    meaning: Meaning
    word: str
    beside: Values
    whole: Values

    @property
    def key(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def documented(self) -> str:
        """The key of its sentence, or ``""`` if the vendor does not document the analysis."""
        by_group = ".".join(self.path[-2:])
        return by_group if by_group in SENTENCES else self.key if self.key in SENTENCES else ""

    @property
    def gravity(self) -> int:
        """Its rank among findings of the same tone, the worst one first."""
        return GRAVITY.get(self.documented, len(GRAVITY))


def findings_of(breakdown: Any) -> Iterator[Finding]:
    """
    Yield the values of a breakdown that are not clear, in order and within bounds.

    The possible matches of a screening, which are on the first level, are not included.
    """
    if is_branch(breakdown):
        whole = breakdown if isinstance(breakdown, dict) else {}
        yield from _Walk(whole).below(breakdown, (), 0)


class _Walk:
    """A walk through a breakdown that visits a bounded number of values."""

    def __init__(self, whole: Values) -> None:
        self.whole = whole
        self.left = MAX_NODES

    def below(self, value: Any, path: tuple[str, ...], depth: int) -> Iterator[Finding]:
        among = holds_verdicts(value)
        beside = value if isinstance(value, dict) else {}
        for key, item in entries(value):
            self.left -= 1
            if self.left < 0:
                return
            # Leave out the numbers of list entries, which do not help a reader.
            here = (*path, key) if isinstance(value, dict) else path
            if key == MATCHES and is_branch(item):
                yield from self._open_matches(item, here, depth)
            elif not is_branch(item):
                verdict = verdict_of(key, item, among_verdicts=among)
                if verdict is not None and not verdict.is_settled:
                    subject = path if key in VERDICT_KEYS else here
                    yield Finding(subject, verdict, short_text(item), beside, self.whole)
            elif depth < MAX_DEPTH:
                yield from self.below(item, here, depth + 1)

    def _open_matches(self, item: Any, path: tuple[str, ...], depth: int) -> Iterator[Finding]:
        if depth and any(not match_meaning(match).is_settled for _key, match in entries(item)):
            yield Finding(path, NOT_CLEAR, "", {}, self.whole)


def sentence(finding: Finding) -> str:
    """Return a finding in words, with its score or detail if the breakdown has one."""
    text = _plain(finding)
    if finding.meaning.tone not in {"attention", "refused"}:
        return text
    if likeness := _likeness(finding):
        text = f"{text}: {likeness}"
    elif detail := _detail(finding):
        text = f"{text}: {detail}"
    comment = next((c for key in _COMMENTS if (c := short_text(finding.beside.get(key)))), "")
    return f"{text} (“{comment}”)" if comment and finding.documented else text


def label_path(path: Sequence[str]) -> str:
    """Return the end of a path in words."""
    named = [(group, key) for group, key in zip(("", *path), path, strict=False)]
    shown = [str(label_of(key, group)) for group, key in named if key not in _UNNAMED]
    return " / ".join(short_text(label, 60) for label in shown[-PATH_SHOWN:]) or _("Result")


def listed(names: Sequence[str | Promise], most: int = 5) -> str:
    """Return names as a comma-separated list, with the number of further ones."""
    unique = list(dict.fromkeys(short_text(str(name), 60) for name in names))
    shown = ", ".join(unique[:most])
    if len(unique) <= most:
        return shown
    rest = ngettext("%(count)d more", "%(count)d more", len(unique) - most)
    return f"{shown}, {rest % {'count': len(unique) - most}}"


def _plain(finding: Finding) -> str:
    tone, what = finding.meaning.tone, label_path(finding.path)
    if tone in {"attention", "refused"} and finding.documented:
        return str(SENTENCES[finding.documented])
    if tone == "unprocessed":
        return _("%(what)s: could not be checked") % {"what": what}
    if tone == "unknown":
        text = _("%(what)s: “%(word)s”, a word that ComplyCube does not document")
        return text % {"what": what, "word": short_text(finding.word, 60)}
    if tone == "none":
        return _("%(what)s: no outcome") % {"what": what}
    if tone == "refused":
        return _("%(what)s: refused") % {"what": what}
    return _("%(what)s: needs a look") % {"what": what}


def _likeness(finding: Finding) -> str:
    """Return the similarity or score that belongs to the verdict, as text."""
    beside, key = finding.beside, finding.key
    for name in ("similarity", "similarityScore"):
        if text := likeness_text(beside.get(name)):
            return text
    show = likeness_text if "imilarity" in key else score_text
    for scores in (beside, beside.get("breakdown"), finding.whole):
        if isinstance(scores, dict) and (text := show(scores.get(f"{key}Score"))):
            return text
    return score_text(beside.get("score"))


def _detail(finding: Finding) -> str:
    """Return what was examined: the expiry date of a document, the age of a face, or a feature."""
    if finding.key in _EXPIRIES:
        return structured_date(
            _at(finding.whole, "extractedData", "documentDetails", "expirationDate")
        )
    if finding.key == "ageThreshold":
        ages = finding.beside.get("estimatedAgeRange") or finding.whole.get("estimatedAgeRange")
        low, high = (short_text(_at(ages, part), 20) for part in ("low", "high"))
        return _("looks %(low)s to %(high)s") % {"low": low, "high": high} if low and high else ""
    if any(key in finding.beside for key in VERDICT_KEYS):
        return next((t for key in _SUBJECTS if (t := short_text(finding.beside.get(key), 60))), "")
    return ""


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
