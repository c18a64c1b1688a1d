from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from complycube_sessions.models import RelatedCheck
from tests.admin.builders import make_check, make_session
from tests.admin.conftest import SignIn

LIST = "admin:complycube_sessions_relatedcheck_changelist"
PAGE = "admin:complycube_sessions_relatedcheck_change"


def page(client: Client, check: RelatedCheck) -> str:
    response = client.get(reverse(PAGE, args=[check.pk]))
    assert response.status_code == 200
    return str(response.content.decode())


def listed(client: Client, query: str = "") -> set[int]:
    response = client.get(f"{reverse(LIST)}?{query}")
    assert response.status_code == 200
    return {check.pk for check in response.context["cl"].result_list}


def test_page__breakdown_and_sessions(reviewer: Client) -> None:
    """The page shows what was found, and every session with the same check."""
    first, second = make_session(entity_name="Ann One"), make_session(entity_name="Ann Two")
    breakdown = {"faceAnalysis": {"liveness": "attention"}}
    check = make_check(first, outcome="attention", result={"breakdown": breakdown})
    make_check(second, check_id=check.check_id)
    html = page(reviewer, check)
    assert "liveness" in html
    for session in (first, second):
        assert session.entity_name in html
        assert (
            reverse("admin:complycube_sessions_workflowsession_change", args=[session.pk]) in html
        )


def test_page__result_only_with_permission(viewer: Client) -> None:
    """Without the permission the breakdown is not on the page, and the page says why."""
    check = make_check(make_session(), result={"breakdown": {"secretAnalysis": "attention"}})
    html = page(viewer, check)
    assert "secretAnalysis" not in html
    assert "You need the permission" in html


def test_names__only_of_sessions_that_one_may_see(sign_in: SignIn) -> None:
    """Who may see checks and no sessions is told the session's id in place of the name."""
    session = make_session(entity_name="Ann Secret")
    check = make_check(session)
    client = sign_in("view_relatedcheck")
    for text in (page(client, check), client.get(reverse(LIST)).text):
        assert "Ann" not in text
        assert session.pk in text


SCREENED = {
    "breakdown": {
        "summary": {"watchlist": {"sanctionsLists": "attention", "terror": "clear"}},
        "matches": [
            {"name": "Bo Gone", "score": 88, "validation": "rejected"},
            {
                "name": "Ann Open",
                "score": 97,
                "lists": ["sanctionsLists"],
                "source": "EU list",
                "dateOfBirth": {"day": 2, "month": 3, "year": 1970},
            },
            {
                "name": "Cy Hit",
                "validation": {
                    "outcome": "confirmed",
                    "memberId": "m-7",
                    "comment": "Same passport",
                },
            },
        ],
    }
}


def test_page__table_of_matches(reviewer: Client) -> None:
    """Matches stand in a table, undecided ones first; a dismissed one is last, and no refusal."""
    check = make_check(
        make_session(), type="extensive_screening_check", outcome="attention", result=SCREENED
    )
    html = page(reviewer, check)
    table = html.split('id="ccs-matches"')[1].split("</table>")[0]
    text = re.sub(r"\s+", " ", strip_tags(table))
    assert text.index("Ann Open") < text.index("Cy Hit") < text.index("Bo Gone")
    assert "Ann Open 97 of 100 1970-03-02 Sanctions lists EU list !Undecided" in text
    assert "Confirmed hitm-7 Same passport" in text
    gone = table.split("Bo Gone")[1]
    assert "Dismissed" in gone
    assert "ccs-tone-dismissed" in gone
    assert "ccs-tone-refused" not in gone
    assert "3 possible matches: Sanctions lists (1 undecided, 1 confirmed, 1 dismissed)" in html


