from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from project.sandbox import data, example
from project.sandbox.workflows import WORKFLOWS

Stories = list[tuple[dict[str, Any], list[dict[str, Any]]]]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def stories() -> Stories:
    return list(data.generate(400, "sandbox", NOW))


def test_generate__same_seed_same_data(stories: Stories) -> None:
    """The same seed and moment give the same bytes, and a shorter run is the beginning of a longer."""
    again = list(data.generate(400, "sandbox", NOW))
    assert json.dumps(again) == json.dumps(stories)
    assert list(data.generate(30, "sandbox", NOW)) == stories[:30]


def test_generate__other_seed_other_data(stories: Stories) -> None:
    """Another seed shares no id."""
    others = {session["id"] for session, _ in data.generate(400, "other", NOW)}
    assert not others & {session["id"] for session, _ in stories}


def test_generate__another_day_moves_times_alone(stories: Stories) -> None:
    """On another day the same people have the same ids, at other times."""
    later = list(data.generate(400, "sandbox", NOW + timedelta(days=3)))
    assert [session["id"] for session, _ in later] == [session["id"] for session, _ in stories]
    assert later[5][0]["createdAt"] != stories[5][0]["createdAt"]


def test_generate__ids_are_unique(stories: Stories) -> None:
    """No id is used twice, of sessions or of checks."""
    ids = [session["id"] for session, _ in stories]
    ids += [check["id"] for _, checks in stories for check in checks]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{24}", one) for one in ids)


def test_generate__every_status_and_outcome_occurs(stories: Stories) -> None:
    """The vendor's statuses and every outcome that any source names are there."""
    assert {session["status"] for session, _ in stories} == {
        "started",
        "processing",
        "complete",
        "abandoned",
        "cancelled",
    }
    assert {session.get("outcome", "") for session, _ in stories} == {
        "",
        "clear",
        "attention",
        "review",
        "decline",
        "rejected",
        "match_confirmed",
        "not_processed",
    }
    checks = [check for _, checks in stories for check in checks]
    assert {check["status"] for check in checks} == {"pending", "complete", "failed"}
    assert {check["result"]["outcome"] for check in checks if "result" in check} == {
        "clear",
        "attention",
        "rejected",
        "match_confirmed",
        "not_processed",
    }
    assert {check["type"] for check in checks} == {
        kind for workflow in WORKFLOWS for kind in workflow.checks
    }
    assert len({check["type"] for check in checks}) == 16


def test_generate__times_are_ordered_and_within_ninety_days(stories: Stories) -> None:
    """A session is created, completed and updated in that order, and its checks run within it."""
    first, last = data.iso(NOW - timedelta(days=90)), data.iso(NOW)
    for session, checks in stories:
        times = [session["createdAt"], session.get("completedAt"), session["updatedAt"]]
        known = [time for time in times if time]
        assert all(TIME.fullmatch(time) for time in known)
        assert first <= known[0]
        assert known == sorted(known)
        assert known[-1] < last
        for check in checks:
            assert session["createdAt"] <= check["createdAt"] <= check["updatedAt"]
            assert check["updatedAt"] <= session["updatedAt"]


def test_generate__monitoring_reopens_checks_after_completion(stories: Stories) -> None:
    """Some clear sessions have a screening that found something later."""
    reopened = [
        check
        for session, checks in stories
        for check in checks
        if session.get("outcome") == "clear"
        and check["updatedAt"] > session["completedAt"]
        and check["result"]["outcome"] == "attention"
    ]
    assert len(reopened) >= 5
    assert all(check["enableMonitoring"] for check in reopened)


def test_generate__empty_properties_are_left_out(stories: Stories) -> None:
    """As at the vendor's, nothing empty is sent, and only complete sessions have an outcome."""
    for session, _ in stories:
        assert not [key for key, value in session.items() if value in ("", [], None)]
        assert ("outcome" in session) is (session["status"] == "complete")


def test_generate__names_in_many_scripts(stories: Stories) -> None:
    """Names are written in eleven scripts at least, and some are awkward on purpose."""
    names = {session["entityName"] for session, _ in stories}
    scripts = {
        unicodedata.name(char).split()[0] for name in names for char in name if char.isalpha()
    }
    assert scripts >= {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "ARABIC",
        "HEBREW",
        "CJK",
        "HIRAGANA",
        "HANGUL",
        "THAI",
        "DEVANAGARI",
    }
    assert "<script>alert(1)</script>" in names
    assert max(map(len, names)) > 150


def test_generate__some_clients_come_back(stories: Stories) -> None:
    """One client has several sessions under one name."""
    by_client: dict[str, list[str]] = {}
    for session, _ in stories:
        by_client.setdefault(session["clientId"], []).append(session["entityName"])
    assert max(map(len, by_client.values())) >= 8
    assert sum(len(names) > 1 for names in by_client.values()) > 20
    assert all(len(set(names)) == 1 for names in by_client.values())


def test_generate__checks_match_what_the_session_names(stories: Stories) -> None:
    """A session names its checks in order, with the id of an existing task."""
    for session, checks in stories:
        related = session.get("allRelatedChecks", [])
        assert [entry["checkId"] for entry in related] == [check["id"] for check in checks]
        assert {entry["taskId"] for entry in related} <= {task["id"] for task in session["tasks"]}


def test_generate__outcome_is_explained_by_a_check(stories: Stories) -> None:
    """A complete session that is not clear has a check that is not clear either."""
    for session, checks in stories:
        if session.get("outcome", "clear") != "clear":
            assert any(check.get("result", {}).get("outcome") != "clear" for check in checks)


def test_example__names_its_own_checks() -> None:
    """The three checks of the example are those it names."""
    named = [entry["checkId"] for entry in example.SESSION["allRelatedChecks"]]
    assert [check["id"] for check in example.checks()] == named
