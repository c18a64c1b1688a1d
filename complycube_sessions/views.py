"""The webhook view: it verifies the vendor's events, stores them durably, and responds at once."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from complycube_sessions import tracing
from complycube_sessions.api.sealing import sealed
from complycube_sessions.conf import webhook_secrets
from complycube_sessions.db.connections import outside_transactions, patience
from complycube_sessions.exceptions import ComplyCubePayloadError, ComplyCubeSignatureError
from complycube_sessions.webhooks.dispatch import process_soon
from complycube_sessions.webhooks.rate_limited_log import RateLimitedLog
from complycube_sessions.webhooks.receive import (
    MAX_EVENT_BYTES,
    SIGNATURE_HEADER,
    EventPayload,
    parse_event,
    store_event,
    verify_signature,
)

# How long to retry on a locked database; the vendor waits for the response, and sends the event again without one.
PATIENCE_SECONDS: Final = 5.0

log_refused = RateLimitedLog(logging.WARNING)
log_unstored = RateLimitedLog(logging.ERROR)


@csrf_exempt
@login_not_required
@outside_transactions
@sensitive_variables("event")
def webhook(request: HttpRequest, account: str) -> HttpResponse:
    """
    Store one event durably and respond with 200; a request that is no signed event gets a bare 400.

    Unknown accounts, accounts without a secret and wrong signatures get the same response.
    """
    if request.method != "POST":
        return _silently(HttpResponseNotAllowed(["POST"]))
    try:
        event = _signed_event(request, account)
    except (ComplyCubeSignatureError, ComplyCubePayloadError) as error:
        # Do not log the account, as it comes from a stranger's URL.
        name = type(error).__name__
        log_refused(f"Refused a webhook request: {name}.", error=name)
        return _silently(HttpResponse(status=400))
    try:
        with patience(PATIENCE_SECONDS), _span_of(account, event):
            waiting = store_event(account, event)
    except (DatabaseError, InterfaceError) as error:
        # The vendor sends it again.
        name = type(error).__name__
        log_unstored(f"A webhook event could not be stored: {name}.", account=account, error=name)
        return _silently(HttpResponse(status=503))
    if waiting is not None:
        process_soon(account, waiting)
    return HttpResponse()


def _span_of(account: str, event: EventPayload) -> AbstractContextManager[None]:
    """Return the span of a signed event, with its type as the vendor's word."""
    attributes = {"complycube.account": account, "complycube.event_type": event.type}
    return tracing.span("complycube.webhook_event", attributes)


@sealed(lambda error: ComplyCubePayloadError(f"It cannot be read ({type(error).__name__})."))
def _signed_event(request: HttpRequest, account: str) -> EventPayload:
    body = _bounded_body(request)
    signature = request.headers.get(SIGNATURE_HEADER, "")
    verify_signature(body, signature, webhook_secrets(account))
    return parse_event(body)


def _bounded_body(request: HttpRequest) -> bytes:
    """Return the raw body, without reading more than the maximum size of an event."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit() and len(length) < 10):
        raise ComplyCubePayloadError("The length of the body is no number.")
    if int(length) > MAX_EVENT_BYTES:
        raise ComplyCubePayloadError("The body is too large.")
    try:
        # Another middleware may have read it already.
        body = request.body if hasattr(request, "_body") else request.read(MAX_EVENT_BYTES + 1)
    except (RawPostDataException, RequestDataTooBig, UnreadablePostError) as error:
        raise ComplyCubePayloadError(f"The body cannot be read ({type(error).__name__}).") from None
    if len(body) > MAX_EVENT_BYTES:
        raise ComplyCubePayloadError("The body is too large.")
    return bytes(body)


def _silently(response: HttpResponse) -> HttpResponse:
    """Keep Django from logging the response, as strangers may cause millions of them."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
