"""Evidence of a session as a file, and the vendor's own report, for those who may hand them on."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.admin import display
from complycube_sessions.admin.actions import after_action, log, stored_session
from complycube_sessions.admin.base import (
    DATABASE_FAULTS,
    ReadOnlyAdmin,
    allowed,
    tells_database_faults,
)
from complycube_sessions.admin.error_messages import ERRORS, error_message
from complycube_sessions.admin.review_list import may_see
from complycube_sessions.admin.streaming import streamed
from complycube_sessions.db.connections import (
    beside_transactions,
    outside_transactions,
    write_alias,
)
from complycube_sessions.evidence.build import Content, export_evidence
from complycube_sessions.evidence.vendor_report import open_session_report
from complycube_sessions.exceptions import (
    ComplyCubeConnectionError,
    ComplyCubeNotFoundError,
    ComplyCubePermissionError,
    ComplyCubeReportError,
)
from complycube_sessions.models import SessionEvidence, WorkflowSession

_REPORT_REASONS: Final[tuple[tuple[type[Exception], Any], ...]] = (
    (
        ComplyCubeNotFoundError,
        gettext_lazy("ComplyCube does not know this session, or has no report on it (404)."),
    ),
    (
        ComplyCubePermissionError,
        gettext_lazy("The API key has no permission to create reports (403)."),
    ),
    (
        ComplyCubeReportError,
        gettext_lazy(
            "ComplyCube's report is not a PDF that can be fetched safely. The log tells operators why."
        ),
    ),
    (
        ComplyCubeConnectionError,
        gettext_lazy("ComplyCube's report could not be fetched. Try again later."),
    ),
)


@outside_transactions
@tells_database_faults
def evidence_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponseBase:
    """Send the evidence of a session as an archive, and record that it was exported."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not (page.has_evidence_permission(request) and page.has_view_permission(request)):
        raise PermissionDenied
    session_id = unquote(object_id)
    content = Content(
        sensitive=page.has_sensitive_permission(request),
        history=allowed(request, "view_sessionchange"),
        reviews=may_see(request),
    )
    try:
        evidence = export_evidence(
            session_id,
            actor=f"user:{request.user.pk}",
            actor_name=request.user.get_username(),
            content=content,
        )
    except WorkflowSession.DoesNotExist:
        return _unknown(page, request, session_id)
    done = f"Exported evidence, SHA-256 {evidence.record.sha256}."
    log(request, done, session=WorkflowSession(pk=session_id))
    response = HttpResponse(evidence.as_zip(), content_type="application/zip")
    return _as_download(response, f"{evidence.stem}.zip")


@outside_transactions
@tells_database_faults
def report_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponseBase:
    """Fetch the vendor's report of a session and pass it on while it comes."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    # The report cannot be had without what is sensitive in it.
    may_have_it = page.has_evidence_permission(request) and page.has_sensitive_permission(request)
    if not (may_have_it and page.has_view_permission(request)):
        raise PermissionDenied
    session_id = unquote(object_id)
    account = stored_session(session_id).values_list("account").first()
    if account is None:
        return _unknown(page, request, session_id)
    session = WorkflowSession(pk=session_id)
    ask = partial(open_session_report, session_id, account=account[0])
    try:
        report = beside_transactions(ask, alias=write_alias())
    except DATABASE_FAULTS:
        raise
    except ERRORS as error:
        log(request, f"ComplyCube's report failed: {type(error).__name__}.", session=session)
        messages.error(request, report_reason(error))
        return HttpResponseRedirect(after_action(page, request, session_id))
    try:
        log(request, "Fetched ComplyCube's report.", session=session)
    except BaseException:
        # Without the line nobody gets it.
        report.close()
        raise
    response = streamed(request, report, "application/pdf", reads_database=False)
    if report.size_bytes is not None:
        response["Content-Length"] = str(report.size_bytes)
    safe_id = re.sub(r"[^A-Za-z0-9_-]", "_", session_id)[:64]
    return _as_download(response, f"complycube-report-{safe_id}.pdf")


def _unknown(page: ReadOnlyAdmin, request: HttpRequest, session_id: str) -> HttpResponse:
    messages.warning(request, _("There is no session “%(id)s”.") % {"id": session_id})
    return HttpResponseRedirect(after_action(page, request))


def report_reason(error: Exception) -> str:
    """Return what an error means to the person who asked for the report."""
    for kind, text in _REPORT_REASONS:
        if isinstance(error, kind):
            return str(text)
    return error_message(error)


def evidence_line(session_id: str) -> SafeString | str:
    """Return how often evidence of a session was exported, and when last; ``""`` for never."""
    found = SessionEvidence.objects.filter(session_id=session_id).aggregate(
        count=Count("pk"), last=Max("created_at")
    )
    if not found["count"]:
        return ""
    times = ngettext(
        "Evidence exported %(count)d time, last:", "Evidence exported %(count)d times, last:",
        found["count"],
    )  # fmt: skip
    return format_html("{} {}", times % {"count": found["count"]}, display.moment(found["last"]))


def _as_download(response: HttpResponseBase, name: str) -> HttpResponseBase:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
