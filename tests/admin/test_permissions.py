"""Who may do what: every address and every action of the admin, for every kind of person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.admin import refresh as refresh_admin
from complycube_sessions.exceptions import ComplyCubeServerError
from complycube_sessions.models import (
    Erasure,
    PendingRefresh,
    PruneRun,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from tests.admin.builders import make_check, make_session, make_staff
from tests.builders import by_hand

PEOPLE = ("anonymous", "staff", "reviewer", "lead", "operator", "superuser")
GROUPS = {
    "reviewer": "Compliance reviewer",
    "lead": "Compliance lead",
    "operator": "Operator",
}
SESSIONS = ("reviewer", "lead", "superuser")
RUNS = ("operator", "superuser")
REFRESH = ("lead", "operator", "superuser")
EXPORT = ("lead", "superuser")
EVIDENCE = ("lead", "superuser")
LEAD = ("lead", "superuser")
NOBODY: tuple[str, ...] = ()
ALLOWED = {200, 302}

# What is asked for, how, and who gets it. Everybody else who is signed in gets a 403.
MATRIX: list[tuple[str, str, str, tuple[str, ...]]] = [
    *[
        (model, page, method, people if page in {"changelist", "change", "history"} else NOBODY)
        for model, people in (
            ("workflowsession", SESSIONS),
            ("relatedcheck", SESSIONS),
            ("sessionchange", SESSIONS),
            ("refreshrun", RUNS),
            ("pendingrefresh", RUNS),
            ("erasure", RUNS),
            ("prunerun", RUNS),
            ("webhookevent", RUNS),
        )
        for page, method in (
            ("changelist", "get"),
            ("change", "get"),
            ("history", "get"),
            ("add", "get"),
            ("add", "post"),
            ("delete", "get"),
            ("delete", "post"),
        )
    ],
    *[
        (model, "change", "post", NOBODY)
        for model in (
            "workflowsession",
            "relatedcheck",
            "sessionchange",
            "refreshrun",
            "pendingrefresh",
            "webhookevent",
        )
    ],
    ("workflowsession", "overview", "get", SESSIONS),
    ("workflowsession", "next", "get", SESSIONS),
    ("workflowsession", "previous", "get", SESSIONS),
    ("workflowsession", "refresh", "post", REFRESH),
    ("workflowsession", "fetch", "get", REFRESH),
    ("workflowsession", "fetch", "post", REFRESH),
    ("workflowsession", "export", "post", EXPORT),
    ("workflowsession", "evidence", "post", EVIDENCE),
    ("workflowsession", "report", "post", EVIDENCE),
    ("workflowsession", "upstream", "get", LEAD),
    ("workflowsession", "upstream", "post", LEAD),
    ("workflowsession", "take-next", "post", SESSIONS),
    *[
        ("workflowsession", f"review:{do}", "post", SESSIONS)
        for do in ("take", "release", "note", "decide")
    ],
    *[
        ("workflowsession", f"review:{do}", "post", LEAD)
        for do in ("assign", "confirm", "send_back")
    ],
    ("workflowsession", "review:nonsense", "post", NOBODY),
    ("workflowsession", "assign", "get", LEAD),
    ("workflowsession", "reviews", "get", SESSIONS),
    ("workflowsession", "views", "get", SESSIONS),
    ("workflowsession", "views", "post", SESSIONS),
]


@pytest.fixture
def rows(db: None) -> dict[str, Any]:
    """Return one row of each model, by its name."""
    session = make_session()
    now = timezone.now()
    with by_hand():
        return {
            "workflowsession": session,
            "relatedcheck": make_check(session),
            "sessionchange": SessionChange.objects.create(
                session=session,
                field="outcome",
                old="",
                new="clear",
                observed_at=now,
                source="refresh",
            ),
            "refreshrun": RefreshRun.objects.create(account="default", mode="incremental"),
            "pendingrefresh": PendingRefresh.objects.create(
                account="default", session_id=session.pk, reason="failed"
            ),
            "erasure": Erasure.objects.create(
                account="default", kind="client", digest="0" * 64, actor="command"
            ),
            "prunerun": PruneRun.objects.create(actor="command"),
            "webhookevent": WebhookEvent.objects.create(
                account="default",
                event_id="e1",
                type="check.completed",
                received_at=now,
                processed_at=now,
            ),
        }


@pytest.fixture
def as_person(db: None) -> Callable[[str], Client]:
    """Return the browser of one kind of person, with the groups that the command creates."""
    call_command("create_complycube_groups", verbosity=0)

    def browser(person: str) -> Client:
        client = Client()
        if person != "anonymous":
            user = make_staff(superuser=person == "superuser")
            if person in GROUPS:
                user.groups.set([Group.objects.get(name=GROUPS[person])])
            client.force_login(user)
        return client

    return browser


@pytest.fixture(autouse=True)
def _vendor_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a refresh reach the service and no further."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ComplyCubeServerError("500", status_code=500)

    monkeypatch.setattr(refresh_admin, "refresh_session", refuse)


def ask(client: Client, model: str, page: str, method: str, row: Any) -> HttpResponseBase:
    page, _colon, do = page.partition(":")
    without_row = {
        "changelist",
        "add",
        "overview",
        "fetch",
        "export",
        "reviews",
        "take-next",
        "views",
    }
    needs_row = page not in without_row
    address = reverse(
        f"admin:complycube_sessions_{model}_{page}", args=[row.pk] if needs_row else []
    )
    data = {"session_id": "5eb-unknown", "account": "default", "post": "yes", "do": do}
    response: HttpResponseBase = getattr(client, method)(
        address, data if method == "post" else None
    )
    return response


def got(response: HttpResponseBase) -> str:
    """Return what an answer means: the login, a refusal, what was asked for, or its status."""
    if response.status_code == 302 and "/login/" in response["Location"]:
        return "login"
    if response.status_code in ALLOWED:
        return "answer"
    return "refusal" if response.status_code == 403 else str(response.status_code)


@pytest.mark.parametrize("person", PEOPLE)
def test_address__only_for_those_who_may(
    rows: dict[str, Any], as_person: Callable[[str], Client], person: str
) -> None:
    """Each address answers those who may use it, sends strangers to the login, refuses all others."""
    client = as_person(person)
    refused = "login" if person == "anonymous" else "refusal"
    faults = []
    for model, page, method, people in MATRIX:
        expected = "answer" if person in people else refused
        response = ask(client, model, page, method, rows[model])
        if (found := got(response)) != expected:
            faults.append(f"{method.upper()} {model} {page}: {found} instead of {expected}")
    assert faults == [], person


def test_action__only_for_those_who_may(
    rows: dict[str, Any], as_person: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh of a selection needs its permission, and no action deletes for anybody."""
    asked: list[str] = []

    def note(session_id: str, **kwargs: Any) -> WorkflowSession:
        asked.append(session_id)
        return WorkflowSession.objects.get(pk=session_id)

    monkeypatch.setattr(refresh_admin, "refresh_session", note)
    session = rows["workflowsession"]
    may = []
    for person in PEOPLE:
        client = as_person(person)
        for action in ("refresh_selected", "delete_selected", "nonsense"):
            choose(client, action, session)
            if asked:
                may.append((person, action))
            assert asked in ([], [session.pk])
            asked.clear()
            left = (WorkflowSession.objects.count(), RelatedCheck.objects.count())
            assert left == (1, 1), f"{person}: {action}"
    assert may == [
        (person, "refresh_selected") for person in PEOPLE if person in {*REFRESH} & {*SESSIONS}
    ]


