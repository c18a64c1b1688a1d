from __future__ import annotations

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from complycube_sessions.admin.base import ReadOnlyAdmin
from complycube_sessions.models import WorkflowSession
from tests.admin.builders import NOON, make_check, make_session
from tests.admin.conftest import VIEWS, SignIn
from tests.fake_api import FakeAPI

LIST = "admin:complycube_sessions_workflowsession_changelist"
PAGE = "admin:complycube_sessions_workflowsession_change"


def page(client: Client, session: WorkflowSession) -> str:
    response = client.get(reverse(PAGE, args=[session.pk]))
    assert response.status_code == 200
    return str(response.content.decode())


def listed(client: Client, query: str = "") -> list[str]:
    """Return the ids of the sessions that the list shows, in its order."""
    response = client.get(f"{reverse(LIST)}?{query}")
    assert response.status_code == 200
    return [session.pk for session in response.context["cl"].result_list]


def test_list__shows_each_session(viewer: Client) -> None:
    """A row has name, outcome, status, workflow with version, checks and times."""
    session = make_session(
        entity_name="Zoë Müller", outcome="attention", workflow_version=7, created_at=NOON
    )
    make_check(session, type="identity_check", outcome="not_processed")
    html = viewer.get(reverse(LIST)).content.decode()
    assert "Zoë Müller" in html
    assert "Attention" in html
    assert "Complete" in html
    assert "v7" in html
    assert "Identity Check: Not processed" in html
    assert "2026-11-01 12:00" in html


def test_list__newest_first(viewer: Client) -> None:
    """The newest session of the vendor's time stands on top."""
    old, new = make_session(), make_session()
    assert listed(viewer) == [new.pk, old.pk]


@pytest.mark.parametrize("outcome", ["", "attention", "approved", "CLEAR", "clear "])
def test_list__only_clear_is_good(viewer: Client, outcome: str) -> None:
    """An outcome that is missing or unknown never looks like a clear one."""
    make_session(outcome=outcome)
    assert "ccs-tone-clear" not in viewer.get(reverse(LIST)).content.decode()


