"""Case work in the admin: the panel on a session's page, its buttons, and the views of the list."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.models import Review, ReviewNote, WorkflowSession
from complycube_sessions.services import (
    add_review_note,
    assign_review,
    confirm_review,
    decide_review,
    take_review,
)
from tests.admin.builders import make_check, make_session, make_staff
from tests.admin.conftest import SENSITIVE, VIEWS
from tests.builders import by_hand
from tests.reviews.builders import make_user, session_id, store

pytestmark = pytest.mark.django_db
REVIEWER = (*VIEWS, SENSITIVE, "view_review", "work_review")
LEAD = (*REVIEWER, "assign_review", "confirm_review")
LIST = "admin:complycube_sessions_workflowsession_changelist"


class Desk:
    """The browser of one person who works on reviews."""

    def __init__(self, *rights: str) -> None:
        self.user: User = make_staff(*rights)
        self.client = Client()
        self.client.force_login(self.user)

    def page(self, pk: str) -> str:
        url = reverse("admin:complycube_sessions_workflowsession_change", args=[pk])
        return self.client.get(url).content.decode()

    def press(self, pk: str, do: str, **data: str) -> list[str]:
        """Press a button of the panel, and return what the next page says."""
        url = reverse("admin:complycube_sessions_workflowsession_review", args=[pk])
        said = told(self.client.post(url, {"do": do, **data}))
        self.client.get(reverse(LIST))  # shows them, so that they are not said again
        return said

    def decide(self, pk: str, choice: str, **data: str) -> list[str]:
        return self.press(pk, "decide", choice=choice, seen=seen_on(self.page(pk)), **data)

    def rows(self, **query: str) -> list[str]:
        html = self.client.get(reverse(LIST), query).content.decode()
        return re.findall(r'name="_selected_action" value="([^"]+)"', html) or re.findall(
            r'<th class="field-who"[^>]*><a href="[^"]*/workflowsession/([^/]+)/change/', html
        )


def told(response: Any) -> list[str]:
    assert response.status_code == 302
    return [str(message) for message in get_messages(response.wsgi_request)]


def seen_on(html: str) -> str:
    """Return what a page says that was seen on it."""
    (seen,) = re.findall(r'name="seen" value="([^"]*)"', html)
    return unescape(seen)


@pytest.fixture
def ada() -> Desk:
    return Desk(*REVIEWER)


@pytest.fixture
def lead() -> Desk:
    return Desk(*LEAD)


def test_case__from_the_queue_to_the_second_person(ada: Desk, lead: Desk, settings: Any) -> None:
    """A reviewer takes the next, notes and decides; a lead confirms; a turned check brings it back."""
    settings.COMPLYCUBE_FOUR_EYES = ["approved"]
    pk = store()
    assert ada.rows(case="unassigned") == [pk]

    queue = ada.client.get(
        reverse("admin:complycube_sessions_workflowsession_changelist"), {"case": "unassigned"}
    )
    response = ada.client.post(queue.context["next_url"])
    assert f"/{pk}/change/" in response["Location"]
    taken = ada.client.get(response["Location"])
    assert taken.context["back_url"].endswith("?case=unassigned")
    assert queue.context["next_url"] in taken.content.decode()
    assert "You have taken this review." in taken.content.decode()
    assert ada.press(pk, "note", note="The passport was seen.") == ["The note is kept."]
    said = ada.decide(pk, "approved:False positive", note="It is another person.")
    assert said == ["Your decision waits for a second person."]
    assert "Somebody else has to confirm" in ada.page(pk)
    assert ada.rows(case="mine") == []
    assert lead.rows(case="waiting") == [pk]
    assert lead.press(pk, "confirm") == ["The decision is confirmed."]
    assert lead.rows(case="open") == []
    assert lead.rows(case="decided") == [pk]

    store(check="attention")

    assert ada.rows(case="mine") == [pk]
    html = ada.page(pk)
    assert "Reopened:" in html
    assert "AML screening went from clear to attention" in html
    for text in ("The passport was seen.", "It is another person.", "False positive"):
        assert text in html


def test_decision__on_an_older_page(ada: Desk) -> None:
    """It is refused with what changed, and what was written stays as a note."""
    pk = store()
    seen = seen_on(ada.page(pk))
    store(check="attention")
    choice = "approved:False positive"
    refused, kept = ada.press(pk, "decide", choice=choice, seen=seen, note="My words")
    assert "AML screening went from clear to attention" in refused
    assert kept == "What you wrote is kept as a note."
    assert Review.objects.get().state == "open"
    assert [note.text for note in ReviewNote.objects.all()] == ["My words"]


def test_buttons__say_what_came_of_it(ada: Desk, lead: Desk) -> None:
    pk = store()
    assert ada.press(pk, "take") == ["You have taken this review."]
    assert lead.press(pk, "take") == ["Somebody else has taken this review."]
    assert lead.press(pk, "assign", assignee=str(lead.user.pk)) == ["The review is assigned."]
    assert ada.press(pk, "release") == ["Somebody else works on this review."]
    assert lead.press(pk, "release") == ["The review is nobody's again."]
    assert lead.press(pk, "assign", assignee="nobody") == ["The review is assigned."]
    assert lead.press(pk, "assign", assignee="4711") == ["Choose who is to work on it."]
    assert lead.press(pk, "assign", assignee=str(make_user().pk)) == [
        "Choose who is to work on it."
    ]
    assert ada.press(pk, "note", note=" ") == ["Write the note first."]
    assert ada.press(pk, "decide", choice="approved:", seen="") == [
        "The form was incomplete. Look at the page again."
    ]
    assert ada.decide(pk, "") == ["Choose a decision."]
    assert ada.decide(pk, "approved:Suspected fraud") == ["That is no reason for this decision."]
    lines = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message")
    assert set(lines) == {
        (f"{text}: {pk}", f"{text}.")
        for text in ("Review taken", "Review assigned", "Review released")
    }


def test_next__nothing_left(ada: Desk) -> None:
    url = reverse("admin:complycube_sessions_workflowsession_take-next")
    assert told(ada.client.post(url)) == ["No review is waiting that nobody has taken."]


@pytest.mark.parametrize("pk", ["a\0b", "unknown"])
def test_button__of_no_session(ada: Desk, pk: str) -> None:
    assert ada.press(pk, "take") == [f"There is no session “{pk}”."]


def test_button__with_a_nul(ada: Desk) -> None:
    url = reverse("admin:complycube_sessions_workflowsession_review", args=[store()])
    assert ada.client.post(url, {"do": "note", "note": "a\0b"}).status_code == 400


def test_panel__only_for_those_who_may() -> None:
    """One who only views sessions sees no panel, one who views reviews sees it without a form."""
    pk = store()
    add_review_note(pk, make_user(), "What I know")
    assert "ccs-case" not in Desk(*VIEWS).page(pk)
    html = Desk(*VIEWS, "view_review").page(pk)
    assert "What I know" in html
    assert "/review/" not in html


RIGHT_OF = {
    **dict.fromkeys(("take", "release", "note", "decide"), "work_review"),
    "assign": "assign_review",
    **dict.fromkeys(("confirm", "send_back"), "confirm_review"),
}


@pytest.mark.parametrize("right", ["view_review", "work_review", "assign_review", "confirm_review"])
def test_rights__each_opens_its_own_doors(right: str) -> None:
    """Each button works for who has its permission, and answers everybody else by a 403."""
    pk = store()
    desk = Desk(*VIEWS, SENSITIVE, right)
    base = "admin:complycube_sessions_workflowsession"
    review = reverse(f"{base}_review", args=[pk])
    answers = {do: desk.client.post(review, {"do": do}).status_code for do in RIGHT_OF}
    assert answers == {do: 302 if needed == right else 403 for do, needed in RIGHT_OF.items()}
    next_one = desk.client.post(reverse(f"{base}_take-next")).status_code
    assert next_one == (302 if right == "work_review" else 403)
    assign = desk.client.get(reverse(f"{base}_assign", args=[pk])).status_code
    assert assign == (200 if right == "assign_review" else 403)


def test_panel__not_where_nothing_is_to_review(ada: Desk) -> None:
    assert "ccs-case" not in ada.page(make_session().pk)


def test_panel__of_a_session_that_the_store_did_not_write(ada: Desk) -> None:
    """It can be taken from its page all the same."""
    session = make_session(outcome="attention", needs_review=True)
    assert 'value="take"' in ada.page(session.pk)
    assert ada.press(session.pk, "take") == ["You have taken this review."]


def test_panel__withdrawn(ada: Desk) -> None:
    store()
    pk = store(outcome="clear")
    assert "Closed: no review is needed any more" in ada.page(pk)


def test_panel__hostile_text(ada: Desk, settings: Any) -> None:
    """Notes, reasons and types are shown as text."""
    evil = "<img src=x onerror=alert(1)>"
    settings.COMPLYCUBE_REVIEW_REASONS = [evil]
    session = make_session(outcome="attention", needs_review=True)
    check = make_check(session, type=evil)
    add_review_note(session.pk, ada.user, evil)
    decide_review(session.pk, ada.user, "declined", evil)
    assign_review(session.pk, ada.user, ada.user)
    with by_hand():
        check.delete()
    html = ada.page(session.pk)
    assert evil not in html
    assert html.count("&lt;img src=x") >= 4


def test_panel__queries(lead: Desk, django_assert_max_num_queries: Any) -> None:
    """The whole page takes at most 11 queries, so that middleware of the host has room within 12."""
    pk = store()
    take_review(pk, make_user())
    for number in range(20):
        add_review_note(pk, make_user(), f"note {number}")
    lead.page(pk)
    with django_assert_max_num_queries(11):
        lead.page(pk)
    root = Client()
    root.force_login(make_staff(superuser=True))
    url = reverse("admin:complycube_sessions_workflowsession_change", args=[pk])
    with django_assert_max_num_queries(11):
        root.get(url)


def test_timeline__tells_the_review(ada: Desk) -> None:
    """What was done about the review stands among what happened; of a note, that there is one."""
    pk = store()
    ada.press(pk, "take")
    ada.press(pk, "note", note="The passport was seen.")
    ada.decide(pk, "approved:False positive")
    store(check="attention")
    html = ada.page(pk)
    timeline = html[html.index('id="ccs-when"') :]
    assert re.findall(r"ccs-event-review.*?Review: (?:<strong>)?(\w+)", timeline) == [
        "Taken",
        "Noted",
        "Decided",
        "Reopened",
    ]
    assert "AML screening went from clear to attention" in timeline
    assert "The passport was seen." not in timeline


@pytest.fixture
def cases(settings: Any, ada: Desk) -> dict[str, list[str]]:
    """Store reviews in all states and return what each view shows."""
    settings.COMPLYCUBE_FOUR_EYES = ["declined"]
    for number in range(1, 6):
        store(number)
    take_review(session_id(2), ada.user)
    take_review(session_id(3), make_user())
    decide_review(session_id(4), ada.user, "declined")
    decide_review(session_id(5), ada.user, "approved")
    shown = {"unassigned": [1], "mine": [2], "waiting": [4], "open": [1, 2, 3, 4], "decided": [5]}
    return {view: [session_id(n) for n in numbers] for view, numbers in shown.items()}


@pytest.mark.parametrize("view", ["unassigned", "mine", "waiting", "open", "decided"])
def test_views__of_the_list(ada: Desk, cases: dict[str, list[str]], view: str) -> None:
    """Each shows its sessions, oldest first, within the queries that a page may take."""
    assert ada.rows(case=view) == cases[view]
    with CaptureQueriesContext(connection) as queries:
        html = ada.client.get(reverse(LIST), {"case": view}).content.decode()
    assert len(queries) <= 12
    assert re.search(r'<a href="[^"]*case=' + view + '" aria-current="page"', html)
    if view == "decided":
        assert ada.user.username in html


def test_views__not_for_those_who_see_no_reviews(cases: dict[str, list[str]]) -> None:
    viewer = Desk(*VIEWS)
    assert "case=" not in viewer.client.get(reverse(LIST)).content.decode()
    assert viewer.rows(case="open") == []
    assert Desk(*REVIEWER).rows(case="nonsense") == []


def test_views__beside_another_filter(ada: Desk, cases: dict[str, list[str]]) -> None:
    assert ada.rows(case="open", outcome="attention") == cases["open"]
    assert ada.rows(case="open", outcome="review") == []


def test_views__overdue(ada: Desk) -> None:
    store()
    Review.objects.update(due_at=timezone.now() - timedelta(days=3))
    html = ada.client.get(reverse(LIST), {"case": "unassigned"}).content.decode()
    assert "overdue for 3 d" in html


def test_views__pages_of_a_long_one(ada: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that is longer than the bound is turned over by positions, and shows each session once."""
    monkeypatch.setattr("complycube_sessions.admin.paging.COUNTED", 10)
    monkeypatch.setattr("complycube_sessions.admin.sessions.WorkflowSessionAdmin.list_per_page", 5)
    start = timezone.now() - timedelta(days=30)
    for number in range(23):
        session = make_session(outcome="attention", needs_review=True)
        Review.objects.create(session=session, opened_at=start + timedelta(hours=number // 2))
    wanted = list(Review.objects.order_by("opened_at", "pk").values_list("pk", flat=True))
    url, shown = f"{reverse(LIST)}?case=unassigned", []
    while url:
        html = ada.client.get(url).content.decode()
        shown += re.findall(
            r'<th class="field-who"[^>]*><a href="[^"]*/workflowsession/([^/]+)/change/', html
        )
        following = re.search(r'<a href="([^"]+)" rel="next"', html)
        url = f"{reverse(LIST)}{unescape(following[1])}" if following else ""
    assert shown == wanted


def test_assign__many(lead: Desk, cases: dict[str, list[str]]) -> None:
    """A lead gives a selection to somebody; what cannot be assigned is named."""
    chosen = {"action": "assign_selected", "_selected_action": cases["open"]}
    url = f"{reverse(LIST)}?case=open"
    form = lead.client.post(url, chosen).content.decode()
    assert all(f'value="{pk}"' in form for pk in cases["open"])
    said = told(lead.client.post(url, {**chosen, "assignee": str(lead.user.pk)}))
    assert said[0] == "3 reviews are assigned."
    assert said[1].startswith(f"{session_id(4)}: The review cannot be assigned")
    assert set(WorkflowSession.objects.assigned_to(lead.user).values_list("pk", flat=True)) == {
        *cases["open"][:3]
    }


def test_assign__not_for_reviewers(ada: Desk) -> None:
    pk = store()
    ada.client.post(
        reverse(LIST), {"action": "assign_selected", "_selected_action": [pk], "assignee": "nobody"}
    )
    assert Review.objects.get().events.count() == 0


def test_confirm__not_by_the_same_person(lead: Desk, settings: Any) -> None:
    settings.COMPLYCUBE_FOUR_EYES = ["declined"]
    pk = store()
    decide_review(pk, lead.user, "declined")
    assert 'value="confirm"' not in lead.page(pk)
    assert lead.press(pk, "confirm") == ["Nobody confirms the own decision."]
    confirm_review(pk, make_user(), True)
    assert "Confirmed" in lead.page(pk)


def test_export__reviews_and_notes(settings: Any) -> None:
    """The file has the decision and the notes, neutralised, for those who may see reviews."""
    pk = store()
    add_review_note(pk, make_user("=2+5"), '=HYPERLINK("http://evil.example")')
    decide_review(pk, make_user("grace"), "declined", "Suspected fraud", "@SUM(1)")
    url = reverse("admin:complycube_sessions_workflowsession_export")

    def exported(*rights: str) -> list[dict[str, str]]:
        desk = Desk(*rights, "export_workflowsession")
        response: Any = desk.client.post(f"{url}?case=decided", {"format": "csv"})
        text = b"".join(response.streaming_content).decode()
        return list(csv.DictReader(text.splitlines(keepends=True)))

    (row,) = exported(*REVIEWER)
    assert (row["review_state"], row["review_decision"]) == ("decided", "declined")
    assert (row["review_reason"], row["review_decided_by"]) == ("Suspected fraud", "grace")
    assert "HYPERLINK" in row["review_notes"]
    assert not re.search(r"(^|[\n;,|]\s*)[=@+-]", row["review_notes"])
    assert exported(*VIEWS) == []


def test_export__takes_few_queries() -> None:
    """A file of many reviews takes no more queries than one of a few."""
    for number in range(1, 31):
        add_review_note(store(number), make_user(), "text")
    desk = Desk(*REVIEWER, "export_workflowsession")
    url = reverse("admin:complycube_sessions_workflowsession_export")
    with CaptureQueriesContext(connection) as queries:
        response: Any = desk.client.post(f"{url}?case=open", {"format": "csv"})
        assert len(b"".join(response.streaming_content).splitlines()) == 31
    assert len(queries) <= 15


def test_figures__of_case_work(ada: Desk, settings: Any) -> None:
    """They say how much is open, for how long and with whom, and what was decided how quickly."""
    settings.COMPLYCUBE_FOUR_EYES = ["declined"]
    now = timezone.now()
    for number in range(1, 8):
        store(number)
    take_review(session_id(1), ada.user)
    Review.objects.filter(pk__in=[session_id(1), session_id(2)]).update(opened_at=now)
    Review.objects.filter(pk=session_id(3)).update(opened_at=now - timedelta(days=2))
    Review.objects.update(due_at=now + timedelta(days=1))
    Review.objects.filter(pk=session_id(3)).update(due_at=now)
    for number, hours in ((4, 1), (5, 2), (6, 30)):
        with by_hand():
            WorkflowSession.objects.filter(pk=session_id(number)).update(
                completed_at=now - timedelta(hours=hours)
            )
        decide_review(session_id(number), ada.user, "declined" if number == 4 else "approved")
    confirm_review(session_id(4), make_user(), True)
    url = reverse("admin:complycube_sessions_workflowsession_reviews")
    with CaptureQueriesContext(connection) as queries:
        html = ada.client.get(url).content.decode()
    assert len(queries) <= 12
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "4 reviews are open" in text
    assert "1 overdue" in text
    for row in ("Today 2", "1 to 2 days 1", "7 days or more 1"):
        assert row in text
    assert f"{ada.user.username} 1" in text
    assert "Nobody yet 3" in text
    assert "3 reviews are decided" in text
    assert re.search(r"median 2 h", text)
    assert re.search(r"90 % within 1 d 6 h", text)
    assert "33 % (1)" in text
    assert re.search(r"\d{4}-\d\d-\d\d 2 1 0 0 3", text)