def test_action__on_events(rows: dict[str, Any], as_person: Callable[[str], Client]) -> None:
    """Only those who see the inbox and may refresh have an event processed again."""
    event = rows["webhookevent"]
    may = []
    for person in PEOPLE:
        client = as_person(person)
        for action in ("process_again", "delete_selected"):
            event.save()  # processed
            choose(client, action, event)
            if not WebhookEvent.objects.filter(processed_at=event.processed_at).exists():
                may.append((person, action))
    assert WebhookEvent.objects.count() == 1
    assert may == [(person, "process_again") for person in PEOPLE if person in RUNS]


def choose(client: Client, action: str, row: Any) -> None:
    """Choose a row in its list and an action for it."""
    client.post(
        reverse(f"admin:complycube_sessions_{row._meta.model_name}_changelist"),
        {"action": action, "_selected_action": [row.pk], "post": "yes"},
    )


@pytest.mark.parametrize(
    ("model", "people"),
    [("relatedcheck", SESSIONS), ("sessionchange", SESSIONS), ("refreshrun", RUNS)],
)
def test_other_lists__have_no_action(
    rows: dict[str, Any],
    as_person: Callable[[str], Client],
    model: str,
    people: tuple[str, ...],
) -> None:
    """The lists of checks, changes and runs offer nothing to do, and do nothing."""
    client = as_person(people[-1])
    address = reverse(f"admin:complycube_sessions_{model}_changelist")
    client.post(
        address,
        {"action": "delete_selected", "_selected_action": [rows[model].pk], "post": "yes"},
    )
    assert type(rows[model]).objects.count() == 1
    assert 'name="action"' not in client.get(address).content.decode()


