"""
The endpoints of the ComplyCube API for clients and webhooks.

Source:
    API reference, "Clients", "Webhooks".
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from project.sandbox import answers
from project.sandbox.answers import RefusedError, endpoint
from project.sandbox.audit import write_entry
from project.sandbox.data import Body, iso
from project.sandbox.events import announce, client_event
from project.sandbox.listing import CLIENT_FILTERS, WEBHOOK_FILTERS
from project.sandbox.models import SandboxClient, SandboxWebhook

MOST_WEBHOOKS: Final = 20
KINDS: Final = ("person", "company")
CLIENT_FIELDS: Final = {
    "email": str,
    "mobile": str,
    "telephone": str,
    "joinedDate": str,
    "personDetails": dict,
    "companyDetails": dict,
    "externalId": str,
    "metadata": dict,
}
WEBHOOK_FIELDS: Final = {"url": str, "enabled": bool, "events": list, "description": str}
LOOPBACK: Final = ("127.0.0.1", "localhost")


@endpoint("GET", "POST")
def clients(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return answers.listed(request, SandboxClient.objects.all(), CLIENT_FILTERS)
    sent = answers.sent_json(request)
    kind = sent.get("type")
    if kind not in KINDS:
        raise RefusedError("'type' must be `person` or `company`", param="type")
    if not sent.get("email"):
        raise RefusedError("'email' must be provided", param="email")
    details = f"{kind}Details"
    if not sent.get(details):
        message = f"'{details}' must be provided when client type is `{kind}`"
        raise RefusedError(message, param=details)
    now = iso(timezone.now())
    client = {"id": secrets.token_hex(12), "type": kind, **_client_fields(sent)}
    return _store_client({**client, "createdAt": now, "updatedAt": now}, "create")


@endpoint("GET", "POST", "DELETE")
def client(request: HttpRequest, client_id: str) -> HttpResponse:
    text = answers.body_of(SandboxClient.objects.all(), "client", client_id, column="item")
    if request.method == "GET":
        return answers.answer(text)
    body = json.loads(text)
    if request.method == "POST":
        given = _client_fields(answers.sent_json(request))
        return _store_client({**body, **given, "updatedAt": iso(timezone.now())}, "update")
    with transaction.atomic():
        # What becomes of the client's sessions and checks is documented nowhere: here they stay.
        SandboxClient.objects.filter(pk=client_id).delete()
        write_entry("client", body, "deleteClient", [], timezone.now())
    announce([client_event("client.deleted", body)])
    return HttpResponse(status=204)


@endpoint("GET", "POST")
def webhooks(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return answers.listed(request, SandboxWebhook.objects.all(), WEBHOOK_FILTERS)
    sent = answers.sent_json(request)
    for name in ("url", "enabled", "events"):
        if sent.get(name) is None:
            raise RefusedError(f"'{name}' must be provided", param=name)
    if SandboxWebhook.objects.count() >= MOST_WEBHOOKS:
        raise RefusedError(f"No more than {MOST_WEBHOOKS} webhooks can be created")
    now = iso(timezone.now())
    body = {"id": secrets.token_hex(12), **_webhook_fields(sent), "createdAt": now}
    body["updatedAt"] = now
    secret = secrets.token_hex(16)
    SandboxWebhook.from_body(body, secret).save(force_insert=True)
    # Told here, and never again.
    return answers.answer(json.dumps({**body, "secret": secret}))


@endpoint("GET", "POST", "DELETE")
def webhook(request: HttpRequest, webhook_id: str) -> HttpResponse:
    text = answers.body_of(SandboxWebhook.objects.all(), "webhook", webhook_id, column="item")
    if request.method == "GET":
        return answers.answer(text)
    row = SandboxWebhook.objects.get(pk=webhook_id)
    if request.method == "DELETE":
        row.delete()
        return HttpResponse(status=204)
    given = _webhook_fields(answers.sent_json(request))
    body = {**json.loads(text), **given, "updatedAt": iso(timezone.now())}
    SandboxWebhook.from_body(body, row.secret).save(force_update=True)
    return answers.answer(json.dumps(body))


def _store_client(body: Body, action: str) -> HttpResponse:
    person, company = body.get("personDetails", {}), body.get("companyDetails", {})
    names = [person.get(name) for name in ("firstName", "middleName", "lastName")]
    body["entityName"] = " ".join(map(str, filter(None, names))) or str(company.get("name", ""))
    with transaction.atomic():
        SandboxClient.from_body(body).save()
        write_entry("client", body, f"{action}Client", [], timezone.now())
    announce([client_event(f"client.{action}d", body)])
    return answers.answer(json.dumps(body))


def _client_fields(sent: Body) -> Body:
    return {name: value for name, value in _typed(sent, CLIENT_FIELDS).items() if value != ""}


def _webhook_fields(sent: Body) -> Body:
    given = _typed(sent, WEBHOOK_FIELDS)
    if "url" in given and not _is_allowed(given["url"]):
        raise RefusedError("'url' must be an HTTPS address", param="url")
    if not all(isinstance(event, str) for event in given.get("events", [])):
        raise RefusedError("'events' must be a list of event types", param="events")
    return given


def _typed(sent: Body, types: Mapping[str, type]) -> Body:
    """Return what was sent of these fields; null is a field that is left out."""
    given = {name: sent[name] for name in types if sent.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, types[name]):
            raise RefusedError(f"'{name}' is of the wrong type", param=name)
    return given


def _is_allowed(url: str) -> bool:
    """Return whether a webhook may lead there; the receiver on this machine has no certificate."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
