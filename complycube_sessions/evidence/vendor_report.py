"""The vendor's own report of a session: fetched on demand, passed on, and never stored."""

from __future__ import annotations

import logging
from dataclasses import replace

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.ids import validate_id
from complycube_sessions.api.report import Report, open_report
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import get_account
from complycube_sessions.db.connections import ensure_no_open_transaction
from complycube_sessions.exceptions import ComplyCubeReportError
from complycube_sessions.sync.refresh import ensure_owned
from complycube_sessions.sync.request_budget import shared_throttle

logger = logging.getLogger("complycube_sessions.api")


def open_session_report(session_id: str, *, account: str = "default") -> Report:
    """
    Have the vendor generate the report of a session, and return its bytes as they arrive.

    Call it outside of a transaction, and close the report. Requests are not retried, as a person is waiting.

    Args:
        session_id: The vendor's id.
        account: A name of ``COMPLYCUBE_ACCOUNTS``.

    Raises:
        ComplyCubeNotFoundError: The API does not know the session, or has no report of it.
        ComplyCubeOwnershipError: The stored row belongs to another account or environment than the key.
        ComplyCubeReportError: The URL is not allowed, or does not return a report.
        ComplyCubeBusyError: Others use the request budget for longer than a person should wait.
        ComplyCubeError: Any other error of ``exceptions.py``.
        ComplyCubeConfigurationError: The account's settings are missing or wrong.

    Source:
        API reference, "Generate a workflow session report".
    """
    found = replace(get_account(account), max_retries=0)
    validate_id(session_id)
    ensure_no_open_transaction()
    ensure_owned(found, session_id)
    throttle = shared_throttle(found, Patience())
    client = ComplyCubeClient(found, throttle)
    try:
        answer = client.get_session_report_url(session_id)
    finally:
        throttle.close()
        client.close()
    try:
        return open_report(answer.value, found)
    except ComplyCubeReportError as error:
        logger.warning("%s: %s", session_id, error)
        raise
