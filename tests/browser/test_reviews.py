"""A reviewer works a session off, a second person confirms it, and a turned check brings it back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command

from complycube_sessions.models import Review
from tests.browser.conftest import NARROW, WIDE, OpenPage, expect
from tests.browser.test_accessibility import RULES
from tests.reviews.builders import store

pytestmark = pytest.mark.browser
LIST = "/admin/complycube_sessions/workflowsession/"


def make_person(name: str, group: str) -> User:
    call_command("create_complycube_groups", verbosity=0)
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


def assert_fine(page: Any) -> None:
    """No violation of WCAG 2.2 AA with all unfolded, and nothing wider than the window."""
    engine = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate("document.querySelectorAll('.ccs details').forEach((d) => { d.open = true; })")
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found = engine.run(page, options=options).response["violations"]
    assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", WIDE), ("light", NARROW)])
def test_case__from_the_queue_to_the_queue(
    open_page: OpenPage, settings: Any, theme: str, size: dict[str, int]
) -> None:
    settings.COMPLYCUBE_FOUR_EYES = ["approved"]
    for number in (1, 2):
        store(number)
    ada, lead = (
        open_page(theme=theme, size=size, user=make_person(name, group))
        for name, group in (("ada", "Compliance reviewer"), ("lead", "Compliance lead"))
    )
    ada.goto(LIST)
    ada.get_by_role("link", name="Unassigned").click()
    assert_fine(ada)
    ada.get_by_role("button", name="Take next").click()
    expect(ada.get_by_role("heading", name="Person 1")).to_be_visible()
    address = ada.url

    ada.keyboard.press("n")
    ada.keyboard.type("The passport was seen.")
    ada.get_by_role("button", name="Add note").click()
    expect(ada.get_by_text("The passport was seen.")).to_be_visible()

    ada.keyboard.press("d")
    ada.get_by_label("Decision and reason").select_option("False positive")
    ada.get_by_label("Why, in your own words").fill("Another person.")
    ada.get_by_role("button", name="Decide").click()
    expect(ada.get_by_text("Your decision waits for a second person.")).to_be_visible()
    assert_fine(ada)

    lead.goto(LIST)
    lead.get_by_role("link", name="Waiting for a second person").click()
    lead.get_by_role("link", name="Person 1").click()
    assert_fine(lead)
    lead.get_by_role("button", name="Confirm the decision").click()
    expect(lead.get_by_text("The decision is confirmed.")).to_be_visible()
    lead.get_by_role("link", name="Assign").click()
    assert_fine(lead)
    lead.goto(f"{LIST}?case=decided")
    assert_fine(lead)
    lead.goto(f"{LIST}reviews/")
    expect(lead.get_by_text("1 review is decided")).to_be_visible()
    assert_fine(lead)

    lead.goto(f"{LIST}views/?case=open")
    lead.get_by_label("Name of the view").fill("What is open")
    lead.get_by_role("button", name="Save the view").click()
    assert_fine(lead)

    store(1, check="attention")

    ada.goto(f"{LIST}?case=mine")
    ada.get_by_role("link", name="Person 1").click()
    ada.wait_for_url(lambda url: url.split("?")[0] == address.split("?")[0])
    expect(ada.locator(".ccs-case .ccs-notice")).to_have_text(
        "Reopened: AML screening went from clear to attention"
    )


def test_keys__in_the_list_and_on_the_page(open_page: OpenPage) -> None:
    """J and k go through the rows, Enter opens one, t takes it, and ? shows all of that."""
    for number in (1, 2, 3):
        store(number)
    page = open_page(user=make_person("ada", "Compliance reviewer"))
    page.goto(f"{LIST}?case=unassigned")
    for key in ("j", "j", "j", "k"):
        page.keyboard.press(key)
    page.keyboard.press("Shift+?")
    expect(page.get_by_role("dialog").get_by_text("next row")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Person 2").wait_for()
    page.keyboard.press("t")
    page.get_by_text("You have taken this review.").wait_for()
    assert Review.objects.get(state="assigned").session.entity_name == "Person 2"
    # What somebody types is no key.
    page.keyboard.press("n")
    page.keyboard.type("td")
    expect(page.get_by_label("Note", exact=True)).to_have_value("td")


def test_case__without_a_script(chromium: Any, open_page: OpenPage, live_server: Any) -> None:
    """Everything works where no script runs."""
    store()
    page = open_page(user=make_person("ada", "Compliance reviewer"))
    cookies = page.context.cookies()
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies(cookies)
    plain = context.new_page()
    plain.goto(f"{LIST}?case=unassigned")
    plain.get_by_role("button", name="Take next").click()
    plain.get_by_text("Decide", exact=True).first.click()
    plain.get_by_label("Decision and reason").select_option("Suspected fraud")
    plain.get_by_role("button", name="Decide").click()
    expect(plain.get_by_text("The review is decided.")).to_be_visible()
    context.close()
    assert Review.objects.get().decision == "declined"
