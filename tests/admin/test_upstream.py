"""Changing something at the vendor from the admin: what the page says, what is sent, what is told."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.exceptions import ComplyCubeError
from complycube_sessions.models import (
    AuditEntry,
    RelatedCheck,
    UpstreamChange,
    WorkflowSession,
)
from complycube_sessions.services import refresh_session
from complycube_sessions.upstream import guards
from tests.admin.conftest import SENSITIVE, VIEWS, SignIn
from tests.builders import by_hand
from tests.fake_api import FakeAPI, Reply
from tests.upstream.sessions import allow_changes, checks_of, store_attention, store_started

pytestmark = pytest.mark.django_db
UPSTREAM = "change_upstream_workflowsession"


@pytest.fixture(autouse=True)
def allowed(settings: Settings) -> None:
    allow_changes(settings)


@pytest.fixture
def lead(sign_in: SignIn) -> Client:
    return sign_in(*VIEWS, SENSITIVE, UPSTREAM)


@pytest.fixture
def started(api: FakeAPI) -> str:
    return store_started(api)


@pytest.fixture
def review(api: FakeAPI) -> str:
    """Return a session whose document and screening are in need of attention."""
    return store_attention(api)


def page_of(session_id: str) -> str:
    return reverse("admin:complycube_sessions_workflowsession_change", args=[session_id])


def links(client: Client, url: str) -> list[str]:
    """Return the addresses of the changes that a page offers."""
    text = client.get(url).content.decode()
    return [html.unescape(found) for found in re.findall(r'href="([^"]*/upstream/[^"]*)"', text)]


def check_page(check_id: str) -> str:
    check = RelatedCheck.objects.get(check_id=check_id)
    return reverse("admin:complycube_sessions_relatedcheck_change", args=[check.pk])


def submit(client: Client, url: str, **given: str) -> HttpResponse:
    """Open the page of a change, and send its form as a browser does."""
    text = client.get(url).content.decode()
    found = re.search(r'name="seen" value="([^"]*)"', text)
    assert found, text
    response = client.post(url, {"seen": html.unescape(found[1]), **given}, follow=True)
    assert isinstance(response, HttpResponse)
    return response


def told(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize(
    ("number", "action", "status"), [(0, "complete", "processing"), (1, "cancel", "cancelled")]
)
def test_session__from_its_page(
    lead: Client, api: FakeAPI, started: str, number: int, action: str, status: str
) -> None:
    """A started session offers both ways on; the page says what will happen, the change is told and logged."""
    offered = links(lead, page_of(started))
    assert len(offered) == 2
    page = lead.get(offered[number]).content.decode()
    assert "cannot be undone" in page
    assert "Person 2" in page
    assert api.posts == []

    response = submit(lead, offered[number])
    assert told(response) == ["ComplyCube has done it."]
    assert response.redirect_chain == [(page_of(started), 302)]  # type: ignore[attr-defined]
    assert api.posts == [(f"/workflowSessions/{started}/{action}", {})]
    assert WorkflowSession.objects.get().status == status
    user = User.objects.get()
    line = LogEntry.objects.get()
    assert (line.object_id, line.user_id) == (started, user.pk)
    assert line.change_message.endswith("at ComplyCube: done.")
    text = response.content.decode()
    assert f"by user {user.pk}" in text
    assert "asked of ComplyCube" in text
    assert links(lead, page_of(started)) == []


def test_check__from_its_page(lead: Client, api: FakeAPI, review: str) -> None:
    """A document is decided on with a comment, which goes to the vendor and stays nowhere here."""
    document = checks_of(api, review)[0]
    (offered,) = links(lead, check_page(document))
    assert offered in links(lead, page_of(review))
    page = lead.get(offered).content.decode()
    assert "and becomes clear" in page
    response = submit(lead, offered, outcome="confirmed", comment="Seen in person.")
    assert told(response) == ["ComplyCube has done it."]
    assert api.posts == [
        (f"/checks/{document}/validate", {"outcome": "confirmed", "comment": "Seen in person."})
    ]
    assert RelatedCheck.objects.get(check_id=document).outcome == "clear"
    assert "person" not in LogEntry.objects.get().change_message
    assert document in LogEntry.objects.get().change_message


def test_match__from_the_page_of_its_check(lead: Client, api: FakeAPI, review: str) -> None:
    """Each match of a screening is decided on by itself, on a page that shows it, escaped."""
    screening = checks_of(api, review)[2]
    (offered,) = links(lead, check_page(screening))
    assert "· undecided" in lead.get(check_page(screening)).content.decode()
    page = lead.get(offered).content.decode()
    assert "false positive" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    submit(lead, offered, outcome="rejected")
    assert api.posts == [
        (f"/checks/{screening}/validate", {"outcome": "rejected", "matchId": "m1"})
    ]
    assert RelatedCheck.objects.get(check_id=screening).outcome == "clear"


def test_links__only_where_something_can_be_done(
    lead: Client, reviewer: Client, sign_in: SignIn, api: FakeAPI, started: str, review: str,
    settings: Settings,
) -> None:  # fmt: skip
    """No permission, no setting, no sight of matches, a check that runs: no link."""
    document, _, screening = checks_of(api, review)
    pages = [page_of(started), page_of(review), check_page(document), check_page(screening)]
    assert all(links(lead, url) for url in pages)
    assert not any(links(reviewer, url) for url in pages)
    blind = sign_in(*VIEWS, UPSTREAM)
    assert links(blind, check_page(document))
    assert not links(blind, check_page(screening))
    with by_hand():
        RelatedCheck.objects.update(status="pending")
    assert not any(links(lead, url) for url in pages[1:])
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = False
    assert not any(links(lead, url) for url in pages)


def test_off__nothing_is_sent(lead: Client, api: FakeAPI, started: str, settings: Settings) -> None:
    """Where the settings forbid it, an address that was kept says so."""
    offered = links(lead, page_of(started))
    settings.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = False
    for response in (
        lead.get(offered[0], follow=True),
        lead.post(offered[0], {"seen": ""}, follow=True),
    ):
        assert told(response) == ["This site does not allow changes at ComplyCube."]
    assert api.posts == []


def test_permissions__with_the_setting_on(sign_in: SignIn, api: FakeAPI, review: str) -> None:
    """Without the permission, without a view of sessions, and for a match without the sensitive one: 403."""
    document, _, screening = checks_of(api, review)
    base = reverse("admin:complycube_sessions_workflowsession_upstream", args=[review])
    of_check = f"{base}?action=validate&check={document}"
    of_match = f"{base}?action=validate&check={screening}&match=m1"
    for codenames, check, match in (
        ((UPSTREAM,), 403, 403),
        ((*VIEWS, SENSITIVE), 403, 403),
        ((*VIEWS, UPSTREAM), 200, 403),
        ((*VIEWS, UPSTREAM, SENSITIVE), 200, 200),
    ):
        client = sign_in(*codenames)
        assert client.get(of_check).status_code == check
        assert client.get(of_match).status_code == match
        assert client.post(of_match, {}).status_code == match
    assert api.posts == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "action=erase",
        "action=validate",
        "action=validate&check=nobody",
        "action=validate&check=a%00b",
        "action=validate&check={screening}",
        "action=validate&check={screening}&match=m9",
    ],
)
def test_address__of_nothing(lead: Client, api: FakeAPI, review: str, query: str) -> None:
    """An address that names no change is not found."""
    url = reverse("admin:complycube_sessions_workflowsession_upstream", args=[review])
    query = query.format(screening=checks_of(api, review)[2])
    assert lead.get(f"{url}?{query}").status_code == 404
    assert lead.post(f"{url}?{query}").status_code == 404


def test_form__needs_a_decision(lead: Client, api: FakeAPI, review: str) -> None:
    """Without a decision, with another word, or with too long a comment, the page comes again."""
    (offered,) = links(lead, check_page(checks_of(api, review)[0]))
    for given in ({}, {"outcome": "pending"}, {"outcome": "confirmed", "comment": "x" * 4001}):
        response = submit(lead, offered, **given)
        assert response.status_code == 200
        assert "errorlist" in response.content.decode()
    assert api.posts == []


def test_form__page_older_than_the_row(lead: Client, api: FakeAPI, review: str) -> None:
    """A decision on a page that shows what is no longer so is not sent, and the page comes again."""
    screening = checks_of(api, review)[2]
    (offered,) = links(lead, check_page(screening))
    seen = re.search(r'name="seen" value="([^"]*)"', lead.get(offered).content.decode())
    assert seen
    match = {"id": "m1", "validation": "confirmed"}
    api.checks[screening]["result"]["breakdown"]["matches"] = [match]
    api.touch_check(screening, "match_confirmed")
    refresh_session(review)
    given = {"seen": html.unescape(seen[1]), "outcome": "rejected"}
    response = lead.post(offered, given, follow=True)
    assert told(response) == [
        "This has changed since you opened the page. Nothing was sent. Look at it again."
    ]
    assert api.posts == []


def lost(do: Callable[[], Reply]) -> Reply:
    return 502, {}, b""


def done_but_lost(do: Callable[[], Reply]) -> Reply:
    do()
    return 502, {}, b""


def refused(status: int) -> Callable[[Callable[[], Reply]], Reply]:
    return lambda do: (status, {}, b"{}")


@pytest.mark.parametrize(
    ("fault", "words", "state"),
    [
        (done_but_lost, "shows that the change was done", "done."),
        (lost, "does not show the change", "not done (ComplyCubeLostAnswerError)."),
        (refused(401), "rejects the API key (401)", "not done (ComplyCubeAuthenticationError)."),
        (refused(403), "may not change this (403)", "not done (ComplyCubePermissionError)."),
        (refused(404), "does not know what", "not done (ComplyCubeNotFoundError)."),
        (refused(409), "refused the change (409)", "not done (ComplyCubeAPIError)."),
        (refused(429), "no more requests", "not done (ComplyCubeRateLimitError)."),
    ],
)
def test_told__what_became_of_it(
    lead: Client, api: FakeAPI, started: str, fault: Any, words: str, state: str
) -> None:
    """Whatever the vendor answers is told in words and logged, and one request was sent."""
    api.change_faults[f"/workflowSessions/{started}/cancel"] = fault
    response = submit(lead, links(lead, page_of(started))[1])
    assert words in " ".join(told(response))
    assert len(api.posts) == 1
    assert LogEntry.objects.get().change_message == f"Cancellation at ComplyCube: {state}"


def test_told__cannot_be_known(lead: Client, api: FakeAPI, started: str) -> None:
    """Where the session cannot be fetched either, the portal is where to look."""
    offered = links(lead, page_of(started))[1]
    api.change_faults[f"/workflowSessions/{started}/cancel"] = done_but_lost
    api.fail(f"/workflowSessions/{started}", 500)
    response = submit(lead, offered)
    assert "cannot be told whether" in told(response)[0]
    assert "answer lost; not known whether done" in response.content.decode()
    assert UpstreamChange.objects.get().state == "unknown"


def test_told__rule_of_the_site(lead: Client, api: FakeAPI, started: str) -> None:
    """What a guard says is told, escaped."""

    @guards.add_guard
    def refuse(change: object, user: object) -> None:
        raise ComplyCubeError("A <second> person has to agree.")

    try:
        response = submit(lead, links(lead, page_of(started))[0])
    finally:
        guards.remove_guard(refuse)
    assert told(response) == ["Nothing was changed: A <second> person has to agree."]
    assert "A &lt;second&gt; person" in response.content.decode()
    assert api.posts == []


def test_session__that_is_not_there(lead: Client) -> None:
    """An unknown id leads to the list, with a word."""
    url = reverse("admin:complycube_sessions_workflowsession_upstream", args=["nobody"])
    response = lead.get(f"{url}?action=cancel", follow=True)
    assert told(response) == ["There is no session “nobody”."]
    assert lead.delete(url).status_code == 405


def test_timeline__audit_log(reviewer: Client, viewer: Client, api: FakeAPI, review: str) -> None:
    """The vendor's log is in the timeline; what differs only for who may see results, escaped."""
    check = checks_of(api, review)[0]
    with by_hand():
        AuditEntry.objects.create(
            session_id=review,
            entry_id="a1",
            resource_type="check",
            resource_id=check,
            member_id="member1",
            trigger="validateCheck",
            action="update",
            diff=[{"path": ["name"], "new": "<script>alert(2)</script>"}],
            fetched_at=timezone.now(),
        )
    text = reviewer.get(page_of(review)).content.decode()
    assert "by team member member1" in text
    assert "validate check" in text
    assert "&lt;script&gt;alert(2)" in text
    assert "<script>alert" not in text
    text = viewer.get(page_of(review)).content.decode()
    assert "by team member member1" in text
    assert "alert(2)" not in text


def test_refresh__tells_that_the_audit_log_failed(
    sign_in: SignIn, api: FakeAPI, review: str, settings: Settings
) -> None:
    """The session is up to date, and why its log is not is said as well."""
    settings.COMPLYCUBE_AUDIT_LOGS = True
    api.fail("/auditLogs", 403)
    client = sign_in(*VIEWS, "refresh_workflowsession")
    url = reverse("admin:complycube_sessions_workflowsession_refresh", args=[review])
    assert told(client.post(url, follow=True)) == [
        "The session is up to date.",
        "The audit log could not be fetched: The API key or the plan has no access to audit logs (403).",
    ]