@pytest.mark.parametrize("page", ["refresh", "export", "evidence", "report", "review", "take-next"])
def test_get__changes_nothing(
    rows: dict[str, Any], as_person: Callable[[str], Client], page: str
) -> None:
    """What is recorded in the log is asked for by POST."""
    response = ask(as_person("superuser"), "workflowsession", page, "get", rows["workflowsession"])
    assert response.status_code == 405


def test_post_without_token__403(rows: dict[str, Any], as_person: Callable[[str], Client]) -> None:
    """A refresh, a fetch and every export need the token against forged requests."""
    client = as_person("superuser")
    client.handler.enforce_csrf_checks = True
    for page in (
        "refresh",
        "fetch",
        "export",
        "evidence",
        "report",
        "upstream",
        "review:take",
        "take-next",
        "views",
    ):
        row = rows["workflowsession"]
        assert ask(client, "workflowsession", page, "post", row).status_code == 403


def test_groups__can_be_created_again(db: None) -> None:
    """The command can be run again; what somebody added to a group stays."""
    from django.contrib.auth.models import Permission

    call_command("create_complycube_groups", verbosity=0)
    group = Group.objects.get(name="Operator")
    extra = Permission.objects.get(codename="view_user")
    group.permissions.add(extra)
    group.permissions.remove(Permission.objects.get(codename="view_refreshrun"))
    call_command("create_complycube_groups", verbosity=0)
    names = set(group.permissions.values_list("codename", flat=True))
    assert names == {
        "view_user",
        "view_refreshrun",
        "view_webhookevent",
        "view_pendingrefresh",
        "view_erasure",
        "view_prunerun",
        "refresh_workflowsession",
    }
    assert Group.objects.count() == 3


def test_sensitive__not_for_operators(
    rows: dict[str, Any], as_person: Callable[[str], Client]
) -> None:
    """An operator sees neither sessions nor checks, whatever the address."""
    client = as_person("operator")
    for model in ("workflowsession", "relatedcheck", "sessionchange"):
        assert ask(client, model, "change", "get", rows[model]).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["workflowsession", "refreshrun"])
def test_history__does_not_tell_what_is_stored(model: str) -> None:
    """Staff without rights get the same answer for a row that is there and for one that is not."""
    row = make_session() if model == "workflowsession" else _run()
    client = Client()
    client.force_login(make_staff())
    name = f"admin:complycube_sessions_{model}_history"
    answers = {client.get(reverse(name, args=[key])).status_code for key in (row.pk, "4711")}
    assert answers == {403}


def _run() -> RefreshRun:
    return RefreshRun.objects.create(account="default", mode="full", started_at=timezone.now())


@pytest.mark.django_db
@pytest.mark.parametrize("superuser", [False, True])
@pytest.mark.parametrize(
    "page", ["change", "history", "delete", "refresh", "evidence", "report", "upstream"]
)
@pytest.mark.parametrize("key", ["a\0b", "9" * 40])
def test_pages__ids_that_no_row_can_have(page: str, key: str, *, superuser: bool) -> None:
    """An id with a NUL, or of any length, is one that is not there; without rights it is refused."""
    client = Client()
    client.force_login(make_staff(superuser=superuser))
    ask = client.post if page in {"refresh", "evidence", "report"} else client.get
    response = ask(reverse(f"admin:complycube_sessions_workflowsession_{page}", args=[key]))
    assert response.status_code == (302 if superuser and page != "delete" else 403)


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["relatedcheck", "sessionchange", "refreshrun", "webhookevent"])
@pytest.mark.parametrize("key", ["a\0b", "abc", "", "9" * 40, "-1", "1.5"])
def test_pages__keys_that_are_no_numbers(model: str, key: str) -> None:
    """A row whose key is a number is not there under a text, and an action on it is a bad request."""
    client = Client()
    client.force_login(make_staff(superuser=True))
    if key:
        for page in ("change", "history"):
            url = reverse(f"admin:complycube_sessions_{model}_{page}", args=[key])
            assert client.get(url).status_code == 302
    action = {"action": "process_again", "_selected_action": [key]}
    url = reverse(f"admin:complycube_sessions_{model}_changelist")
    assert client.post(url, action).status_code in ({200, 302} if key == "-1" else {400})