@pytest.mark.parametrize("rows", [10, 100])
def test_list__queries(
    viewer: Client,
    rows: int,
    django_assert_max_num_queries: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list of 100 sessions needs no more queries than one of 10, and loads no large column."""
    monkeypatch.setattr(ReadOnlyAdmin, "list_per_page", 100)
    for _ in range(rows):
        make_check(make_session())
    with django_assert_max_num_queries(12) as queries:  # type: ignore[operator]
        assert len(listed(viewer)) == rows
    for query in queries.captured_queries:
        for large in ("raw", "result", "tasks", "compliance_policies", "policy_assurance"):
            assert f'"{large}"' not in query["sql"]


def test_page__every_field(reviewer: Client) -> None:
    """Every stored field of a session stands on its page."""
    session = make_session(
        client_id="client-1",
        workflow_template_description="About the template",
        workflow_id="workflow-1",
        workflow_description="About the version",
        last_completed_task_id="task_id_123",
        tasks=[{"id": "task_id_123", "name": "Take a photo"}],
        compliance_policies=[{"name": "AML policy"}],
        policy_assurance=[{"name": "AML policy", "outcome": "review"}],
    )
    html = page(reviewer, session)
    for field in WorkflowSession._meta.concrete_fields:
        value = getattr(session, field.name)
        if isinstance(value, str) and value and field.name not in {"status", "outcome"}:
            assert value in html, field.name
    for text in ("Take a photo", "AML policy", "Review", "raw-secret"):
        assert text in html


def test_page__reasons_first(viewer: Client) -> None:
    """A check that is not clear stands above the clear ones, whatever its position."""
    session = make_session()
    make_check(session, type="document_check", position=0)
    make_check(session, type="identity_check", position=1, outcome="attention")
    html = page(viewer, session)
    assert html.index("Identity Check") < html.index("Document Check")
    assert "1 of 2 checks is not clear" in html


NAME_DIFFERS = {"clientValidation": {"name": {"outcome": "attention", "similarity": 62}}}
SIX_FINDINGS = {f"analysis{number}": {"part": "attention"} for number in range(1, 7)}


def test_page__says_why(reviewer: Client) -> None:
    """The reasons of each check that is not clear stand on the page, cut at five with a link to the check."""
    session = make_session(outcome="attention")
    first = make_check(session, outcome="attention", result={"breakdown": NAME_DIFFERS})
    many = make_check(
        session, type="identity_check", outcome="attention", result={"breakdown": SIX_FINDINGS}
    )
    clear = make_check(session, type="eid_check", result={"breakdown": SIX_FINDINGS})
    html = page(reviewer, session)
    assert "Name differs from the document: 62 % alike" in html
    assert "Analysis 5 / Part: needs a look" in html
    assert "Analysis 6 / Part: needs a look" not in html
    address = "admin:complycube_sessions_relatedcheck_change"
    assert f'<a href="{reverse(address, args=[many.pk])}">1 more reason</a>' in html
    assert html.index("Name differs") < html.index(reverse(address, args=[clear.pk]))
    assert html.count("needs a look") == 5
    assert first.check_id in html


def test_page__reasons_only_for_those_who_may_see_results(
    viewer: Client, django_assert_max_num_queries: object
) -> None:
    """Reasons tell from the result; who may not see it is told the outcome alone, and it is not read."""
    session = make_session(outcome="attention")
    make_check(session, outcome="attention", result={"breakdown": NAME_DIFFERS})
    with django_assert_max_num_queries(12) as queries:  # type: ignore[operator]
        html = page(viewer, session)
    assert "Name differs" not in html
    assert "62 %" not in html.split("Why")[1].split("What happened last")[0]
    assert "Attention" in html
    asked = [query["sql"] for query in queries.captured_queries]
    assert not [sql for sql in asked if re.search('[`"]result[`"]', sql)]


def test_page__huge_result_is_left_to_its_page(reviewer: Client) -> None:
    """A result that would make everybody wait is read on the page of its check alone."""
    session = make_session(outcome="attention")
    make_check(session, outcome="attention", result={"breakdown": NAME_DIFFERS, "x": "y" * 300_000})
    html = page(reviewer, session)
    assert "The page of the check tells why" in html
    assert "Name differs" not in html


def test_page__clear_session_that_waits(reviewer: Client) -> None:
    """A clear session whose check turned afterwards says so on top, and has no green bar."""
    session = make_session(needs_review=True)
    make_check(session, outcome="attention")
    html = page(reviewer, session)
    assert "This session was clear. A check has changed since" in html
    assert "ccs-hero-clear" not in html
    quiet = page(reviewer, make_session())
    assert "ccs-hero-clear" in quiet
    assert "A check has changed since" not in quiet


@pytest.mark.parametrize(
    ("status", "text"),
    [("processing", "No outcome yet"), ("cancelled", "No outcome"), ("abandoned", "No outcome")],
)
def test_page__an_outcome_only_where_one_can_come(viewer: Client, status: str, text: str) -> None:
    """What was cancelled waits for nothing."""
    session = make_session(status=status, outcome="")
    make_check(session, status="failed", outcome="")
    html = page(viewer, session)
    assert f"<bdi>{text}</bdi>" in html
    assert "It has no outcome, and none will come." in html


def test_page__tasks_stand_with_their_checks(reviewer: Client) -> None:
    """A task is folded into the line of its check; others are listed, and none is said twice."""
    tasks = [
        {"taskId": "t1", "name": "Scan the passport", "type": "check", "subType": "document_check"},
        {"taskId": "t2", "name": "Wave goodbye", "createdAt": "2026-11-01T12:00:30Z"},
    ]
    session = make_session(tasks=tasks, raw={})
    make_check(session, task_id="t1")
    html = page(reviewer, session)
    assert html.count("Scan the passport") == 1
    row = html.split("Scan the passport")[0].rsplit("<tr", 1)[1]
    assert "Document Check" in row
    assert html.count("Wave goodbye") == 2  # in the timeline, and among the tasks


def test_page__policies_in_words(viewer: Client) -> None:
    """An undocumented word is told apart from one that is no approval, in the legend too."""
    session = make_session(
        compliance_policies=[{"id": "p", "title": "FATF", "version": 3, "enabled": True}],
        policy_assurance=[{"id": "p", "outcome": "not_met", "checks": ["a", "b"]}],
    )
    html = page(viewer, session)
    assert "Not met" in html
    assert "ccs-tone-undocumented" in html
    assert "ComplyCube does not document this word" in html
    assert "Based on 2 checks" in html
    for raw in ("not_met", "enabled", "2 entries"):
        assert raw not in html
    known = make_session(
        policy_assurance=[{"title": "AML", "outcome": "rejected"}],
    )
    assert "does not document" not in page(viewer, known)


def test_page__type_without_a_name_reads_as_words(viewer: Client) -> None:
    """A check of a type that is not known has a name all the same."""
    session = make_session()
    make_check(session, type="company_check")
    assert "Company check" in page(viewer, session)


def test_page__title_of_the_tab(viewer: Client) -> None:
    """Tabs are told apart by the id of the session."""
    session = make_session()
    assert f"<title>Session {session.pk}" in page(viewer, session)


def test_page__leads_back_to_the_same_list(sign_in: SignIn, api: FakeAPI) -> None:
    """From a session one goes back to the filters and the page that it was opened from, after an action too."""
    session = make_session(outcome="attention", needs_review=True)
    make_session(outcome="attention", needs_review=True)
    client = sign_in(*VIEWS, "refresh_workflowsession")
    html = client.get(f"{reverse(LIST)}?review=yes&outcome=attention").content.decode()
    address = next(
        unescape(link) for link in re.findall(r'href="([^"]+)"', html) if session.pk in link
    )
    html = client.get(address).content.decode()
    back = f"{reverse(LIST)}?review=yes&amp;outcome=attention"
    assert html.count(f'href="{back}"') == 2  # in the trail of pages, and above the name
    assert "Back to the queue" in html
    action = unescape(next(re.finditer(r'action="([^"]+/refresh/[^"]*)"', html))[1])
    response = client.post(action)
    assert response.status_code == 302
    assert f'href="{back}"' in client.get(response["Location"]).content.decode()
    assert "Back to the" not in page(client, session)


@pytest.mark.parametrize("state", ["x" * 2_000, "//evil.example", "a=\0", "&" * 800, "%", "a=%ff"])
def test_page__a_state_that_no_list_has(viewer: Client, state: str) -> None:
    """Whatever stands in the address, the way back leads to the list of this site."""
    session = make_session()
    response = viewer.get(reverse(PAGE, args=[session.pk]), {"_changelist_filters": state})
    assert response.status_code == 200
    back = response.context["back_url"]
    assert back == reverse(LIST) or back.startswith(f"{reverse(LIST)}?")


def test_queue__first_reason(reviewer: Client, viewer: Client) -> None:
    """The queue shows the first reason of the worst check, or its outcome to one who may see no results."""
    session = make_session(outcome="attention", needs_review=True)
    make_check(session, type="eid_check", outcome="not_processed")
    make_check(session, outcome="attention", result={"breakdown": NAME_DIFFERS})
    make_session(outcome="attention", needs_review=True)
    for client, reason in (
        (reviewer, "Name differs from the document: 62 % alike"),
        (viewer, "Attention"),
    ):
        html = client.get(f"{reverse(LIST)}?review=yes").content.decode()
        assert f"<bdi>Document Check</bdi>: <bdi>{reason}</bdi>" in html
        assert 'class="field-reason"' in html
    assert "field-reason" not in reviewer.get(reverse(LIST)).content.decode()


def test_page__failed_is_not_not_processed(viewer: Client) -> None:
    """A check that failed to run and one that could not process its input are told apart."""
    session = make_session()
    make_check(session, status="failed", outcome="")
    make_check(session, outcome="not_processed")
    html = page(viewer, session)
    assert "Failed to run" in html
    assert "Not processed" in html


def test_page__sensitive_only_with_permission(viewer: Client) -> None:
    """Without the permission, neither the answer nor the tasks are on the page."""
    session = make_session(tasks=[{"name": "Take a photo"}])
    html = page(viewer, session)
    assert "raw-secret" not in html
    assert "Take a photo" not in html


def test_page__unknown_id_goes_to_the_list(viewer: Client) -> None:
    """An id that is not stored leads back to the list with a message."""
    response = viewer.get(reverse(PAGE, args=["nobody"]), follow=True)
    assert response.redirect_chain == [(reverse(LIST), 302)]
    assert "nobody" in response.content.decode()


def test_pages__hostile_name_is_text(reviewer: Client) -> None:
    """Markup in a name is text on the list and on the page."""
    session = make_session(entity_name="<script>alert(1)</script>")
    for html in (page(reviewer, session), reviewer.get(reverse(LIST)).content.decode()):
        assert "<script>alert(1)" not in html
        assert "&lt;script&gt;alert(1)" in html


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("lukasz", True),
        ("ŁUKA ñan", True),
        ("Ñandú łukasz", True),
        ("ukasz", False),
        ("lukasz smith", False),
        ("5eb-session", True),
        ("5eb-client", True),
        ("5eb-check", True),
        ("  5eb-client ", True),
        ("5eb-clien", False),
        ("%", False),
    ],
)
def test_search__by_id_and_by_word(viewer: Client, typed: str, found: bool) -> None:
    """Ids are matched whole, words of a name by their beginning, without accents and case."""
    session = make_session(
        id="5eb-session", client_id="5eb-client", entity_name="Łukasz Ñandú-Øster"
    )
    make_check(session, check_id="5eb-check")
    make_session(entity_name="Anna Smith")
    response = viewer.get(reverse(LIST), {"q": typed})
    shown = [row.pk for row in response.context["cl"].result_list]
    assert shown == ([session.pk] if found else [])


def test_nobody_writes(sign_in: SignIn) -> None:
    """Not even a superuser adds, changes or deletes a session, by page, by form or by action."""
    client = sign_in(superuser=True)
    session = make_session()
    base = "admin:complycube_sessions_workflowsession"
    change = reverse(f"{base}_change", args=[session.pk])
    assert client.get(reverse(f"{base}_add")).status_code == 403
    assert client.post(reverse(f"{base}_add"), {"id": "x"}).status_code == 403
    assert client.post(change, {"outcome": "clear"}).status_code == 403
    assert client.get(reverse(f"{base}_delete", args=[session.pk])).status_code == 403
    assert (
        client.post(reverse(f"{base}_delete", args=[session.pk]), {"post": "yes"}).status_code
        == 403
    )
    client.post(
        reverse(LIST),
        {"action": "delete_selected", "_selected_action": [session.pk], "post": "yes"},
    )
    assert WorkflowSession.objects.filter(pk=session.pk).exists()


def test_staff_without_permission__403(sign_in: SignIn) -> None:
    """A member of staff without the view permissions sees neither list nor page."""
    client = sign_in()
    session = make_session()
    assert client.get(reverse(LIST)).status_code == 403
    assert client.get(reverse(PAGE, args=[session.pk])).status_code == 403
