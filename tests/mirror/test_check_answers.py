"""The answers of checks, kept as received from the list and from GET, at no request more."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.evidence.build import Content, export_evidence
from complycube_sessions.models import RelatedCheck
from complycube_sessions.services import refresh_session, refresh_sessions
from tests.builders import by_hand
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db

DETAILS = {"documentId": "doc1", "enableMonitoring": False, "lastActionBy": "member1"}


def without_address(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    if kind == "check":
        data.pop("addressId", None)
    return data


def not_the_first(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    if data["id"] == f"c0{1:022x}":
        raise ValueError("Jane Doe")
    return data


@pytest.fixture
def session_id(api: FakeAPI) -> str:
    """Return a session with one check that tells a lot."""
    found = api.add_session(1, checks=1)
    api.checks[f"c0{1:022x}"] |= DETAILS
    return found


def check() -> RelatedCheck:
    return RelatedCheck.objects.get()


def test_list__fills_the_answer(api: FakeAPI, session_id: str) -> None:
    """A run stores what the list tells, without a request for the check."""
    refresh_sessions()
    assert not api.count("/checks/")
    assert check().raw == {**api.checks[check().check_id], "result": {"outcome": "clear"}}
    assert (check().document_id, check().monitored) == ("doc1", False)


def test_get__fills_the_answer(api: FakeAPI, session_id: str) -> None:
    """A single refresh stores the same, and the breakdown in the result alone."""
    refresh_sessions()
    listed = check().raw
    refresh_session(session_id)
    assert check().raw == listed
    assert "breakdown" in check().result
    assert not check().session.changes.exists()


def test_full__rows_of_before_are_filled(api: FakeAPI, session_id: str) -> None:
    """Checks that were stored without an answer get it by ``--full``, by the list alone."""
    refresh_sessions()
    with by_hand():
        RelatedCheck.objects.update(raw={}, document_id="", monitored=None)
    api.requests.clear()
    refresh_sessions(full=True)
    assert not api.count("/checks/")
    assert (check().document_id, check().monitored) == ("doc1", False)
    assert check().raw["lastActionBy"] == "member1"


def test_full__a_field_that_moved_alone(api: FakeAPI, session_id: str) -> None:
    """What changed upstream while ``updatedAt`` stayed is taken over by ``--full``, and no history."""
    refresh_sessions()
    api.checks[check().check_id]["enableMonitoring"] = True
    assert refresh_sessions(full=True).updated == 1
    assert check().monitored is True
    assert refresh_sessions(full=True).updated == 0
    assert not check().session.changes.exists()


def test_list__that_tells_less_takes_nothing_away(
    api: FakeAPI, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only GET told of a version stays when a list tells less of it, and goes with a new version."""
    refresh_session(session_id)
    monkeypatch.setattr(
        "tests.fake_api._listed_check",
        lambda c: (
            {k: v for k, v in c.items() if k not in DETAILS} | {"result": {"outcome": "clear"}}
        ),
    )
    for _ in range(2):
        assert refresh_sessions(full=True).updated == 0
    assert (check().document_id, check().monitored) == ("doc1", False)
    assert check().raw["lastActionBy"] == "member1"
    api.touch_check(check().check_id, "clear")
    refresh_sessions()
    assert (check().document_id, check().monitored, "lastActionBy" in check().raw) == (
        "",
        None,
        False,
    )


def test_list__is_scrubbed(api: FakeAPI, session_id: str, settings: Settings) -> None:
    """The project's scrubber sees the checks of a list too, before anything of them is stored."""
    settings.COMPLYCUBE_SCRUBBER = f"{__name__}.without_address"
    api.checks[f"c0{1:022x}"]["addressId"] = "adr1"
    refresh_sessions()
    assert "addressId" not in check().raw
    assert check().raw["documentId"] == "doc1"


def test_list__scrubber_that_fails_keeps_no_answer(
    api: FakeAPI, session_id: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a check that the scrubber cannot take the state is stored, which it may not change; a log says so."""
    settings.COMPLYCUBE_SCRUBBER = f"{__name__}.not_the_first"
    other = api.add_session(2, checks=1)
    assert refresh_sessions().failed == 0
    assert RelatedCheck.objects.get(session=other).raw["id"] == f"c0{2:022x}"
    row = RelatedCheck.objects.get(session=session_id)
    assert (row.outcome, row.raw, row.document_id, row.monitored) == ("clear", {}, "", None)
    assert row.check_id in caplog.text
    assert "Jane" not in caplog.text


def test_evidence__carries_the_answer(api: FakeAPI, session_id: str) -> None:
    """Evidence has the check's answer, for those who may see what is sensitive."""
    refresh_session(session_id)
    assert b"member1" in export_evidence(session_id).json
    plain = export_evidence(session_id, content=Content(sensitive=False)).json
    assert b"member1" not in plain
    assert b'"document_id":"doc1"' in plain


def test_image__is_stored_nowhere(api: FakeAPI, session_id: str, settings: Settings) -> None:
    """Neither the rows of a session nor the evidence hold an image of any answer."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000}}
    image = "/9j/4AAQSkZJRgAB" + base64.b64encode(bytes(range(90))).decode()
    api.sessions[session_id]["tasks"] = [{"data": {"images": [{"data": image}]}}]
    api.checks[f"c0{1:022x}"]["options"] = {"photo": image}
    api.checks[f"c0{1:022x}"]["result"]["breakdown"] = {"actualImageData": image}
    refresh_session(session_id)
    evidence = export_evidence(session_id).json.decode()
    assert image not in evidence
    assert evidence.count(f"[cut: base64 data, {len(image)} characters]") == 4
