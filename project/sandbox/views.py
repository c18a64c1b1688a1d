"""
The endpoints of the ComplyCube API for workflow sessions, checks and audit logs.

Source:
    API reference, "Get a workflow session", "List workflow sessions", "Complete a workflow session",
    "Cancel a workflow session", "Get a check", "List checks", "Validate check outcome", "Audit logs", "Errors".
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from project.sandbox import answers, changes
from project.sandbox.answers import endpoint
from project.sandbox.listing import AUDIT_FILTERS, CHECK_FILTERS, SESSION_FILTERS
from project.sandbox.models import SandboxAuditLog, SandboxCheck, SandboxSession, to_json


@endpoint("GET")
def list_sessions(request: HttpRequest) -> HttpResponse:
    return answers.listed(request, SandboxSession.objects.all(), SESSION_FILTERS)


@endpoint("GET")
def get_session(request: HttpRequest, session_id: str) -> HttpResponse:
    rows = SandboxSession.objects.all()
    return answers.answer(answers.body_of(rows, changes.SESSION, session_id))


@endpoint("POST")
def complete_session(request: HttpRequest, session_id: str) -> HttpResponse:
    changes.leave_started(session_id, "processing")
    return answers.answer(to_json({"status": "processing"}))


@endpoint("POST")
def cancel_session(request: HttpRequest, session_id: str) -> HttpResponse:
    changes.leave_started(session_id, "cancelled")
    return answers.answer(to_json({"status": "cancelled"}))


@endpoint("GET")
def list_checks(request: HttpRequest) -> HttpResponse:
    return answers.listed(request, SandboxCheck.objects.all(), CHECK_FILTERS)


@endpoint("GET")
def get_check(request: HttpRequest, check_id: str) -> HttpResponse:
    return answers.answer(answers.body_of(SandboxCheck.objects.all(), changes.CHECK, check_id))


@endpoint("POST")
def validate_check(request: HttpRequest, check_id: str) -> HttpResponse:
    outcome = changes.validate_check(check_id, answers.sent_json(request))
    return answers.answer(to_json({"outcome": outcome}))


@endpoint("GET")
def list_audit_logs(request: HttpRequest) -> HttpResponse:
    return answers.listed(request, SandboxAuditLog.objects.all(), AUDIT_FILTERS)


@endpoint("GET")
def get_audit_log(request: HttpRequest, entry_id: str) -> HttpResponse:
    rows = SandboxAuditLog.objects.all()
    return answers.answer(answers.body_of(rows, "audit log", entry_id, column="item"))


@endpoint()
def unknown_path(request: HttpRequest) -> HttpResponse:
    return answers.unknown(request)
