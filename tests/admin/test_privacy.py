from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from complycube_sessions.models import Erasure, PruneRun
from complycube_sessions.privacy.erase import erase_client
from tests.admin.builders import NOON, make_check, make_session
from tests.admin.conftest import SignIn


@pytest.fixture
def operator(sign_in: SignIn) -> Client:
    return sign_in("view_erasure", "view_prunerun")


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    address = reverse(f"admin:complycube_sessions_{name}", args=args)
    response = client.get(address, query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_erasures__list_and_page(operator: Client, django_assert_max_num_queries: Any) -> None:
    """An operator sees the beginning of each hash, when, who and why, and nothing of the person."""
    session = make_session(client_id="the-client", entity_name="Zerubabel Quill")
    make_check(session)
    erase_client("the-client", actor="user 7", reason="request <17>", override="court")
    with django_assert_max_num_queries(12):
        html = page(operator, "erasure_changelist")
    client = Erasure.objects.get(kind="client")
    for text in (client.digest[:12], "user 7", "request &lt;17&gt;", "court", "Client", "Check"):
        assert text in html
    assert client.digest not in html
    row = page(operator, "erasure_change", client.pk)
    for text in (client.digest, "user 7", "request &lt;17&gt;", "court", "all accounts"):
        assert text in row
    # It tells what the erasure has removed.
    assert "<dt>RelatedCheck</dt><dd>1</dd>" in row
    for text in ("Quill", session.pk, "the-client"):
        assert text not in html + row


def test_erasures__filter_and_search(operator: Client) -> None:
    """An erasure is found by its kind and by the beginning of its hash."""
    make_session(client_id="the-client")
    erase_client("the-client")
    for kind in ("client", "session"):
        mark = Erasure.objects.get(kind=kind).digest[:12]
        other = Erasure.objects.exclude(kind=kind).get().digest[:12]
        for query in ({"kind": kind}, {"q": mark}):
            html = page(operator, "erasure_changelist", **query)
            assert f"<code>{mark}</code>" in html
            assert f"<code>{other}</code>" not in html


def test_erasures__filter_of_an_account(operator: Client, settings: Settings) -> None:
    """An account shows its own erasures and those of all accounts, and no other account's."""
    account = {"API_KEY": "test_x"}
    settings.COMPLYCUBE_ACCOUNTS = {"a": account, "b": account}
    marks = {}
    for name in ("a", "b", None):
        erase_client(f"client-{name}", account=name, block_unknown=True)
        marks[name] = Erasure.objects.latest("pk").digest[:12]
    html = page(operator, "erasure_changelist", account="a")
    assert marks["a"] in html
    assert marks[None] in html
    assert marks["b"] not in html


def test_prune_runs__list_and_page(operator: Client) -> None:
    """A retention run shows what it removed, who started it, and why protection did not count."""
    run = PruneRun.objects.create(
        started_at=NOON,
        finished_at=NOON,
        actor="command",
        override="audit <closed>",
        removed={"WorkflowSession": 7, "RelatedCheck": 21},
        protected=3,
    )
    html = page(operator, "prunerun_changelist")
    for text in ("28", "command", "audit &lt;closed&gt;"):
        assert text in html
    html = page(operator, "prunerun_change", run.pk)
    for text in ("WorkflowSession", "21", "audit &lt;closed&gt;", "Protected sessions"):
        assert text in html
