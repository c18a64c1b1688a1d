"""
The endpoints of the ComplyCube API that the mirror needs, one method each.

``http`` sends, bounds and retries the requests; ``payloads`` parses the responses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, urlencode

from complycube_sessions.api.audit_logs import AuditPayload, parse_audit_page
from complycube_sessions.api.http import Answer, HTTPClient
from complycube_sessions.api.ids import validate_id
from complycube_sessions.api.payloads import (
    CheckPayload,
    ListPage,
    SessionPayload,
    SessionSummary,
    parse_check,
    parse_check_page,
    parse_session,
    parse_session_page,
)
from complycube_sessions.api.report import ReportUrl
from complycube_sessions.api.retries import TRANSIENT_ERRORS
from complycube_sessions.api.scrubbing import AUDIT_ENTRY, CHECK, SESSION, scrubbed
from complycube_sessions.conf import conf
from complycube_sessions.exceptions import ComplyCubePayloadError, ComplyCubeScrubberError

logger = logging.getLogger("complycube_sessions.api")

PAGE_SIZE: Final = 1000
# An unreadable record is one lost record; an unreadable page is a thousand, and is retried.
PAGE_ERRORS: Final = (*TRANSIENT_ERRORS, ComplyCubePayloadError)


class ComplyCubeClient(HTTPClient):
    """
    The endpoints of the API.

    All methods raise the errors of ``exceptions.py``.
    """

    @cached_property
    def _scrubber(self) -> Callable[[str, dict[str, Any]], object] | None:
        return conf.COMPLYCUBE_SCRUBBER

    def get_session(self, session_id: str) -> Answer[SessionPayload]:
        """
        Fetch one workflow session.

        Raises:
            ComplyCubeInvalidIdError: The id cannot be a part of an address; nothing was sent.
            ComplyCubeNotFoundError: The API does not know it with this key.
            ComplyCubePayloadError: The answer is not this session.

        Source:
            API reference, "Get a workflow session".
        """
        path = f"/workflowSessions/{quote(validate_id(session_id), safe='')}"
        return self.get(
            path,
            subject=session_id,
            parse=lambda data, at: parse_session(
                self._scrubbed(SESSION, data, session_id), session_id=session_id, answered_at=at
            ),
        )

    def get_check(self, check_id: str) -> Answer[CheckPayload]:
        """
        Fetch one check with its breakdown.

        Raises:
            ComplyCubeInvalidIdError: The id cannot be a part of an address; nothing was sent.
            ComplyCubeNotFoundError: The API does not know it with this key.
            ComplyCubePayloadError: The answer is not this check.

        Source:
            API reference, "Get a check".
        """
        path = f"/checks/{quote(validate_id(check_id), safe='')}"
        return self.get(
            path,
            subject=check_id,
            parse=lambda data, at: parse_check(
                self._scrubbed(CHECK, data, check_id), check_id=check_id, answered_at=at
            ),
        )

    def list_sessions(
        self, *, page: int, filters: Mapping[str, str]
    ) -> Answer[ListPage[SessionSummary]]:
        """
        Fetch one page of up to 1,000 sessions, newest created first.

        Args:
            page: 1 for the first page.
            filters: The API's own parameters, such as ``updatedAfter``; see ``time_filter``.

        Source:
            API reference, "List workflow sessions".
        """
        return self.get(
            _list_path("/workflowSessions", page, filters),
            subject=f"page {page} of the list of sessions",
            parse=lambda data, at: parse_session_page(data, answered_at=at),
            retried=PAGE_ERRORS,
        )

    def list_checks(
        self, *, page: int, filters: Mapping[str, str]
    ) -> Answer[ListPage[CheckPayload]]:
        """
        Fetch one page of up to 1,000 checks without their breakdowns, newest created first.

        Args:
            page: 1 for the first page.
            filters: The API's own parameters, such as ``clientId``.

        Source:
            API reference, "List checks".
        """
        faults: list[str] = []

        def scrub(check: dict[str, Any], check_id: str) -> Any:
            try:
                return self._scrubbed(CHECK, check, check_id)
            except ComplyCubeScrubberError as error:
                faults.append(str(error))
                return None

        answer = self.get(
            _list_path("/checks", page, filters),
            subject=f"page {page} of the list of checks",
            parse=lambda data, at: parse_check_page(data, answered_at=at, scrub=scrub),
            retried=PAGE_ERRORS,
        )
        if faults:  # keep status and outcome, which no scrubber may change, despite its error
            logger.warning(
                "%s So it is for %s checks of a page of the list; only what the list tells of their "
                "state is stored.",
                faults[0],
                len(faults),
                extra={"account": self._account.name},
            )
        return answer

    def list_audit_logs(
        self, *, page: int, resource_type: str, resource_id: str
    ) -> Answer[ListPage[AuditPayload]]:
        """
        Fetch one page of up to 1,000 entries of the audit log of one resource, newest first.

        Args:
            page: 1 for the first page.
            resource_type: ``workflowSession`` or ``check``.
            resource_id: Its id.

        Source:
            API reference, "Audit logs".
        """
        filters = {"resourceType": resource_type, "resourceId": validate_id(resource_id)}
        return self.get(
            _list_path("/auditLogs", page, filters),
            subject=f"audit log of {resource_id}",
            parse=lambda data, at: parse_audit_page(
                data,
                resource_type=resource_type,
                resource_id=resource_id,
                answered_at=at,
                scrub=lambda item, entry_id: self._scrubbed(AUDIT_ENTRY, item, entry_id),
            ),
        )

    def get_session_report_url(self, session_id: str) -> Answer[ReportUrl]:
        """
        Have the vendor generate a report of a session, and return the URL of the PDF.

        The URL is valid for ten minutes, for anyone who knows it; fetch it with ``open_report``.

        Raises:
            ComplyCubeInvalidIdError: The id cannot be a part of an address; nothing was sent.
            ComplyCubeNotFoundError: The API does not know it with this key.
            ComplyCubePayloadError: The answer names no address.

        Source:
            API reference, "Generate a workflow session report".
        """
        query = urlencode({"workflowSessionId": validate_id(session_id)}, quote_via=quote)
        return self.get(
            f"/reports?{query}",
            subject=f"report of {session_id}",
            parse=lambda data, at: _report_url(data),
        )

    def validate_check(
        self, check_id: str, outcome: str, *, match_id: str = "", comment: str = ""
    ) -> None:
        """
        Set the outcome that a person decided on, for a check or one match of a screening; sent once.

        Args:
            check_id: The check.
            outcome: ``confirmed``, ``rejected`` or ``attention``.
            match_id: Which match, for a screening.
            comment: Up to 4,000 characters, for the vendor's record.

        Source:
            API reference, "Validate check outcome".
        """
        body = {"outcome": outcome, "matchId": match_id, "comment": comment}
        self.post(
            f"/checks/{quote(validate_id(check_id), safe='')}/validate",
            subject=f"validation of {check_id}",
            body={name: value for name, value in body.items() if value},
        )

    def complete_session(self, session_id: str) -> None:
        """
        Tell the vendor that the client is done, which starts the checks of a session; sent once.

        Source:
            API reference, "Complete a workflow session".
        """
        path = f"/workflowSessions/{quote(validate_id(session_id), safe='')}/complete"
        self.post(path, subject=f"completion of {session_id}", body={})

    def cancel_session(self, session_id: str) -> None:
        """
        Cancel a session, which the vendor allows only while it is ``started``; sent once.

        Source:
            API reference, "Cancel a workflow session".
        """
        path = f"/workflowSessions/{quote(validate_id(session_id), safe='')}/cancel"
        self.post(path, subject=f"cancellation of {session_id}", body={})

    def _scrubbed(self, kind: str, data: Any, subject: str) -> Any:
        return scrubbed(self._scrubber, kind, data, subject=subject)


def time_filter(time: datetime) -> str:
    """Return a time as the API writes it, cut to milliseconds."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _list_path(path: str, page: int, filters: Mapping[str, str]) -> str:
    query = {"page": str(page), "pageSize": str(PAGE_SIZE), **filters}
    return f"{path}?{urlencode(query, quote_via=quote)}"


def _report_url(data: Any) -> ReportUrl:
    url = data.get("data") if isinstance(data, dict) else None
    if not isinstance(url, str) or not url:
        raise ComplyCubePayloadError("the answer names no address of a report.")
    return ReportUrl(url)
