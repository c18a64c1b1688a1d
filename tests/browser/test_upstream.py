"""A decision at the vendor, from the page of a check to the timeline of its session."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import AuditEntry, RelatedCheck, UpstreamChange
from tests.admin.builders import make_staff
from tests.browser.conftest import NARROW, WIDE, OpenPage, expect
from tests.builders import by_hand
from tests.fake_api import FakeAPI
from tests.upstream.sessions import MATCH, checks_of, store_attention

pytestmark = pytest.mark.browser
LEAD = (
    "view_workflowsession",
    "view_relatedcheck",
    "view_sessionchange",
    "view_sensitive_workflowsession",
    "change_upstream_workflowsession",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def store(api: FakeAPI) -> RelatedCheck:
    """Store a session whose screening has a match of a long, hostile name."""
    session_id = store_attention(api, {**MATCH, "name": "<img src=x onerror=alert(1)>" + "W" * 300})
    screening = checks_of(api, session_id)[2]
    with by_hand():
        AuditEntry.objects.create(
            session_id=session_id,
            entry_id="a1",
            resource_type="check",
            resource_id=screening,
            member_id="m" * 100,
            trigger="validateCheck",
            diff=[{"path": ["x"], "new": "W" * 300}],
            fetched_at=timezone.now(),
        )
    return RelatedCheck.objects.get(check_id=screening)


def faults(page: Any, engine: Any) -> list[str]:
    """Return what the engine finds on a page with all of it unfolded, and whether it scrolls sideways."""
    page.evaluate("document.querySelectorAll('.ccs details').forEach((d) => { d.open = true; })")
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found = [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in engine.run(page, options=options).response["violations"]
    ]
    width = page.evaluate("document.documentElement.scrollWidth")
    return found + (["too wide"] if width > page.viewport_size["width"] else [])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_decision__from_the_check_to_the_timeline(
    open_page: OpenPage, api: FakeAPI, settings: Settings, theme: str, size: dict[str, int]
) -> None:
    """A match is dismissed on a page that says what will happen; each page on the way satisfies axe."""
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    engine = axe_module.Axe()
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True
    check = store(api)
    page = open_page(theme=theme, size=size, user=make_staff(*LEAD))
    page.goto(f"/admin/complycube_sessions/relatedcheck/{check.pk}/change/")
    assert faults(page, engine) == []
    page.get_by_role("link", name="Decide on a match at ComplyCube").click()
    expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
    assert faults(page, engine) == []
    page.get_by_label("Rejected: somebody else").check()
    page.get_by_label("Comment").fill("Another date of birth.")
    page.get_by_role("button", name="Send the decision").click()
    expect(page.get_by_text("ComplyCube has done it.")).to_be_visible()
    expect(page.get_by_text("Decision sent to ComplyCube").first).to_be_visible()
    assert faults(page, engine) == []
    assert UpstreamChange.objects.get().state == "done"
    check.refresh_from_db()
    assert check.outcome == "clear"
