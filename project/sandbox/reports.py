"""
Reports: of a session as an address that opens without the key, of a client or check as base64.

Source:
    API reference, "Generate a workflow session report", "Generate a client report", "Generate a check report".
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from project.sandbox import answers
from project.sandbox.answers import RefusedError, UnknownError, endpoint
from project.sandbox.changes import CHECK, SESSION
from project.sandbox.models import SandboxCheck, SandboxClient, SandboxSession, to_json
from project.sandbox.report import report_pdf

PDF: Final = "application/pdf"
REPORT_SECONDS: Final = 600
REPORT_SALT: Final = "project.sandbox.report"
CLIENT: Final = "client"


@endpoint("GET")
def make_report(request: HttpRequest) -> HttpResponse:
    """Answer with a report, or with the address of one, which opens without the key for ten minutes."""
    if session_id := request.GET.get("workflowSessionId", ""):
        answers.body_of(SandboxSession.objects.all(), SESSION, session_id)
        token = signing.dumps(session_id, salt=REPORT_SALT)
        address = request.build_absolute_uri(reverse("sandbox-report", args=[token]))
        return answers.answer(to_json({"data": address}))
    if check_id := request.GET.get("checkId", ""):
        check = json.loads(answers.body_of(SandboxCheck.objects.all(), CHECK, check_id))
        return _report(report_pdf(check, [check], "check"))
    if client_id := request.GET.get("clientId", ""):
        rows = SandboxClient.objects.all()
        client = json.loads(answers.body_of(rows, CLIENT, client_id, column="item"))
        return _report(report_pdf(client, _checks(client_id=client_id), "client"))
    message = "'workflowSessionId', 'checkId' or 'clientId' must be provided"
    raise RefusedError(message, param="workflowSessionId")


@require_GET
def report_content(request: HttpRequest, token: str) -> HttpResponse:
    try:
        session_id = signing.loads(token, salt=REPORT_SALT, max_age=REPORT_SECONDS)
        text = answers.body_of(SandboxSession.objects.all(), SESSION, session_id)
    except signing.BadSignature:
        return answers.error(403, "unauthorized", "The address is wrong or has expired")
    except UnknownError as fault:
        return answers.error(404, "resource_not_found", str(fault))
    session = json.loads(text)
    ids = [check["checkId"] for check in session.get("allRelatedChecks", [])]
    pdf = report_pdf(session, _checks(pk__in=ids))
    return HttpResponse(pdf, content_type=PDF)


def _checks(**conditions: Any) -> list[dict[str, Any]]:
    rows = SandboxCheck.objects.filter(**conditions).order_by("-created_at", "-id")
    return [json.loads(body) for body in rows.values_list("body", flat=True)[:100]]


def _report(pdf: bytes) -> HttpResponse:
    return answers.answer(to_json({"contentType": PDF, "data": base64.b64encode(pdf).decode()}))
