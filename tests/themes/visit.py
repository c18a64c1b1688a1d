"""
What a reviewer does in any theme: opens every page, sees every control of it, and uses the list.

``test_themes.py`` runs this file once for each theme, in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import timezone

from complycube_sessions.models import RefreshRun, SessionChange, WebhookEvent
from complycube_sessions.services import add_review_note, take_review
from tests.admin.builders import make_check, make_session, make_staff
from tests.browser.conftest import NARROW, WIDE, OpenPage, chromium, expect, open_page
from tests.builders import by_hand
from tests.themes import settings

__all__ = ["chromium", "open_page"]

ADMIN: Final = "/admin/complycube_sessions/"
# The artefact of a run: a picture of each page in each theme.
PICTURES: Final = Path(
    os.environ.get("COMPLYCUBE_PICTURES", Path(__file__).parent.parent.parent / ".pictures")
)
SCREENED: Final = {
    "breakdown": {
        "summary": {"watchlist": {"sanctionsLists": "attention"}},
        "matches": [
            {"id": "m1", "name": "Lukasz N.", "score": 97},
            {"id": "m2", "name": "L.", "validation": "rejected"},
        ],
    }
}
# The colours of these are those of all.
IN_THE_DARK: Final = {
    "list",
    "queue",
    "session",
    "check",
    "decision",
    "upstream",
    "overview",
    "run",
}
WITHOUT_CONTROLS: Final = {"log", "run", "event"}
# Finds what a person could not see or hit among the controls inside what is ours.
CONTROLS: Final = """
() => {
  const problems = [];
  const told = (control) => control.outerHTML.slice(0, 160);
  const place = ":is(.ccs-list, .ccs-page, .ccs-desk)";
  // One theme draws a list of its own in place of each "select".
  const kinds = "a[href], button, input:not([type=hidden]), select:not(.select2-hidden-accessible), summary, .select2-selection";
  const controls = [...document.querySelectorAll(`${place} :is(${kinds})`)].filter((c) => !c.matches(".ccs-skip"));
  for (const control of controls) {
    if (control.closest("dialog:not([open])")) continue;
    if (!control.checkVisibility()) {
      const above = control.matches("summary") ? control.parentElement.parentElement : control;
      if (!above.closest("details:not([open])")) problems.push(["not shown", told(control)]);
      continue;
    }
    control.scrollIntoView({block: "center", inline: "nearest"});
    const box = [control, ...control.children].flatMap((part) => [...part.getClientRects()])
      .find((part) => part.width >= 8 && part.height >= 8);
    if (!box) {
      problems.push(["too small", told(control)]);
      continue;
    }
    const whole = control.getBoundingClientRect();
    if (whole.left < -1 || whole.right > document.documentElement.clientWidth + 1) {
      if (!control.closest(".ccs-scroll, .ccs-treebox")) {
        problems.push(["beside the screen", told(control), [whole.left, whole.right]]);
        continue;
      }
    }
    const style = getComputedStyle(control);
    if (style.opacity === "0" || style.visibility !== "visible") problems.push(["unseen", told(control)]);
    if (control.scrollWidth > control.clientWidth + 2 && control.matches("button, a.button, select")) {
      problems.push(["cut", told(control), [control.scrollWidth, control.clientWidth]]);
    }
    const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    if (!hit || !(control.contains(hit) || hit.contains(control))) {
      problems.push(["covered", told(control), hit && told(hit)]);
    } else if (hit !== control && hit.contains(control) && !control.matches("input[type=checkbox]")
               && hit.matches("body, main, table, tr, nav")) {
      problems.push(["not hit", told(control), told(hit)]);
    }
  }
  for (const hidden of document.querySelectorAll(`${place} .visually-hidden`)) {
    const box = hidden.getBoundingClientRect();
    if (box.width > 2 || box.height > 2) problems.push(["text for screen readers shows", told(hidden)]);
  }
  for (const heading of document.querySelectorAll(".ccs-page :is(h1, h2), .ccs-title")) {
    if (heading.checkVisibility() && heading.getBoundingClientRect().height < 12) {
      problems.push(["a heading without height", told(heading)]);
    }
  }
  for (const mark of document.querySelectorAll(".ccs-marks > li + li")) {
    const [one, two] = [mark.previousElementSibling, mark].map((m) => m.getBoundingClientRect());
    if (one.right > two.left + 1 && one.bottom > two.top + 1) problems.push(["marks overlap", told(mark)]);
  }
  for (const track of document.querySelectorAll("rect.ccs-track")) {
    const fill = getComputedStyle(track).fill;
    if (fill === "rgb(0, 0, 0)" || fill === "none") problems.push(["a bar without its colour", fill]);
  }
  const form = [...document.querySelectorAll(`${place} :is(button, select, input:not([type=hidden]))`)];
  for (const control of form) if (!control.form && !control.closest(".ccs-search")) {
    problems.push(["in no form", told(control)]);
  }
  const places = [...document.querySelectorAll(place)];
  for (const part of [document.documentElement, ...places, ...document.querySelectorAll(".ccs-rows .ccs-scroll")]) {
    const isTheirs = part === document.documentElement && !places.some((p) => p.matches(".ccs-list, .ccs-page"));
    if (!isTheirs && part.scrollWidth > part.clientWidth + 1) {
      problems.push(["scrolls sideways", part.className, part.scrollWidth, part.clientWidth]);
    }
  }
  window.scrollTo(0, 0);
  return [controls.length, problems];
}
"""


@pytest.fixture
def pages(transactional_db: None) -> dict[str, str]:
    """Store what the pages show, and return their addresses."""
    now = timezone.now()
    for number in range(11):
        session = make_session(
            entity_name=f"Łukasz Ñandú {number}",
            outcome="attention",
            needs_review=True,
            created_at=now - timedelta(days=number),
        )
        for kind in ("document_check", "identity_check", "proof_of_address_check"):
            make_check(session, type=kind)
        check = make_check(
            session, type="extensive_screening_check", outcome="attention", result=SCREENED
        )
    taken = make_session(outcome="attention", needs_review=True)
    reviewer = make_staff(superuser=True)
    take_review(taken.pk, reviewer)
    add_review_note(taken.pk, reviewer, "The passport was seen.")
    with by_hand():
        change = SessionChange.objects.create(
            session=session,
            check_id=check.check_id,
            field="outcome",
            old="clear",
            new="attention",
            observed_at=now,
            source="refresh",
        )
    run = RefreshRun.objects.create(account="default", mode="incremental", state="succeeded")
    event = WebhookEvent.objects.create(
        account="default", event_id="e1", type="workflow.session.completed", resource_id=session.pk,
        received_at=now,
    )  # fmt: skip
    return {
        "list": "workflowsession/",
        "queue": "workflowsession/?review=yes",
        "filtered": "workflowsession/?outcome=attention&q=nandu",
        "session": f"workflowsession/{session.pk}/change/",
        "decision": f"workflowsession/{taken.pk}/change/",
        "assign": f"workflowsession/{taken.pk}/assign/",
        "cases": "workflowsession/?case=open",
        "figures": "workflowsession/reviews/",
        "views": "workflowsession/views/?case=open",
        "upstream": f"workflowsession/{session.pk}/upstream/?action=validate"
        f"&check={check.check_id}&match=m1",
        "log": f"workflowsession/{session.pk}/history/",
        "overview": "workflowsession/overview/",
        "fetch": "workflowsession/fetch/",
        "checks": "relatedcheck/",
        "check": f"relatedcheck/{check.pk}/change/",
        "changes": "sessionchange/",
        "change": f"sessionchange/{change.pk}/change/",
        "runs": "refreshrun/",
        "run": f"refreshrun/{run.pk}/change/",
        "events": "webhookevent/",
        "event": f"webhookevent/{event.pk}/change/",
        "landing": "",
    }


def test_visit__search_filter_and_select(open_page: OpenPage, pages: dict[str, str]) -> None:
    """What is typed finds, a filter with fields filters beside it, and rows can be chosen."""
    page = open_page(user=make_staff(superuser=True))
    page.goto(ADMIN + pages["queue"])
    rows = page.locator("#result_list tbody tr")
    page.locator("#searchbar").fill("nandu 7")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.locator(".ccs-filters > summary").click()
    page.locator("[name=created_to]").fill("2001-01-01")
    page.locator(".ccs-filter button").last.click()
    expect(rows).to_have_count(0)
    page.wait_for_url(re.compile(r"q=nandu\+7"))
    page.goto(ADMIN + pages["list"])
    page.locator(".ccs-all").check()
    expect(page.locator(".ccs-rows .action-select:checked")).to_have_count(12)
    expect(page.get_by_text("12 of 12 selected")).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_visit__every_control(
    open_page: OpenPage, pages: dict[str, str], size: dict[str, int], colours: str
) -> None:
    """Every control is visible, inside the screen, in a form if it needs one, and on top."""
    page = open_page(theme=colours, size=size, user=make_staff(superuser=True))
    folder = PICTURES / settings.THEME
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name, address in pages.items():
        if colours == "dark" and name not in IN_THE_DARK:
            continue
        page.goto(ADMIN + address)
        page.wait_for_load_state("load")
        page.evaluate(
            "document.querySelectorAll('.ccs-filters, .ccs-ask').forEach((d) => { d.open = true; })"
        )
        count, problems = page.evaluate(CONTROLS)
        if problems or (not count and name not in WITHOUT_CONTROLS):
            found[name] = problems or "no control"
        page.evaluate(
            "document.querySelectorAll('.ccs-filters').forEach((d) => { d.open = false; })"
        )
        page.screenshot(path=folder / f"{name}-{size['width']}-{colours}.png")
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
