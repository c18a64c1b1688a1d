"""Whom and what the lists of changes and events are about, and the way to the queue."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.models import SessionChange, WebhookEvent, WorkflowSession
from complycube_sessions.templatetags import complycube_desk
from tests.admin.builders import make_check, make_session
from tests.admin.conftest import SignIn
from tests.builders import by_hand

CHANGES = reverse("admin:complycube_sessions_sessionchange_changelist")
EVENTS = reverse("admin:complycube_sessions_webhookevent_changelist")
LANDING = reverse("admin:app_list", args=["complycube_sessions"])


@pytest.fixture
def stored(db: None) -> tuple[WorkflowSession, Any]:
    """Store a change and two events of a check and its session."""
    session = make_session(entity_name="Ann Secret")
    check = make_check(session, type="identity_check")
    now = timezone.now()
    with by_hand():
        SessionChange.objects.create(
            session=session, check_id=check.check_id, field="outcome", new="clear", observed_at=now
        )
    for kind, resource in (
        ("check.completed", check.check_id),
        ("workflow.session.completed", session.pk),
    ):
        WebhookEvent.objects.create(
            account="default", event_id=kind, type=kind, resource_id=resource, received_at=now
        )
    return session, check


@pytest.mark.parametrize("address", [CHANGES, EVENTS])
def test_lists__lead_to_person_and_check(
    sign_in: SignIn, stored: tuple[WorkflowSession, Any], address: str
) -> None:
    """A row names the person and the kind of check and links to both, in as many queries as for one."""
    session, check = stored
    client = sign_in(superuser=True)
    with CaptureQueriesContext(connection) as asked:
        html = client.get(address).text
    assert len(asked) <= 12
    assert "Ann Secret" in html
    assert "Identity Check" in html
    for row, name in ((session, "workflowsession"), (check, "relatedcheck")):
        link = reverse(f"admin:complycube_sessions_{name}_change", args=[row.pk])
        assert f'href="{link}"' in html


@pytest.mark.parametrize(
    ("address", "model"), [(CHANGES, "sessionchange"), (EVENTS, "webhookevent")]
)
def test_lists__ids_only_to_others(
    sign_in: SignIn, stored: tuple[WorkflowSession, Any], address: str, model: str
) -> None:
    """Who may see neither sessions nor checks reads ids, without a link."""
    session, check = stored
    html = sign_in(f"view_{model}").get(address).text
    assert "Ann" not in html
    assert "Identity Check" not in html
    assert check.check_id in html
    assert session.pk in html
    assert "/relatedcheck/" not in html


def test_landing__leads_to_the_queue(
    sign_in: SignIn, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of the queue stands on the link, ends at a bound, and is told to nobody else."""
    for _ in range(3):
        make_session(needs_review=True)
    make_session()
    assert "Needs review: <strong>3</strong>" in viewer.get(LANDING).text
    monkeypatch.setattr(complycube_desk, "COUNTED", 2)
    assert "Needs review: <strong>more than 2</strong>" in viewer.get(LANDING).text
    assert "Needs review" not in sign_in("view_refreshrun").get(LANDING).text


def test_list__skip_link_and_fields_of_its_form(viewer: Client) -> None:
    """The first link of a list leads to its rows, and every field of a filter belongs to its only form."""
    make_session()
    html = viewer.get(reverse("admin:complycube_sessions_workflowsession_changelist")).text
    own = html[html.index('class="ccs-list"') :]
    assert own.index('href="#ccs-rows"') < own.index("<nav")
    assert 'id="ccs-rows"' in own
    assert own.count('form="ccs-find"') == 6
    assert own.count('id="ccs-find"') == 1


def test_search__keeps_the_filters(viewer: Client) -> None:
    """The form of the search sends along what is filtered, but not its own fields twice."""
    make_session()
    query = {"outcome": "clear", "created_from": "2026-11-01", "check_type": "", "q": "john"}
    response = viewer.get(reverse("admin:complycube_sessions_workflowsession_changelist"), query)
    assert response.context["cl"].kept_parameters == [("outcome", "clear")]
    assert "check_type" not in response.context["cl"].get_query_string()
