"""
The endpoints of the ComplyCube API for workflow sessions and checks.

Source:
    API reference, "Get a workflow session", "List workflow sessions", "Complete a workflow session",
    "Cancel a workflow session", "Get a check", "List checks", "Generate a workflow session report", "Errors".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec

from django.core import signing
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from project.sandbox import API_KEY
from project.sandbox.data import iso, pending_checks
from project.sandbox.listing import (
    CHECK_FILTERS,
    LONGEST_VALUE,
    SESSION_FILTERS,
    Paging,
    PagingError,
    list_json,
)
from project.sandbox.models import SandboxCheck, SandboxSession, to_json
from project.sandbox.report import report_pdf

REPORT_SECONDS = 600
REPORT_SALT = "project.sandbox.report"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def endpoint(method: str | None = None) -> Callable[[View[P]], View[P]]:
    """Make a view answer only to the API key and to one method (any when left out), and always with a ``Date``."""

    def decorate(view: View[P]) -> View[P]:
        @csrf_exempt
        @functools.wraps(view)
        def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not constant_time_compare(request.headers.get("Authorization", ""), API_KEY):
                response = _error(401, "unauthorized", "The 'Authorization' header is invalid")
            elif method and request.method != method:
                response = _unknown_path(request)
            else:
                response = view(request, *args, **kwargs)
            response["Date"] = http_date()
            return response

        return wrapper

    return decorate


@endpoint("GET")
def list_sessions(request: HttpRequest) -> HttpResponse:
    return _list(request, SandboxSession.objects.all(), SESSION_FILTERS)


@endpoint("GET")
def get_session(request: HttpRequest, session_id: str) -> HttpResponse:
    body = _body(SandboxSession.objects.all(), session_id)
    return _unknown_session(session_id) if body is None else _json(body)


@endpoint("POST")
def complete_session(request: HttpRequest, session_id: str) -> HttpResponse:
    return _leave_started(session_id, "processing")


@endpoint("POST")
def cancel_session(request: HttpRequest, session_id: str) -> HttpResponse:
    return _leave_started(session_id, "cancelled")


@endpoint("GET")
def list_checks(request: HttpRequest) -> HttpResponse:
    return _list(request, SandboxCheck.objects.all(), CHECK_FILTERS)


@endpoint("GET")
def get_check(request: HttpRequest, check_id: str) -> HttpResponse:
    body = _body(SandboxCheck.objects.all(), check_id)
    if body is None:
        return _error(404, "resource_not_found", f"Invalid check id '{check_id}'")
    return _json(body)


@endpoint("GET")
def make_report(request: HttpRequest) -> HttpResponse:
    """Answer with the address of a report, which opens without the key for ten minutes."""
    session_id = request.GET.get("workflowSessionId", "")
    if not session_id:
        message = "'workflowSessionId' must be provided"
        return _error(400, "invalid_request", message, param="workflowSessionId")
    if _body(SandboxSession.objects.all(), session_id) is None:
        return _unknown_session(session_id)
    token = signing.dumps(session_id, salt=REPORT_SALT)
    address = request.build_absolute_uri(reverse("sandbox-report", args=[token]))
    return _json(to_json({"data": address}))


@require_GET
def report_content(request: HttpRequest, token: str) -> HttpResponse:
    try:
        session_id = signing.loads(token, salt=REPORT_SALT, max_age=REPORT_SECONDS)
    except signing.BadSignature:
        return _error(403, "unauthorized", "The address is wrong or has expired")
    text = _body(SandboxSession.objects.all(), session_id)
    if text is None:
        return _unknown_session(session_id)
    session = json.loads(text)
    ids = [check["checkId"] for check in session.get("allRelatedChecks", [])]
    bodies = SandboxCheck.objects.filter(pk__in=ids).values_list("body", flat=True)
    pdf = report_pdf(session, [json.loads(body) for body in bodies])
    return HttpResponse(pdf, content_type="application/pdf")


@endpoint()
def unknown_path(request: HttpRequest) -> HttpResponse:
    return _unknown_path(request)


def _list(request: HttpRequest, rows: QuerySet[Any], filters: Mapping[str, str]) -> HttpResponse:
    try:
        paging = Paging.from_query(request.GET)
    except PagingError as error:
        return _error(400, "invalid_request", str(error), param=error.param)
    return _json(list_json(rows, paging, request.GET, filters))


def _body(rows: QuerySet[Any], pk: str) -> str | None:
    """Return the JSON text of one row, or None for an id that nothing has or could have."""
    if "\0" in pk or len(pk) > LONGEST_VALUE:
        return None
    body: str | None = rows.filter(pk=pk).values_list("body", flat=True).first()
    return body


def _leave_started(session_id: str, status: str) -> HttpResponse:
    """Move a started session on, and start its checks when its client is done."""
    with transaction.atomic():
        text = _body(SandboxSession.objects.select_for_update(), session_id)
        if text is None:
            return _unknown_session(session_id)
        body = json.loads(text)
        if body["status"] != "started":
            # The vendor documents neither the status nor the body of this refusal.
            return _error(400, "invalid_request", f"The workflow session is {body['status']}")
        now = timezone.now()
        body.update(status=status, updatedAt=iso(now))
        if status == "processing":
            checks = pending_checks(body, now)
            body["allRelatedChecks"] = [
                {"checkId": check["id"], "type": check["type"], "taskId": task_id}
                for check, task_id in checks
            ]
            SandboxCheck.objects.bulk_create(
                SandboxCheck.from_body(check) for check, _task_id in checks
            )
        SandboxSession.from_body(body).save(force_update=True)
    return _json(to_json({"status": status}))


def _unknown_session(session_id: str) -> HttpResponse:
    return _error(404, "resource_not_found", f"Invalid workflow session id '{session_id}'")


def _unknown_path(request: HttpRequest) -> HttpResponse:
    return _error(404, "resource_not_found", f"Cannot {request.method} {request.path}")


def _error(status: int, kind: str, message: str, **more: str) -> HttpResponse:
    return _json(to_json({"type": kind, "message": message, **more}), status=status)


def _json(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(text, content_type="application/json; charset=utf-8", status=status)
