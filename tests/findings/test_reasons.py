from __future__ import annotations

import random
import re
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from complycube_sessions.findings.labels import label_of
from complycube_sessions.findings.matches import MAX_MATCHES, matches_of
from complycube_sessions.findings.reasons import MAX_LENGTH, MAX_REASONS, reasons
from complycube_sessions.findings.sentences import SENTENCES
from complycube_sessions.findings.tree import Bounds, build
from complycube_sessions.models import RelatedCheck
from project.sandbox.breakdowns import GROUPS, SCREENING, breakdown
from tests.examples import examples

TYPES = [*RelatedCheck.Type.values, "company_check", ""]
OUTCOMES = [*RelatedCheck.Outcome.values, "review", "decline", "approved", "CLEAR", "clear ", ""]
STATUSES = ["complete", "pending", "failed", "brand_new", ""]
WORDS = ["clear", "attention", "not_processed", "rejected", "confirmed", "pending", "odd_word", ""]
KEYS = [
    *("summary", "matches", "validation", "outcome", "breakdown", "score", "similarity", "name"),
    *("dateOfBirth", "riskLevel", "riskAnalysis", "extractedData", "documentDetails"),
    *("expirationDate", "expiry", "day", "month", "year", "estimatedAgeRange", "low", "narrative"),
    *("pep", "watchlist", "sanctionsLists", "level1", "rejectionReasons", "validatedAt", "lists"),
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=[]), max_size=400)
)
keys = st.sampled_from(KEYS) | st.text(max_size=30)
shapes = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=40,
)
results = shapes | st.fixed_dictionaries({"outcome": leaves, "breakdown": shapes})
modest = settings(max_examples=examples(60, 3_000), deadline=None)


def texts(check_type: str, outcome: str, found: Any, **more: Any) -> list[str]:
    """Return the reasons of a check with a breakdown as texts."""
    result = {"outcome": outcome, "breakdown": found}
    return [str(reason) for reason in reasons(check_type, outcome, result, **more)]


def holds(check_type: str, outcome: str, result: Any, status: str = "complete") -> None:
    """Assert what is true of the reasons of every check."""
    found = reasons(check_type, outcome, result, status=status)
    assert len(found) <= MAX_REASONS
    for reason in found:
        assert 0 < len(str(reason)) <= MAX_LENGTH
        assert reason.tone != "clear"
    assert list(found) == sorted(found, key=lambda reason: reason.order)
    if outcome != "clear" or status in {"failed", "pending"}:
        assert found


@modest
@given(st.sampled_from(TYPES), st.sampled_from(OUTCOMES), results, st.sampled_from(STATUSES))
def test_reasons__of_any_shape(check_type: str, outcome: str, result: Any, status: str) -> None:
    """Whatever a result is: no error, bounded, and never nothing for what is not clear."""
    holds(check_type, outcome, result, status)


@modest
@given(st.text(max_size=300), st.text(max_size=300), results)
def test_reasons__of_any_word(check_type: str, outcome: str, result: Any) -> None:
    """No word is taken for an approval but the one that is known."""
    holds(check_type, outcome, result)


@modest
@given(
    st.sampled_from(RelatedCheck.Type.values),
    st.sampled_from(RelatedCheck.Outcome.values),
    st.integers(min_value=0, max_value=2**32),
)
def test_reasons__of_the_sandbox(check_type: str, outcome: str, seed: int) -> None:
    """Every type and outcome has reasons in words, none of them a bare key."""
    rng = random.Random(seed)
    result = {"outcome": outcome, "breakdown": breakdown(check_type, outcome, "Ann Lee", rng)}
    holds(check_type, outcome, result)
    for reason in reasons(check_type, outcome, result):
        assert not re.search(r"[a-z][A-Z]|_", re.sub("eID|ComplyCube", "", str(reason)))


@modest
@given(results)
def test_trees_and_matches__of_any_shape(result: Any) -> None:
    """Trees and matches of anything come without an error, within their bounds."""
    bounds = Bounds(nodes=30)
    build(result, bounds, verdicts=True)
    assert bounds.nodes >= 0
    found = matches_of(result)
    assert len(found.rows) <= MAX_MATCHES
    assert all(isinstance(str(name), str) for match in found.rows for name in match.lists)


def test_reasons__deep_and_wide() -> None:
    """A breakdown without end is read to a bound, in bounded time."""
    deep: Any = "attention"
    for _ in range(3_000):
        deep = {"outcome": deep}
    holds("document_check", "attention", {"breakdown": {"a": deep}})
    wide = {f"analysis{number}": "attention" for number in range(50_000)}
    found = texts("document_check", "attention", wide)
    assert len(found) == MAX_REASONS
    assert found[-1] == "More is not clear; the breakdown shows it"


