"""The recipes of ``docs/api-recipes.md`` answer whom they should, and nothing writes by way of an API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework import permissions, serializers, viewsets

from complycube_sessions.exceptions import MirrorWriteError
from complycube_sessions.models import WorkflowSession
from tests.admin.builders import make_check, make_session
from tests.admin.conftest import SENSITIVE, VIEWS, SignIn, sign_in
from tests.docs.pages import DOCS, blocks
from tests.docs.test_snippets import Page

__all__ = ["sign_in"]

pytestmark = [pytest.mark.django_db, pytest.mark.repository]

APIS = ("rest", "ninja")


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Serve what the page shows."""
    monkeypatch.setenv("NINJA_SKIP_REGISTRY", "1")  # the page may be run before
    page = Page(monkeypatch)
    for block in blocks(DOCS / "api-recipes.md"):
        page.run(block)
    settings.ROOT_URLCONF = "desk.urls"


@pytest.fixture
def session() -> WorkflowSession:
    """Return a session that is not clear, with two checks."""
    session = make_session(outcome="attention", needs_review=True, tasks=[{"id": "task-secret"}])
    for _ in range(2):
        make_check(session, result={"outcome": "attention", "note": "result-secret"})
    return session


@pytest.mark.parametrize("api", APIS)
def test_recipes__show_what_one_may_see(
    api: str, session: WorkflowSession, sign_in: SignIn
) -> None:
    """Strangers and staff without permission see nothing, viewers nothing sensitive, and nobody the raw answer."""
    addresses = [f"/{api}/sessions/", f"/{api}/sessions/{session.pk}/"]
    for address in addresses:
        assert Client().get(address).status_code in {401, 403}
        assert sign_in("view_workflowsession").get(address).status_code == 403
        assert sign_in("view_relatedcheck", SENSITIVE).get(address).status_code == 403
        for client in (sign_in(*VIEWS), sign_in(*VIEWS, SENSITIVE)):
            shown = client.get(address)
            assert shown.status_code == 200
            assert session.pk in shown.text
            assert "document_check" in shown.text
            assert "raw-secret" not in shown.text
        told = sign_in(*VIEWS).get(address).text
        assert "task-secret" not in told
        assert "result-secret" not in told


def test_recipes__sensitive_to_those_who_may(session: WorkflowSession, sign_in: SignIn) -> None:
    """The permission for it shows results and tasks."""
    reviewer, viewer = sign_in(*VIEWS, SENSITIVE), sign_in(*VIEWS)
    for address in ("/rest/sessions/", f"/rest/sessions/{session.pk}/"):
        text = reviewer.get(address).text
        assert "task-secret" in text
        assert "result-secret" in text
    results = f"/ninja/sessions/{session.pk}/results/"
    assert "result-secret" in reviewer.get(results).text
    assert viewer.get(results).status_code == 403


@pytest.mark.parametrize("api", APIS)
def test_recipes__only_read(api: str, session: WorkflowSession, sign_in: SignIn) -> None:
    """No method but GET is answered, not even to a superuser."""
    root = sign_in(superuser=True)
    for address in (f"/{api}/sessions/", f"/{api}/sessions/{session.pk}/"):
        for method in (root.post, root.put, root.patch, root.delete):
            answer = method(address, {"outcome": "clear"}, content_type="application/json")
            assert answer.status_code == 405
    session.refresh_from_db()
    assert session.outcome == "attention"


@pytest.mark.parametrize("api", APIS)
def test_recipes__pages_of_few_queries(
    api: str, sign_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    """A list costs the same however long it is, follows its cursor to the end, and knows no foreign id."""
    made = {make_session().pk for _ in range(60)}
    reviewer = sign_in(*VIEWS, SENSITIVE)
    found: list[str] = []
    address: str | None = f"/{api}/sessions/"
    while address:
        # The signed-in session and user, their permissions, the rows and their checks.
        with django_assert_max_num_queries(6):
            answer = reviewer.get(address).json()
        found += [row["id"] for row in answer["results"]]
        address = answer["next"]
    assert (len(found), set(found)) == (60, made)
    assert reviewer.get(f"/{api}/sessions/unknown/").status_code == 404


def test_recipes__queue(session: WorkflowSession, sign_in: SignIn) -> None:
    """A question that the querysets answer is one line of the recipe."""
    make_session()
    answer = sign_in(*VIEWS).get("/rest/sessions/?needs_review=1").json()
    assert [row["id"] for row in answer["results"]] == [session.pk]


class NaiveSerializer(serializers.ModelSerializer):  # type: ignore[misc]  # has no stubs
    class Meta:
        model = WorkflowSession
        fields = "__all__"


class NaiveViewSet(viewsets.ModelViewSet):  # type: ignore[misc]
    queryset = WorkflowSession.objects.all()
    serializer_class = NaiveSerializer
    permission_classes = [permissions.AllowAny]


class NaiveUrls:
    urlpatterns = [
        path("", NaiveViewSet.as_view({"post": "create"})),
        path(
            "<pk>/",
            NaiveViewSet.as_view({"put": "update", "patch": "partial_update", "delete": "destroy"}),
        ),
    ]


def test_naive_viewset__cannot_write(session: WorkflowSession, settings: Settings) -> None:
    """Who takes ModelViewSet all the same gets an error of the server, and every row stays as it was."""
    settings.ROOT_URLCONF = NaiveUrls
    before = list(WorkflowSession.objects.values())
    client = Client(raise_request_exception=False)
    with pytest.raises(MirrorWriteError):
        Client().patch(f"/{session.pk}/", {"outcome": "clear"}, content_type="application/json")
    whole = {**NaiveSerializer(session).data, "outcome": "clear"}
    for answer in (
        client.patch(f"/{session.pk}/", {"outcome": "clear"}, content_type="application/json"),
        client.put(f"/{session.pk}/", whole, content_type="application/json"),
        client.post("/", {**whole, "id": "forged"}, content_type="application/json"),
        client.delete(f"/{session.pk}/"),
    ):
        assert answer.status_code == 500
    assert list(WorkflowSession.objects.values()) == before
