"""The receiver of the vendor's events: believe nobody, lose nothing, answer at once."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from complycube_sessions.api.sealing import sealed
from complycube_sessions.api.webhooks import (
    MAX_EVENT_BYTES,
    SIGNATURE_HEADER,
    EventPayload,
    parse_event,
    verify_signature,
)
from complycube_sessions.conf import conf, webhook_secrets
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubePayloadError,
    ComplyCubeSignatureError,
)
from complycube_sessions.services.database import outside_transactions, write_alias
from complycube_sessions.services.events import store_event
from complycube_sessions.services.inbox import process_here

logger = logging.getLogger("complycube_sessions.webhook")

SECONDS_BETWEEN_WARNINGS: Final = 60.0


class RareLog:
    """A log whose messages come at most once a minute, each with the number of those left out."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._lock = threading.Lock()
        self._said_at: float | None = None
        self._silent = 0

    def __call__(self, message: str, **extra: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self._said_at is not None and now - self._said_at < SECONDS_BETWEEN_WARNINGS:
                self._silent += 1
                return
            silent, self._silent, self._said_at = self._silent, 0, now
        logger.log(
            self._level,
            "%s (%d more since the last such line)",
            message,
            silent,
            extra={**extra, "left_out": silent},
        )


log_refused = RareLog(logging.WARNING)
log_unstored = RareLog(logging.ERROR)
log_unqueued = RareLog(logging.WARNING)


@csrf_exempt
@login_not_required
@outside_transactions
@sensitive_variables("event")
def webhook(request: HttpRequest, account: str) -> HttpResponse:
    """
    Store one event durably and answer 200; whatever is not a signed event gets a bare 400.

    An unknown account, an account without a secret and a wrong signature answer alike.
    """
    if request.method != "POST":
        return _silently(HttpResponseNotAllowed(["POST"]))
    try:
        event = _signed_event(request, account)
    except (ComplyCubeSignatureError, ComplyCubePayloadError) as error:
        # Not the account: what a stranger asks for is no name of ours.
        name = type(error).__name__
        log_refused(f"Refused a webhook request: {name}.", error=name)
        return _silently(HttpResponse(status=400))
    try:
        waiting = store_event(account, event)
    except (DatabaseError, InterfaceError) as error:
        # The vendor sends it again.
        name = type(error).__name__
        log_unstored(f"A webhook event could not be stored: {name}.", account=account, error=name)
        return _silently(HttpResponse(status=503))
    if waiting is not None:
        # On SQLite a middleware's open transaction holds the event until then.
        transaction.on_commit(partial(_process_soon, account, waiting), using=write_alias())
    return HttpResponse()


@sealed(lambda error: ComplyCubePayloadError(f"It cannot be read ({type(error).__name__})."))
def _signed_event(request: HttpRequest, account: str) -> EventPayload:
    body = _bounded_body(request)
    signature = request.headers.get(SIGNATURE_HEADER, "")
    verify_signature(body, signature, webhook_secrets(account))
    return parse_event(body)


def _process_soon(account: str, event: int) -> None:
    """Hand a stored event to whoever processes it; where that fails, it waits in the inbox."""
    try:
        mode = conf.COMPLYCUBE_WEBHOOK_PROCESSING
    except ComplyCubeConfigurationError as error:
        log_unqueued(str(error), account=account)
        return
    if mode == "off":
        return
    try:
        is_enqueued = mode != "process" and _enqueue(mode, event)
    except Exception as error:  # noqa: BLE001 - engines share no class of errors, and the event is stored
        name = type(error).__name__
        log_unqueued(f"A webhook event waits in the inbox: {name} of the task engine.", error=name)
        return
    if not is_enqueued:
        process_here(account)


def _enqueue(mode: str, event: int) -> bool:
    """Give an event to the project's task engine; return whether there is one."""
    if mode == "celery":
        # Only a project that asks for it has Celery.
        from complycube_sessions import celery_tasks

        celery_tasks.process_webhook_event.apply_async((event,), retry=False)
        return True
    # Importing the tasks asks the project's engine whether it can run them.
    from complycube_sessions import tasks

    if mode == "auto" and not tasks.has_task_engine():
        return False
    tasks.process_webhook_event.enqueue(event)
    return True


def _bounded_body(request: HttpRequest) -> bytes:
    """Return the raw body, and read no more of it than an event may have."""
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
    """Return a response of which Django writes no line of its own, as strangers may ask for millions."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