def test_page__matches_only_with_permission(viewer: Client) -> None:
    """Names of lists and reasons are part of the result."""
    check = make_check(
        make_session(), type="extensive_screening_check", outcome="attention", result=SCREENED
    )
    html = page(viewer, check)
    for secret in ("Ann Open", "Sanctions", "possible match", "97 of"):
        assert secret not in html.split("<article")[1]


def test_page__failed_check_waits_for_nothing(reviewer: Client) -> None:
    """A check that failed says that no outcome will come, and its tab names it."""
    check = make_check(make_session(), status="failed", outcome="", result={})
    html = page(reviewer, check)
    assert "It has no outcome, and none will come." in html
    assert "No outcome yet" not in html
    assert f"<title>Document Check {check.check_id}" in html


def test_page__no_breakdown_stored(reviewer: Client) -> None:
    """A check whose result was never fetched says so."""
    assert "No breakdown is stored" in page(reviewer, make_check(make_session(), result={}))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (["first-finding"], "first-finding"),
        ("only-finding", "only-finding"),
        (31415, "31415"),
        ({"breakdown": None}, "null"),
        ({"breakdown": ["some-finding"]}, "some-finding"),
    ],
)
def test_page__result_of_any_shape(reviewer: Client, result: object, text: str) -> None:
    """A result that is no object is shown all the same."""
    html = page(reviewer, make_check(make_session(), result=result))
    assert text in strip_tags(html).split()


def test_page__no_link_to_what_may_not_be_seen(sign_in: SignIn) -> None:
    """One who may see checks alone gets no link to sessions."""
    html = page(sign_in("view_relatedcheck"), make_check(make_session()))
    assert "/workflowsession/" not in html


def test_list__filters_and_search(viewer: Client) -> None:
    """Checks are found by type, outcome, status, day of their session, and by exact id."""
    session = make_session()
    first = make_check(session, outcome="attention")
    failed = make_check(session, type="odd_check", status="failed", outcome="")
    assert listed(viewer, "outcome=attention") == {first.pk}
    assert listed(viewer, "type=odd_check") == listed(viewer, "type=(other)") == {failed.pk}
    assert listed(viewer, "status=failed&outcome=(none)") == {failed.pk}
    assert listed(viewer, f"q={failed.check_id}") == {failed.pk}
    assert listed(viewer, f"q={session.pk}") == {first.pk, failed.pk}
    assert listed(viewer, "q=nobody") == set()
    assert listed(viewer, "created_from=2026-11-01&created_to=2026-11-01") == {first.pk, failed.pk}
    assert listed(viewer, "created_from=2026-11-02") == set()


def test_page__answer_only_with_permission(reviewer: Client, viewer: Client) -> None:
    """Document and monitoring are shown to all who see the check, the answer to those who may see it."""
    details = {"document_id": "doc-of-the-check", "monitored": True}
    check = make_check(make_session(), raw={"lastActionBy": "member-of-the-team"}, **details)
    for client, sees in ((reviewer, True), (viewer, False)):
        html = page(client, check)
        assert ("member-of-the-team" in html) is sees
        assert "doc-of-the-check" in html
        assert "Monitored" in html


def test_check__hint_to_refresh_for_those_who_may(sign_in: SignIn) -> None:
    """Only who may refresh is told that a refresh would fetch the breakdown."""
    check = make_check(make_session(), result={})
    rights = ["view_relatedcheck", "view_workflowsession", "view_sensitive_workflowsession"]
    failed = make_check(make_session(), status="failed", outcome="", result={})
    address = reverse("admin:complycube_sessions_relatedcheck_change", args=[failed.pk])
    html = sign_in(*rights, "refresh_workflowsession").get(address).content.decode()
    assert "A refresh of the session fetches it" not in html
    for more, told in ([], False), (["refresh_workflowsession"], True):
        address = reverse("admin:complycube_sessions_relatedcheck_change", args=[check.pk])
        html = sign_in(*rights, *more).get(address).content.decode()
        assert "No breakdown is stored" in html
        assert ("A refresh of the session fetches it" in html) == told
