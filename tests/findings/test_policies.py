from __future__ import annotations

from typing import Any

import pytest

from complycube_sessions.findings.policies import items, policies


def test_item__common_keys() -> None:
    """The usual keys are recognised, and everything else stays."""
    (item,) = items(
        [
            {
                "id": "t1",
                "name": "Photo",
                "type": "capture",
                "status": "complete",
                "outcome": "attention",
                "createdAt": "2026-01-05T10:00:00.000Z",
                "completedAt": "2025-01-01T14:06:91.913Z",
                "extra": {"a": 1},
            }
        ]
    )
    assert (item.item_id, item.title, item.type, item.status) == (
        "t1",
        "Photo",
        "capture",
        "complete",
    )
    assert item.meaning is not None
    assert not item.meaning.is_clear
    assert [label for label, _when in item.times] == ["created"]
    # A time that cannot be read is shown as it came.
    assert set(item.rest) == {"completedAt", "extra"}


@pytest.mark.parametrize(
    ("value", "titles"),
    [
        (None, []),
        ({}, []),
        ("alone", ["alone"]),
        (["a", 3, None, [1], {}], ["a", "No. 2", "No. 3", "No. 4", "No. 5"]),
        ([{"name": {"x": 1}, "id": True}], ["No. 1"]),
        ([{"name": "x" * 501}], ["No. 1"]),
        ([{"id": 7}], ["7"]),
    ],
)
def test_items__any_shape(value: Any, titles: list[str]) -> None:
    """Whatever comes is an item with a title; nothing fails."""
    found = items(value)
    assert [item.title for item in found] == titles


def test_items__bounded() -> None:
    """A list without end is cut, and the cut is told."""
    found = items(["x"] * 250)
    assert len(found) == 201
    assert found[-1].title == "50 more are not shown"


def test_policies__with_their_assurance() -> None:
    """Assurance stands with the policy that it names; what names none comes last."""
    found = policies(
        [{"id": "p1", "name": "AML"}, {"id": "p2", "name": "Age"}],
        [{"policyId": "p2", "outcome": "clear"}, {"name": "AML"}, {"name": "Other"}],
    )
    assert [entry.policy.title for entry in found] == ["AML", "Age", "Other"]
    assert [len(entry.assurance) for entry in found] == [1, 1, 1]
    assert found[1].assurance[0].outcome == "clear"


@pytest.mark.parametrize(
    ("word", "tone", "label"),
    [
        ("clear", "clear", "Clear"),
        ("attention", "attention", "Attention"),
        ("rejected", "refused", "Rejected"),
        ("not_processed", "unprocessed", "Not processed"),
        ("met", "undocumented", "Met"),
        ("not_met", "undocumented", "Not met"),
        ("CLEAR", "undocumented", "CLEAR"),
    ],
)
def test_item__its_word(word: str, tone: str, label: str) -> None:
    """A word that the vendor documents nowhere is told apart from good and from bad news."""
    (item,) = items([{"name": "AML", "outcome": word}])
    assert item.meaning is not None
    assert (item.meaning.tone, str(item.meaning.label)) == (tone, label)
    assert bool(item.meaning.note) is (tone == "undocumented")


def test_item__a_status_that_says_how_it_went() -> None:
    """A status stands for the outcome where there is none, but not the stage of its processing."""
    passed, done = items(
        [{"name": "AML", "status": "passed"}, {"name": "Age", "status": "complete"}]
    )
    assert passed.meaning is not None
    assert passed.meaning.tone == "undocumented"
    assert done.meaning is None
    assert str(done.status_label) == "Complete"


def test_item__facts_in_words() -> None:
    """What is said in a few words is no tree, and that a policy is enabled goes without saying."""
    entry = {"title": "FATF", "version": 1, "enabled": False, "checks": ["a", "b"], "other": [1]}
    (item,) = items([entry])
    assert item.facts == ["Version 1", "Not enabled", "Based on 2 checks"]
    assert item.rest == {"other": [1]}
    assert items([{"title": "FATF", "enabled": True}])[0].facts == []
