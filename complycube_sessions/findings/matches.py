"""The possible matches of a screening, read from results whose shape the vendor documents only in part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.functional import Promise

from complycube_sessions.findings.labels import LABELS, word_in_words
from complycube_sessions.findings.meanings import Meaning
from complycube_sessions.findings.tree import MATCHES, VALIDATION, match_meaning
from complycube_sessions.findings.values import (
    date_text,
    is_number,
    score_text,
    short_text,
    time_of,
)

MAX_MATCHES: Final = 200
MAX_LISTS: Final = 8
_NAMES: Final = ("name", "fullName", "entityName", "matchedName")
_SCORES: Final = ("score", "matchScore", "similarityScore", "similarity")
_LISTS: Final = ("lists", "categories", "listTypes", "category")
_SOURCES: Final = ("source", "sources", "listSource", "listName")
_BIRTHS: Final = ("dateOfBirth", "dob", "birthDate", "datesOfBirth")
_DECIDERS: Final = ("validatedBy", "decidedBy", "memberId", "by")
_TIMES: Final = ("validatedAt", "decidedAt", "at", "createdAt")
_COMMENTS: Final = ("comment", "validationComment")


@dataclass(frozen=True, slots=True)
class Match:
    """One possible match; missing values are ``""``, empty or None."""

    id: str
    name: str
    score: str
    value: float
    lists: tuple[str | Promise, ...]
    born: str
    source: str
    decision: Meaning
    decided_by: str = ""
    decided_at: datetime | None = None
    comment: str = ""

    @property
    def is_dismissed(self) -> bool:
        """Whether a person decided that it is somebody else."""
        return self.decision.tone == "dismissed"

    @property
    def is_confirmed(self) -> bool:
        """Whether a person decided that it is a hit."""
        return self.decision.tone == "refused"

    @property
    def is_undecided(self) -> bool:
        """Whether it still has to be decided."""
        return not (self.is_dismissed or self.is_confirmed)


@dataclass(frozen=True, slots=True)
class Matches:
    """The possible matches of a check: undecided ones first, then hits, then dismissed ones."""

    rows: tuple[Match, ...] = ()
    left_out: int = 0

    def count(self, name: str) -> int:
        """Return the number of matches for which ``is_undecided``, ``is_confirmed`` or ``is_dismissed`` is true."""
        return sum(bool(getattr(match, name)) for match in self.rows)


def matches_of(result: Any) -> Matches:
    """
    Return the possible matches that the result of a check lists.

    Args:
        result: The ``result`` of a check, of any shape.
    """
    listed = [match for match in _listed(result) if match]
    # Sorted before they are cut off, so that dismissed matches never displace undecided ones.
    listed.sort(key=_urgency)
    rows = tuple(sorted(map(_match, listed[:MAX_MATCHES]), key=_order))
    return Matches(rows, max(0, len(listed) - MAX_MATCHES))


def _listed(result: Any) -> list[Any]:
    for part in (result.get("breakdown"), result) if isinstance(result, dict) else ():
        listed = part.get(MATCHES) if isinstance(part, dict) else None
        if isinstance(listed, list) and listed:
            return listed
        if isinstance(listed, dict) and listed:
            return list(listed.values())
    return []


def _urgency(match: Any) -> int:
    decided = match_meaning(match)
    return 1 if decided.tone == "refused" else 2 if decided.is_settled else 0


def _order(match: Match) -> tuple[int, float]:
    rank = 0 if match.is_undecided else 1 if match.is_confirmed else 2
    return rank, -match.value


def _match(entry: Any) -> Match:
    if not isinstance(entry, dict):
        return Match("", short_text(entry), "", 0, (), "", "", match_meaning(entry))
    validation = entry.get(VALIDATION)
    decision = validation if isinstance(validation, dict) else entry
    score = next((entry[key] for key in _SCORES if is_number(entry.get(key))), None)
    return Match(
        id=short_text(entry.get("id")),
        name=_first(entry, _NAMES) or _person(entry),
        score=score_text(score),
        value=float(score) if score is not None else 0.0,
        lists=tuple(_lists(entry)),
        born=next((born for key in _BIRTHS if (born := date_text(entry.get(key)))), ""),
        source=_first(entry, _SOURCES),
        decision=match_meaning(entry),
        decided_by=_first(decision, _DECIDERS),
        decided_at=next((when for key in _TIMES if (when := time_of(decision.get(key)))), None),
        comment=_first(decision, _COMMENTS),
    )


def _first(entry: Mapping[Any, Any], keys: tuple[str, ...]) -> str:
    """Return the text of the first key that holds a text, a list of texts or an object with a name."""
    for key in keys:
        value = entry.get(key)
        if isinstance(value, list):
            value = ", ".join(filter(None, (_text(item) for item in value[:MAX_LISTS])))
        if text := _text(value):
            return text
    return ""


def _text(value: Any) -> str:
    return short_text(value.get("name")) if isinstance(value, dict) else short_text(value)


def _person(entry: Mapping[Any, Any]) -> str:
    parts = (short_text(entry.get(key)) for key in ("firstName", "middleName", "lastName"))
    return " ".join(filter(None, parts))


def _lists(entry: Mapping[Any, Any]) -> Iterator[str | Promise]:
    """Yield the lists that a match is on, in words."""
    for key in _LISTS:
        value = entry.get(key)
        if not value:
            continue
        named = value if isinstance(value, list) else [value]
        for item in named[:MAX_LISTS]:
            if text := _text(item):
                yield LABELS.get(text) or word_in_words(text)
        return
