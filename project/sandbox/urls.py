from __future__ import annotations

from django.urls import path, re_path

from project.sandbox import account, reports, views

urlpatterns = [
    # With the slash too: the vendor's Node package sends it, and an empty id turns GET by id into the list.
    re_path(r"^workflowSessions/?$", views.list_sessions),
    path("workflowSessions/<str:session_id>", views.get_session),
    path("workflowSessions/<str:session_id>/complete", views.complete_session),
    path("workflowSessions/<str:session_id>/cancel", views.cancel_session),
    re_path(r"^checks/?$", views.list_checks),
    path("checks/<str:check_id>", views.get_check),
    path("checks/<str:check_id>/validate", views.validate_check),
    re_path(r"^auditLogs/?$", views.list_audit_logs),
    path("auditLogs/<str:entry_id>", views.get_audit_log),
    re_path(r"^clients/?$", account.clients),
    path("clients/<str:client_id>", account.client),
    re_path(r"^webhooks/?$", account.webhooks),
    path("webhooks/<str:webhook_id>", account.webhook),
    re_path(r"^reports/?$", reports.make_report),
    path("reports/<str:token>.pdf", reports.report_content, name="sandbox-report"),
    re_path(r"", views.unknown_path),
]
