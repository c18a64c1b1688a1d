"""A person with rows in every table, and a search for the person in all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connections, models
from django.utils import timezone

from complycube_sessions.evidence.build import export_evidence
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.services import refresh_sessions
from tests.admin.builders import make_staff
from tests.fake_api import FakeAPI

NAME = "Zerubabel Quillfeather"


@dataclass
class Person:
    """One client with two sessions, as the API knows them."""

    client_id: str
    sessions: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    @property
    def traces(self) -> list[str]:
        return [*NAME.split(), *(w.casefold() for w in NAME.split()), self.client_id, *self.ids]

    @property
    def ids(self) -> list[str]:
        return [*self.sessions, *self.checks]


def add_person(api: FakeAPI, *numbers: int) -> Person:
    """Let the API know a person with a session for each number, of which one needs a review."""
    person = Person(f"cli{numbers[0]:021x}")
    for number in numbers:
        session_id = api.add_session(
            number, clientId=person.client_id, entityName=NAME, outcome="attention"
        )
        person.sessions.append(session_id)
        for related in api.sessions[session_id]["allRelatedChecks"]:
            check = api.checks[related["checkId"]]
            check |= {"clientId": person.client_id, "entityName": NAME}
            check["result"] = {"outcome": "attention", "breakdown": {"extractedData": NAME}}
            person.checks.append(related["checkId"])
    return person


def leave_traces(person: Person, api: FakeAPI) -> None:
    """Store the person, and a row of every kind that can name one."""
    refresh_sessions()
    for session_id in person.sessions:
        api.touch(session_id, outcome="rejected")
    refresh_sessions()
    assert SessionChange.objects.filter(session__in=person.sessions).exists()
    assert RelatedCheck.objects.filter(result__icontains=NAME).exists()
    later = timezone.now() + timedelta(days=1)
    one, other = person.sessions[0], person.sessions[-1]
    for number, (event_type, resource, client) in enumerate(
        [
            ("workflow.session.completed", one, ""),
            ("check.completed", person.checks[0], ""),
            ("client.updated", person.client_id, person.client_id),
            ("document.created", "some-document", person.client_id),
            ("workflow.session.started", "never-stored-session", person.client_id),
        ]
    ):
        WebhookEvent.objects.create(
            account="default",
            event_id=f"trace{number}",
            type=event_type,
            resource_id=resource,
            client_id=client,
            processed_at=timezone.now() if number % 2 else None,
        )
    person.sessions.append("never-stored-session")
    WebhookEvent.objects.create(
        account="default",
        event_id="of-another",
        type="workflow.session.completed",
        resource_id="another",
        error=f"500 for {other}: try again",
        attempts=12,
        next_try_at=later,
    )
    PendingRefresh.objects.create(
        account="default", session_id=other, reason="failed", error=f"404: {other}"
    )
    PendingRefresh.objects.create(
        account="default",
        session_id="another",
        reason="failed",
        error=f"Like {other}.",
        attempts=12,
        next_try_at=later,
    )
    RefreshRun.objects.create(
        account="default",
        mode="full",
        state="partial",
        error_count=4,
        errors={
            one: "500",
            f"list of checks: {person.checks[0]}": "a bad item",
            "default": f"The list of sessions does not show {other}, which is there.",
            "another": "500",
        },
    )
    export_evidence(one)
    for row in (
        WorkflowSession.objects.get(pk=one),
        RelatedCheck.objects.filter(session=other)[0],
        PendingRefresh.objects.get(session_id=other),
    ):
        LogEntry.objects.create(
            user=make_staff(),
            content_type=ContentType.objects.get_for_model(type(row)),
            object_id=str(row.pk),
            object_repr=str(row),
            action_flag=CHANGE,
            change_message="Refreshed from ComplyCube.",
        )


def dump(using: str = "default") -> str:
    """Return every column of every row of every table as text."""
    text = []
    connection = connections[using]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - a name of the database's own
            text += [f"{table}: {row}" for row in cursor.fetchall()]
    return "\n".join(text)


def rows(model: type[models.Model]) -> list[dict[str, Any]]:
    return list(model._default_manager.order_by("pk").values())


def everything() -> str:
    """Return all rows of all models, to compare with what they are later."""
    return json.dumps({m._meta.label: rows(m) for m in apps.get_models()}, default=str)


@dataclass
class Said:
    code: int
    out: str
    err: str


def run(command: str, *arguments: str) -> Said:
    """Call a command; anything but its own error escapes."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    return Said(code, out.getvalue(), err.getvalue())
