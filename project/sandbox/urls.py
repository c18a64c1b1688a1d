from __future__ import annotations

from django.urls import path, re_path

from project.sandbox import views

urlpatterns = [
    # With the slash too: an empty id turns GET by id into the list, and callers must survive it.
    re_path(r"^workflowSessions/?$", views.list_sessions),
    path("workflowSessions/<str:session_id>", views.get_session),
    path("workflowSessions/<str:session_id>/complete", views.complete_session),
    path("workflowSessions/<str:session_id>/cancel", views.cancel_session),
    re_path(r"^checks/?$", views.list_checks),
    path("checks/<str:check_id>", views.get_check),
    path("reports", views.make_report),
    path("reports/<str:token>.pdf", views.report_content, name="sandbox-report"),
    re_path(r"", views.unknown_path),
]
