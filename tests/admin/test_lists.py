"""The rows of a list, beside those that Django makes of the same list."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse

from complycube_sessions.admin.sessions import WorkflowSessionAdmin
from complycube_sessions.models import RefreshRun, WorkflowSession
from tests.admin.builders import make_session, make_staff
from tests.admin.test_pages import HOSTILE, MARKUP, store_hostile

LISTS = (
    "workflowsession_changelist",
    "workflowsession_changelist?review=yes",
    "workflowsession_changelist?outcome=(other)&o=-1&p=1",
    "workflowsession_changelist?q=nobody",
    "workflowsession_changelist?_popup=1&_to_field=id",
    "relatedcheck_changelist?o=1",
    "sessionchange_changelist",
    "refreshrun_changelist",
    "pendingrefresh_changelist",
    "webhookevent_changelist",
    "erasure_changelist",
)


class HostAdmin(WorkflowSessionAdmin):
    """A list as a host project may make it of ours."""

    list_display = ["texts", "who", "day", "nothing", "blank", "number", "unsafe", "pair"]
    list_display_links = ["who", "day"]
    empty_value_display = "-none-"

    def texts(self, session: WorkflowSession) -> str:
        return MARKUP

    def day(self, session: WorkflowSession) -> date:
        return date(2026, 11, 1)

    @admin.display(empty_value="<unknown>")
    def nothing(self, session: WorkflowSession) -> None:
        return None

    def blank(self, session: WorkflowSession) -> str:
        return "  "

    def number(self, session: WorkflowSession) -> int:
        return 0

    def unsafe(self, session: WorkflowSession) -> list[str]:
        return [MARKUP, "&"]

    def pair(self, session: WorkflowSession) -> bool:
        return True


class FieldsAdmin(HostAdmin):
    """One with columns that are no methods, and one that is shown as an icon."""

    list_display = ["id", "icon", "outcome", "client_id", "__str__"]
    list_display_links = None  # type: ignore[assignment]

    @admin.display(boolean=True)
    def icon(self, session: WorkflowSession) -> bool:
        return session.needs_review


class NoLinksAdmin(HostAdmin):
    list_display = ["day", "who"]
    list_display_links = None  # type: ignore[assignment]


def rows(cl: ChangeList, tag: str) -> str:
    """Return the rows that a tag makes, without the labels of a narrow screen and spaces between elements."""
    template = Template("{% load admin_list complycube_lists %}{% " + tag + " cl %}")
    html = template.render(Context({"cl": cl, "opts": cl.opts}))
    _, _, body = html.partition("<tbody")
    body = re.sub(r' data-label="[^"]*"', "", body.partition(">")[2].partition("</tbody>")[0])
    return re.sub(r"\s+", " ", body).replace("> <", "><").replace(" >", ">")


def assert_same(cl: ChangeList) -> None:
    own, other = rows(cl, "complycube_result_list"), rows(cl, "result_list")
    assert own == other
    assert own.count("<tr>") == len(cl.result_list)


@pytest.mark.parametrize("address", LISTS)
def test_table__as_django_makes_it(address: str, sign_in: Any) -> None:
    """Every list of the app, over hostile rows, is cell for cell what Django would show."""
    client: Client = sign_in(superuser=True)
    for text in HOSTILE:
        store_hostile(text, depth=3, length=600)
    name, _, query = address.partition("?")
    response = client.get(f"{reverse(f'admin:complycube_sessions_{name}')}?{query}")
    assert response.status_code == 200
    assert_same(response.context["cl"])
    assert MARKUP not in response.content.decode()


def test_list__without_a_search(sign_in: Any) -> None:
    """A list that offers no search shows its rows, whatever an address searches for."""
    RefreshRun.objects.create(account="default")
    client: Client = sign_in(superuser=True)
    response = client.get(reverse("admin:complycube_sessions_refreshrun_changelist"), {"q": "x"})
    assert response.status_code == 200
    assert response.context["cl"].result_count == 1


@pytest.mark.parametrize("admin_class", [HostAdmin, FieldsAdmin, NoLinksAdmin])
@pytest.mark.parametrize("query", ["", "outcome=clear", "o=1"])
def test_table__of_a_host(
    db: None, rf: RequestFactory, query: str, admin_class: type[WorkflowSessionAdmin]
) -> None:
    """Columns of a host project's own class look as Django would show them."""
    make_session(entity_name=MARKUP, outcome="clear")
    make_session(pk="a/b?c", entity_name="", outcome="clear")
    request = rf.get(
        reverse("admin:complycube_sessions_workflowsession_changelist"), QUERY_STRING=query
    )
    request.user = make_staff(superuser=True)
    cl = admin_class(WorkflowSession, admin.site).get_changelist_instance(request)
    cl.formset = None  # as the view does
    assert len(cl.result_list) == 2
    assert_same(cl)
