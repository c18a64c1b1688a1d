"""A reviewer's walk, from the queue to the reason, and back with a fresh copy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.utils import timezone

from complycube_sessions.models import WorkflowSession
from tests.admin.builders import make_check, make_session
from tests.browser.conftest import NARROW, WIDE, OpenPage, expect
from tests.fake_api import FakeAPI

pytestmark = pytest.mark.browser

GLANCE = {"width": 1280, "height": 800}
QUEUE = "/admin/complycube_sessions/workflowsession/?review=yes"


def make_person(group: str) -> User:
    """Return somebody of a group, who signs in with the password ``secret``."""
    call_command("create_complycube_groups", verbosity=0)
    user = User.objects.create_user("somebody", password="secret", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


def store(api: FakeAPI) -> WorkflowSession:
    """Store a session that needs a review, and let the API tell something newer of it."""
    session_id = api.add_session(
        1, outcome="clear", entityName="Łukasz Ñandú", updatedAt="2026-11-20T10:00:00.000Z"
    )
    session = make_session(
        id=session_id,
        entity_name="Łukasz Ñandú",
        outcome="attention",
        needs_review=True,
        created_at=timezone.now(),
    )
    make_check(session, type="document_check")
    make_check(
        session,
        type="identity_check",
        outcome="attention",
        result={"breakdown": {"faceAnalysis": {"liveness": "attention"}, "other": {"a": "clear"}}},
    )
    make_session(entity_name="Anna Smith", needs_review=True, created_at=timezone.now())
    return session


def sign_in(page: Any) -> None:
    page.goto(QUEUE)
    page.get_by_label("Username").fill("somebody")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize(
    ("theme", "size"), [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]
)
def test_walk__of_a_lead(
    open_page: OpenPage, api: FakeAPI, theme: str, size: dict[str, int]
) -> None:
    """Sign in, find a person without accents, read why, open the check, refresh, see the history."""
    make_person("Compliance lead")
    session = store(api)
    page = open_page(theme=theme, size=size)
    sign_in(page)

    expect(page.get_by_role("heading", name="Needs review, oldest first")).to_be_visible()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.locator("#searchbar").fill("nandu")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.get_by_text("Identity Check: Attention").first).to_be_attached()
    page.get_by_role("link", name="Łukasz Ñandú").click()

    expect(page.get_by_role("heading", level=1, name="Łukasz Ñandú")).to_be_visible()
    expect(page.get_by_text("1 of 2 checks is not clear.")).to_be_visible()
    first = page.locator("tr.ccs-open")
    expect(first).to_contain_text("Identity Check")
    first.get_by_role("link").click()

    expect(page.get_by_text("Face / Liveness: needs a look")).to_be_visible()
    page.get_by_text("Show the breakdown").click()
    expect(page.get_by_text("Liveness", exact=True)).to_be_visible()
    unfolded = page.locator(".ccs-tree details[open]").count()
    page.get_by_label("Search in the breakdown").fill("a")
    expect(page.locator(".ccs-tree details[open]")).to_have_count(unfolded + 1)
    page.go_back()

    page.get_by_role("button", name="Refresh from ComplyCube").click()
    expect(page.get_by_text("The session is up to date.")).to_be_visible()
    timeline = page.locator(".ccs-timeline")
    changed = timeline.locator(".ccs-event-change").filter(has_text="Outcome")
    expect(changed.first).to_contain_text("Clear")
    expect(page.locator(".ccs-hero .ccs-badge")).to_contain_text("Clear")
    assert session.changes.filter(source="admin", field="outcome", new="clear").exists()
    if size is NARROW:
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= NARROW["width"]


SCREENED = {
    "breakdown": {
        "summary": {"watchlist": {"sanctionsLists": "attention"}},
        "matches": [
            {"name": "Lukasz N.", "score": 97, "dateOfBirth": {"year": 1970}},
            {"name": "Luca Nand", "score": 88, "validation": "rejected"},
        ],
    }
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_session__at_a_glance(open_page: OpenPage, api: FakeAPI, theme: str) -> None:
    """Without scrolling: who, the outcome, why in words, what happened last, and what to do next."""
    user = make_person("Compliance lead")
    session = store(api)
    make_check(session, type="extensive_screening_check", outcome="attention", result=SCREENED)
    for kind in ("ssn_check", "eid_check", "company_check"):
        make_check(session, type=kind)
    page = open_page(theme=theme, size=GLANCE, user=user)
    page.goto(f"{QUEUE}&q={session.pk}")
    # Of checks that are as bad, the one that ran first tells its reason.
    expect(page.get_by_text("Identity Check: Face / Liveness: needs a look")).to_be_visible()
    page.get_by_role("link", name="Łukasz Ñandú").click()
    expect(page).to_have_title(re.compile(session.pk))
    for shown in (
        page.get_by_role("heading", level=1, name="Łukasz Ñandú"),
        page.locator(".ccs-hero").get_by_text("Attention"),
        page.get_by_text("2 possible matches: Sanctions lists (1 undecided, 1 dismissed)"),
        page.get_by_text("Undecided: Lukasz N. (match score 97 of 100, 1970)"),
        page.get_by_text("Face / Liveness: needs a look"),
        page.get_by_role("heading", name="What happened last"),
        page.locator("[aria-labelledby=ccs-latest] li").last,
        page.get_by_role("button", name="Refresh from ComplyCube"),
        page.get_by_role("button", name="Export evidence"),
    ):
        expect(shown).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_check__matches(open_page: OpenPage, api: FakeAPI, size: dict[str, int]) -> None:
    """An undecided match stands first and stands out; a dismissed one is last, grey and folded."""
    user = make_person("Compliance reviewer")
    check = make_check(
        store(api), type="extensive_screening_check", outcome="attention", result=SCREENED
    )
    page = open_page(size=size, user=user)
    page.goto(f"/admin/complycube_sessions/relatedcheck/{check.pk}/change/")
    rows = page.locator("[aria-labelledby=ccs-matches] tbody tr")
    expect(rows.nth(0)).to_contain_text("Undecided")
    expect(rows.nth(1)).to_contain_text("Dismissed")
    expect(rows.nth(1).locator(".ccs-tone-refused")).to_have_count(0)
    page.get_by_text("Show the breakdown").click()
    # The list that is flagged and the undecided match are unfolded, the dismissed one is not.
    expect(page.get_by_text("1. Lukasz N.")).to_be_visible()
    expect(page.locator(".ccs-tree details[open]")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_reviewer__sees_all_and_changes_nothing(open_page: OpenPage, api: FakeAPI) -> None:
    """A reviewer reads the answer as received, and finds no button that does anything."""
    make_person("Compliance reviewer")
    session = store(api)
    page = open_page()
    sign_in(page)
    expect(page.get_by_role("button", name="Export as CSV")).to_have_count(0)
    page.get_by_role("link", name="Łukasz Ñandú").click()
    expect(page.get_by_role("button", name="Refresh from ComplyCube")).to_have_count(0)
    page.get_by_label("Search in the answer").fill("raw-secret")
    expect(page.locator(".ccs-match")).to_have_count(1)
    expect(page.get_by_text("raw-secret")).to_be_visible()
    assert WorkflowSession.objects.get(pk=session.pk).outcome == "attention"


def test_keyboard__alone_is_enough(open_page: OpenPage, api: FakeAPI) -> None:
    """The queue can be opened, filtered and left without a pointer."""
    user = make_person("Compliance reviewer")
    store(api)
    page = open_page(user=user)
    page.goto("/admin/complycube_sessions/workflowsession/")
    page.get_by_role("link", name="Needs review", exact=True).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Needs review, oldest first")).to_be_visible()
    page.locator(".ccs-filters > summary").focus()
    page.keyboard.press("Enter")
    link = page.locator(".ccs-filters").get_by_role("link", name="Attention")
    expect(link).to_be_visible()
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".ccs-chips")).to_contain_text("Outcome: Attention")
    page.get_by_role("link", name="Łukasz Ñandú").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Łukasz Ñandú")).to_be_visible()


def test_print__nothing_stays_folded(open_page: OpenPage, api: FakeAPI) -> None:
    """On paper the overview shows its tables, and the menus stay away."""
    user = make_person("Compliance reviewer")
    store(api)
    page = open_page(user=user)
    page.goto("/admin/complycube_sessions/workflowsession/overview/")
    expect(page.locator(".ccs-fold[open]")).to_have_count(0)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator(".ccs-fold[open]")).to_have_count(1)
    expect(page.locator("#nav-sidebar")).to_be_hidden()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".ccs-fold[open]")).to_have_count(0)


def test_keyboard__skip_to_the_first_row(open_page: OpenPage, api: FakeAPI) -> None:
    """The skip link leads past tabs, filters and actions: two more tabs stand on the first person."""
    user = make_person("Compliance reviewer")
    store(api)
    page = open_page(user=user)
    page.goto(QUEUE)
    page.locator(".ccs-skip").focus()
    page.keyboard.press("Enter")
    first = page.locator("#result_list tbody tr").first
    for _ in range(first.locator("a, input").count()):
        page.keyboard.press("Tab")
        if first.locator("th a:focus").count():
            break
    expect(first.locator("th a")).to_be_focused()


def test_ids__are_copied_by_a_click(open_page: OpenPage, api: FakeAPI) -> None:
    """A shortened id of a list is copied whole."""
    user = make_person("Compliance reviewer")
    store(api)
    page = open_page(user=user)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/admin/complycube_sessions/relatedcheck/")
    shortened = page.locator("#result_list .ccs-copy").first
    shortened.click()
    expect(shortened).to_have_class(re.compile("ccs-copied"))
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == shortened.get_attribute("title")
