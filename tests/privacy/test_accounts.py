"""Erasures over all accounts: those that are configured, those that were, and those that see the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.models import Erasure, RefreshRun, WebhookEvent, WorkflowSession
from complycube_sessions.privacy.erase import erase_client
from complycube_sessions.privacy.tombstones import find
from complycube_sessions.services import refresh_sessions
from tests.builders import by_hand, session_row
from tests.examples import parameters
from tests.fake_api import KEY, FakeAPI
from tests.privacy.support import NAME, Person, add_person, dump, run

pytestmark = pytest.mark.django_db
ERASE = "erase_complycube_client"


@pytest.fixture(autouse=True)
def accounts(settings: Settings) -> None:
    account = {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    settings.COMPLYCUBE_ACCOUNTS = {"a": account, "b": account}


@pytest.fixture
def person(api: FakeAPI) -> Person:
    api.add_session(1)
    return add_person(api, 40)


def test_account_removed__is_covered(person: Person, settings: Settings) -> None:
    """Sessions and events of an account that left the settings are erased as any others."""
    refresh_sessions("b")
    WebhookEvent.objects.create(account="b", event_id="e", client_id=person.client_id)
    del settings.COMPLYCUBE_ACCOUNTS["b"]

    said = run(ERASE, person.client_id, "--json")

    assert said.code == 0
    assert json.loads(said.out)["removed"]["WorkflowSession"] == 1
    assert person.client_id not in dump()
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(("account", "code"), [("b", 0), ("a", 1), ("nobody", 2)])
def test_account_removed__can_be_named(
    person: Person, settings: Settings, account: str, code: int
) -> None:
    """--account narrows, also to an account that left the settings; one that nothing names is wrong."""
    refresh_sessions("b")
    del settings.COMPLYCUBE_ACCOUNTS["b"]
    assert run(ERASE, person.client_id, "--account", account).code == code
    assert WorkflowSession.objects.filter(client_id=person.client_id).exists() is (code != 0)
    assert set(Erasure.objects.values_list("account", flat=True)) == ({"b"} if code == 0 else set())


def test_two_accounts__that_see_the_same_sessions(person: Person, settings: Settings) -> None:
    """An erasure covers the errors of the other account too, whose next run stores nobody."""
    settings.COMPLYCUBE_ACCOUNTS["b"] = {**settings.COMPLYCUBE_ACCOUNTS["b"], "TIMEOUT": 20}
    refresh_sessions("a")
    refresh_sessions("b")
    assert person.sessions[0] in RefreshRun.objects.get(account="b").errors

    assert run(ERASE, person.client_id).code == 0

    for name in ("b", "a", "b"):
        refresh_sessions(name, full=True)
    text = dump()
    for trace in person.traces:
        assert trace not in text
    assert NAME not in text


def test_account_added__knows_of_the_erasure(person: Person, settings: Settings) -> None:
    """An account that is configured after an erasure does not bring the person back."""
    refresh_sessions("a")
    erase_client(person.client_id)
    settings.COMPLYCUBE_ACCOUNTS = {"c": settings.COMPLYCUBE_ACCOUNTS["a"]}
    ended = refresh_sessions("c", full=True)
    assert ended.kept_out == 1
    assert not WorkflowSession.objects.filter(client_id=person.client_id).exists()


def test_lift__in_all_accounts(person: Person) -> None:
    """What an erasure of all accounts left is lifted in all of them, or not at all."""
    refresh_sessions("a")
    erase_client(person.client_id)
    assert run(ERASE, person.client_id, "--lift", "--account", "a").out == (
        "This client was not erased. Nothing was changed.\n"
    )
    assert run(ERASE, person.client_id, "--lift").out.startswith("Lifted: 5 hashes")
    refresh_sessions("a", full=True)
    assert WorkflowSession.objects.filter(client_id=person.client_id).exists()


# Nobody is erased


def store(*clients: str) -> None:
    for number, client_id in enumerate(clients):
        session_row(f"s{number}", account="a", client_id=client_id)


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (" the-client", ["the-client"]),
        ("the-client\n", ["the-client"]),
        ("The-CLIENT", ["the-client"]),
        ("the-client\u200b", ["the-client"]),
        ("the-clien", ["the-client"]),
        ("s1", ["the-client"]),
        ("c1", ["the-client"]),
        ("nobody", []),
    ],
)
def test_unknown__is_said(typed: str, near: list[str]) -> None:
    """Who erased nobody is told so with what may have been meant, and no hash is left."""
    store("other", "the-client")
    with by_hand():
        WorkflowSession.objects.get(pk="s1").checks.create(check_id="c1", type="t", position=0)
    for dry_run in ([], ["--dry-run"]):
        said = run(ERASE, typed, *dry_run)
        assert (said.code, said.out) == (1, "")
        assert "Nothing is stored of a client" in said.err
        for one in near:
            assert f"Did you mean '{one}'?" in said.err
        assert ("--block-unknown" in said.err) == (not near)
        in_json = json.loads(run(ERASE, typed, "--json", *dry_run).out)
        assert in_json == {"erased": False, "found": False, "near": near}
    assert not Erasure.objects.exists()
    assert WorkflowSession.objects.count() == 2


def test_unknown__blocked_when_asked_for() -> None:
    """With --block-unknown a hash is left of a client of whom nothing is stored."""
    said = run(ERASE, "nobody", "--block-unknown")
    assert (said.code, said.out.splitlines()[0]) == (0, "Erased. Removed: no rows.")
    assert find("a", clients=["nobody", "other"]).clients == {"nobody"}
    assert run(ERASE, "nobody").code == 0  # it is known by its hash


def test_unknown__only_an_event_names_the_client() -> None:
    """A client of whom only an event is stored is found."""
    WebhookEvent.objects.create(account="a", event_id="e", client_id="the-client")
    assert run(ERASE, "the-client").code == 0
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "stored", parameters(["the-client ", "  the-client", "\tthe-client"], quick={"\tthe-client"})
)
def test_spaces__of_the_vendor(stored: str, api: FakeAPI) -> None:
    """A client whose id has spaces around it is found by the id without, and does not come back."""
    person = add_person(api, 40)
    api.sessions[person.sessions[0]]["clientId"] = stored
    other = api.add_session(50, clientId="the-client")
    refresh_sessions("a")
    assert WorkflowSession.objects.get(pk=person.sessions[0]).client_id == stored
    said = run(ERASE, "the-client", "--json")
    assert json.loads(said.out)["removed"]["WorkflowSession"] == 2
    ended = refresh_sessions("a", full=True)
    assert (ended.kept_out, WorkflowSession.objects.count()) == (2, 0)
    for client_id in (stored, "the-client"):
        new: dict[str, Any] = {"clientId": client_id}
        api.add_session(60, **new)
        refresh_sessions("a", full=True)
        assert not WorkflowSession.objects.exists()
    assert other not in dump()