@pytest.mark.parametrize("check_type", GROUPS)
def test_reasons__every_documented_analysis(check_type: str) -> None:
    """Each analysis that the vendor documents has a sentence or a readable path, whatever its group."""
    for group, names in GROUPS[check_type].items():
        for name in names:
            (text,) = texts(check_type, "attention", {group: {name: "attention", "other": "clear"}})
            assert text == str(SENTENCES.get(f"{group}.{name}") or SENTENCES[name])
            (unprocessed, *_more) = texts(check_type, "attention", {group: {name: "not_processed"}})
            assert unprocessed.endswith("could not be checked")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            {
                "contentAnalysis": {"expiry": "attention", "dataFields": "clear"},
                "extractedData": {
                    "documentDetails": {"expirationDate": {"day": 1, "month": 3, "year": 2024}}
                },
            },
            "Document has expired: 2024-03-01",
        ),
        (
            {"clientValidation": {"name": {"outcome": "attention", "similarity": 62}}},
            "Name differs from the document: 62 % alike",
        ),
        (
            {
                "faceAnalysis": {
                    "facialSimilarity": "attention",
                    "breakdown": {"facialSimilarityScore": 41},
                }
            },
            "Face differs from the photo on the document: 41 % alike",
        ),
        (
            {"authenticityAnalysis": {"livenessCheck": "attention"}, "livenessCheckScore": 0.31},
            "Live presence is not certain: score 0.31, of unknown scale",
        ),
        (
            {"forensicAnalysis": {"brandNewAnalysis": {"partOne": "attention"}}},
            "Forensics / Brand new analysis / Part one: needs a look",
        ),
        (
            {"faceAnalysis": {"a": "clear", "maskCheck": "suspicious"}},
            "Face / Mask check: “suspicious”, a word that ComplyCube does not document",
        ),
        ({"faceAnalysis": {"a": "clear", "maskCheck": None}}, "Face / Mask check: no outcome"),
        ({"contentAnalysis": {"result": "rejected"}}, "Content / Result: refused"),
        (
            {
                "securityAndPatternAnalysis": [
                    {"feature": "hologram", "outcome": "clear"},
                    {"feature": "watermark", "outcome": "attention"},
                ]
            },
            "Security feature of the document does not look genuine: watermark",
        ),
        (
            {
                "ageEstimationAnalysis": {"ageThreshold": "attention"},
                "estimatedAgeRange": {"low": 16, "high": 19},
            },
            "Person may be younger than the limit: looks 16 to 19",
        ),
    ],
)
def test_reasons__sentences(found: Any, text: str) -> None:
    """A reason says what was looked at, what was found, and how sure it is."""
    assert texts("document_check", "attention", found) == [text]


def test_reasons__worst_first() -> None:
    """A forgery stands before another person's face, that before an odd layout, and clear says nothing."""
    found = {
        "formatAnalysis": {"aspectRatio": "attention", "unheardOf": "attention"},
        "clientValidation": {"lastName": "attention", "firstName": "not_processed"},
        "forensicAnalysis": {"digitalTampering": "attention", "photoTampering": "clear"},
    }
    assert texts("document_check", "attention", found) == [
        "Image shows signs of digital tampering",
        "Last name differs from the document",
        "Document has the wrong proportions",
        "Format / Unheard of: needs a look",
        "Comparison with the client's details / First name: could not be checked",
    ]


@pytest.mark.parametrize(
    ("outcome", "status", "result", "text"),
    [
        ("", "failed", {}, "The check failed to run. It has no outcome, and none will come."),
        ("", "pending", {}, "Still running."),
        ("", "complete", None, "ComplyCube gave no outcome"),
        (
            "not_processed",
            "complete",
            {},
            "The check ran, but the submitted data could not be processed.",
        ),
        ("attention", "complete", {}, "Outcome “Attention”, of which no details are stored"),
        (
            "attention",
            "complete",
            {"breakdown": {"a": 1}},
            "Outcome “Attention”, for which the result names no cause",
        ),
        ("approved", "complete", {}, "Unknown outcome “approved”, not approved"),
        ("rejected", "complete", {}, "Rejected by a reviewer at ComplyCube"),
        (
            "rejected",
            "complete",
            {"rejectionReasons": ["document_has_expired"]},
            "Refused by a reviewer: document has expired",
        ),
        ("match_confirmed", "complete", {}, "A match was confirmed at ComplyCube"),
    ],
)
def test_reasons__without_a_breakdown(outcome: str, status: str, result: Any, text: str) -> None:
    """Also a check without a result, one that failed and one that was not processed say why."""
    assert text in [str(r) for r in reasons("document_check", outcome, result, status=status)]


def match(validation: Any = None, **more: Any) -> dict[str, Any]:
    found = {"id": "m", "name": "Ann Lee", "score": 94, "dateOfBirth": {"year": 1970}, **more}
    return found if validation is None else {**found, "validation": validation}


def screening(*matches: Any, **summary: Any) -> dict[str, Any]:
    told = {group: dict.fromkeys(names, "clear") for group, names in SCREENING.items()}
    return {"summary": told | summary, "matches": list(matches)}


