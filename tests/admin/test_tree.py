from __future__ import annotations

import re
from typing import Any

import pytest

from complycube_sessions.admin import tree as module
from complycube_sessions.admin.tree import tree
from complycube_sessions.findings.tree import Bounds


def opened(html: str) -> list[str]:
    """Return the keys of the branches that are unfolded."""
    found = re.findall(
        r'<details open><summary><bdi class="ccs-key"(?: title="([^"]*)")?>([^<]*)</bdi>', html
    )
    return [key or label for key, label in found]


BREAKDOWN = {
    "summary": {"pep": {"level1": "clear"}, "watchlist": {"terror": "attention"}},
    "faceAnalysis": {"quality": "clear", "liveness": "clear"},
    "extractedData": {"firstName": "John", "note": "attention seeker"},
}


def test_breakdown__what_is_not_clear_is_open() -> None:
    """The branches that lead to what is not clear are unfolded and marked, the rest is folded."""
    html = tree(BREAKDOWN, verdicts=True)
    assert opened(html) == ["summary", "watchlist"]
    assert html.count("Not clear") == 2


@pytest.mark.parametrize("verdict", ["not_processed", "rejected", "match_confirmed", "review"])
def test_breakdown__each_bad_word(verdict: str) -> None:
    """Every known word but ``clear`` is a reason to look."""
    assert opened(tree({"a": {"b": {"c": verdict}}}, verdicts=True)) == ["a", "b"]


@pytest.mark.parametrize("verdict", ["suspicious", "needs_a_look", None, ""])
def test_breakdown__unknown_or_missing_among_verdicts(verdict: str | None) -> None:
    """A word that is unknown, or missing, where its neighbours are verdicts, is not read as clear."""
    html = tree({"a": {"known": "clear", "odd": verdict}}, verdicts=True)
    assert opened(html) == ["a"]
    assert html.count("ccs-tone-clear") == 1


def test_breakdown__word_beside_an_outcome() -> None:
    """A word beside an ``outcome`` describes what was looked at; it is no outcome itself."""
    html = tree([{"feature": "hologram", "outcome": "clear"}], verdicts=True)
    assert opened(html) == []
    assert html.count("ccs-badge") == 1


def test_long_text__is_folded() -> None:
    """A text that would fill the page is folded behind its beginning, and all of it is there."""
    html = tree({"image": "x" * 400, "scan": "y" * 399 + "zz"})
    assert html.count('<details class="ccs-long">') == 1
    assert "y" * 399 + "zz" in html
    assert "(281 more characters)" in html


def test_breakdown__unknown_outcome() -> None:
    """The key ``outcome`` holds a verdict, whatever the word."""
    assert opened(tree({"a": {"outcome": "brand_new"}}, verdicts=True)) == ["a"]


def test_breakdown__matches() -> None:
    """Possible matches of a screening are a reason to look; an empty list is none."""
    html = tree({"x": {"matches": [{"id": "1"}]}}, verdicts=True)
    assert opened(html) == ["x", "matches", "1"]
    assert opened(tree({"x": {"matches": []}}, verdicts=True)) == []


def test_breakdown__dismissed_match_is_folded() -> None:
    """What a person dismissed is nobody's concern; an open match beside it, a hit too, is unfolded."""
    dismissed, hit, undecided = (
        {"name": name, "validation": word}
        for name, word in (("Bo", "rejected"), ("Cy", "confirmed"), ("Di", "pending"))
    )
    html = tree({"matches": [dismissed]}, verdicts=True)
    assert opened(html) == []
    assert "Dismissed" in html
    assert "ccs-tone-refused" not in html
    html = tree({"matches": [dismissed, hit, undecided]}, verdicts=True)
    assert opened(html) == ["matches", "2", "3"]


def test_breakdown__labels_and_dates() -> None:
    """Keys are shown in words with the key as a tooltip, and a date is one value."""
    html = tree({"mrzAnalysis": {"oddKey": {"day": 2, "month": 3, "year": 1970}}}, verdicts=True)
    assert '<bdi class="ccs-key" title="oddKey">Odd key</bdi>' in html
    assert ">1970-03-02</bdi>" in html
    assert "title=" not in tree({"oddKey": 1})


def test_breakdown__scores_carry_their_scale() -> None:
    """A number that is a score says of how much, one that is none stays as it is."""
    html = tree({"livenessScore": 31, "similarityScore": 62, "number": 7}, verdicts=True)
    assert ">31 of 100</bdi>" in html
    assert ">62 % alike</bdi>" in html
    assert ">7</bdi>" in html
    assert ">31</bdi>" in tree({"livenessScore": 31})


def test_data__is_no_verdict() -> None:
    """Words of a person's data are not taken for verdicts, nor is anything in an answer as received."""
    assert opened(tree({"data": {"city": "springfield", "name": None}}, verdicts=True)) == []
    assert "ccs-badge" not in tree(BREAKDOWN)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        ("", ""),
        ([], "[]"),
        ({}, "{}"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_values__as_json_writes_them(value: Any, shown: str) -> None:
    """Each kind of value has its own text, at the top and below."""
    assert f">{shown}</bdi>" in tree(value)
    assert f">{shown}</bdi>" in tree({"key": value})


def test_bounds__depth() -> None:
    """What is nested beyond the bound is named, not shown; up to it all is there."""
    value: Any = "the end"
    for _ in range(Bounds().depth - 1):
        value = [value]
    assert "the end" in tree([value])
    for _ in range(400):
        value = [value]
    html = tree(value)
    assert "the end" not in html
    assert "nested too deeply to be shown" in html


def test_bounds__width_and_text() -> None:
    """A list without end and a text without end are cut, and the cut is told."""
    html = tree(list(range(Bounds().nodes + 7)))
    assert html.count("<li>") == Bounds().nodes
    assert "7 more values are not shown." in html
    assert "(5 more characters)" in tree("x" * (module.MAX_TEXT + 5))