def test_screening__undecided_first() -> None:
    """What is left to decide comes first, then hits; what was dismissed is counted alone."""
    found = screening(
        match("rejected", name="Other"),
        match("confirmed", name="Hit"),
        match(name="Open", source="EU list"),
        watchlist={"sanctionsLists": "attention"},
    )
    assert texts("extensive_screening_check", "attention", found) == [
        "3 possible matches: Sanctions lists (1 undecided, 1 confirmed, 1 dismissed)",
        "Undecided: Open (match score 94 of 100, 1970, EU list)",
        "Confirmed hit: Hit (match score 94 of 100, 1970)",
    ]
    rows = matches_of({"breakdown": found}).rows
    assert [row.name for row in rows] == ["Open", "Hit", "Other"]


@pytest.mark.parametrize("word", [None, "", "attention", "pending", "brand_new", 7, {"x": 1}])
def test_screening__whatever_is_no_decision_is_undecided(word: Any) -> None:
    """Absent, pending and unknown decisions are all left to decide."""
    (row,) = matches_of({"breakdown": screening(match(word))}).rows
    assert row.is_undecided
    assert not row.decision.is_settled


def test_screening__dismissed_is_no_refusal() -> None:
    """A match that a person dismissed is a false positive, not bad news."""
    (row,) = matches_of({"breakdown": screening(match("rejected"))}).rows
    assert row.is_dismissed
    assert row.decision.is_settled
    assert str(row.decision.label) == "Dismissed"


def test_screening__who_and_when() -> None:
    """Who decided a match, when and why is told where the vendor tells it."""
    decided = {"outcome": "rejected", "memberId": "m-1", "at": "2026-01-05T10:00:00Z"}
    (row,) = matches_of({"matches": [match({**decided, "comment": "Other year"})]}).rows
    assert (row.decided_by, row.comment, row.is_dismissed) == ("m-1", "Other year", True)
    assert row.decided_at is not None


def test_screening__undecided_is_never_cut_off() -> None:
    """Of more matches than are shown, those that are dismissed are left out first."""
    many = [match("rejected")] * MAX_MATCHES + [match(name="Open")]
    found = matches_of({"breakdown": {"matches": many}})
    assert found.rows[0].name == "Open"
    assert found.left_out == 1


def test_screening__lists_without_matches() -> None:
    """Lists are named in one sentence; what a standard screening does not cover is no failure."""
    found = screening(
        watchlist={"sanctionsLists": "attention", "terror": "attention"},
        adverseMedia={"regulatory": "not_processed", "socialLabour": "not_processed"},
        otherLists={"taxCrime": "not_processed", "corruption": "clear"},
    )
    assert texts("standard_screening_check", "attention", found) == [
        "Possible matches: Sanctions lists, Terrorism",
        "Not part of this screening: Adverse media, Tax crime",
    ]
    assert texts("standard_screening_check", "clear", screening()) == []
    assert "Not screened: Adverse media, Tax crime" in texts(
        "extensive_screening_check", "attention", found
    )


@pytest.mark.parametrize(
    "word", ["CLEAR", "Clear", "clear!", "ok", "approved", True, 1, 0.5, " clear", "cl\u200bear"]
)
def test_unknown__never_good(word: Any) -> None:
    """Whatever stands as an outcome and is not the known word is not taken for it, and is told."""
    (text,) = texts("document_check", "attention", {"contentAnalysis": {"outcome": word}})
    assert text.startswith("Content: “")
    assert text.endswith("a word that ComplyCube does not document")


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_unknown__a_missing_outcome_is_told(nothing: Any) -> None:
    """An outcome that is empty is not clear either."""
    assert texts("document_check", "attention", {"contentAnalysis": {"outcome": nothing}}) == [
        "Content: no outcome"
    ]


def test_clear__a_breakdown_that_disagrees_is_told() -> None:
    """A clear check has no reasons, unless its breakdown holds something else."""
    assert texts("document_check", "clear", {"contentAnalysis": {"expiry": "clear"}}) == []
    assert texts("document_check", "clear", {"contentAnalysis": {"expiry": "attention"}}) == [
        "Document has expired"
    ]


def test_reasons__in_the_language_of_the_reader() -> None:
    """A reason is put together when it is read."""
    found = {"clientValidation": {"name": {"outcome": "attention", "similarity": 62}}}
    (reason,) = reasons("document_check", "attention", {"breakdown": found})
    with translation.override("de"):
        assert str(reason).endswith("zu 62 % ähnlich")
    assert str(reason) == "Name differs from the document: 62 % alike"


def test_sentences__keys_are_of_the_breakdowns() -> None:
    """A label of a leaf and one of the same leaf in its group are told apart."""
    assert str(label_of("level1", "pep")) == "Politically exposed persons, level 1"
    assert label_of("level1", "riskAnalysis") == "Level 1"
    assert label_of("eIDInformation2") == "eID information 2"
    assert len(SENTENCES) > 70
