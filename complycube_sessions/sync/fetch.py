"""Fetching one session with its checks. This code runs in worker threads and does not use the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from complycube_sessions import tracing
from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.payloads import CheckPayload
from complycube_sessions.conf import CheckResults
from complycube_sessions.exceptions import (
    ComplyCubeError,
    ComplyCubeInvalidIdError,
    ComplyCubeNotFoundError,
    ComplyCubePayloadError,
)
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.queries import KnownCheck, wants_result
from complycube_sessions.sync.errors import STOP_ERRORS
from complycube_sessions.sync.listing import endless, most_pages
from complycube_sessions.sync.seen import SeenIndex

# Real workflows run about ten checks; more than this is a fault or an attack, and each costs a request.
MAX_CHECK_REQUESTS: Final = 500
PAST_THE_LIMIT: Final = "past the limit"


@dataclass(slots=True)
class FetchResult:
    """
    The result of fetching one session.

    ``session`` is None if the API answered 404 to a request that began at ``missing_at``. ``check_errors``
    has a reason for each check that could not be fetched; the session is stored all the same.
    """

    session: FetchedSession | None
    missing_at: datetime | None = None
    missing_reason: str = ""
    size_bytes: int = 0
    check_errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckSource:
    """
    Where the statuses and outcomes of checks come from.

    Args:
        index: The checks of the list pages that have been read.
        by_client: Whether the list of each client's checks has to be read into the index first.
        results: ``COMPLYCUBE_CHECK_RESULTS``.
    """

    index: SeenIndex
    by_client: bool
    results: CheckResults


def too_many_checks(number: int) -> str:
    """Return the error text for a session with more checks than the limit."""
    return (
        f"The session has at least {number} checks that cost a request each; no more than {MAX_CHECK_REQUESTS} "
        "of one session are asked for in a run."
    )


class Allowance:
    """Counts the requests for single checks of one session, up to the limit."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self) -> bool:
        """Return whether one more request may be sent, and count it."""
        self._taken += 1
        return self._taken <= MAX_CHECK_REQUESTS

    def note(self, result: FetchResult) -> None:
        """Record a failure if the limit was exceeded."""
        if self._taken > MAX_CHECK_REQUESTS:
            result.check_errors[PAST_THE_LIMIT] = too_many_checks(self._taken)


@tracing.traced("complycube.fetch_session")
def fetch_session(
    client: ComplyCubeClient, session_id: str, source: CheckSource, known: Mapping[str, KnownCheck]
) -> FetchResult:
    """
    Fetch a session, and the parts of its checks that the list pages do not contain.

    Args:
        client: Sends the requests.
        session_id: A valid id.
        source: The checks that were listed.
        known: The checks of this session that are stored with a status, by id.

    Raises:
        ComplyCubeError: The session could not be fetched, for a reason other than a 404.
    """
    began_at = datetime.now(UTC)
    try:
        answer = client.get_session(session_id)
    except ComplyCubeNotFoundError as error:
        return FetchResult(None, missing_at=began_at, missing_reason=str(error))
    payload, result = answer.value, FetchResult(None, size_bytes=answer.size_bytes)
    checks = []
    with _tolerated(result, payload.client_id):
        if source.by_client and payload.client_id and payload.related_checks:
            list_client_checks(client, source, payload.client_id)
    allowance = Allowance()
    for reference in payload.related_checks:
        with _tolerated(result, reference.check_id):
            check = _fetch_check(client, reference.check_id, source, known, allowance)
            checks.append(check)
    allowance.note(result)
    fetched = tuple(check for check in checks if check is not None)
    result.session = FetchedSession(
        session_id, payload, answer.began_at, fetched, is_whole=not result.check_errors
    )
    return result


@tracing.traced("complycube.fetch_session")
def fetch_session_with_all_results(
    client: ComplyCubeClient, session_id: str, results: CheckResults
) -> FetchResult:
    """
    Fetch a session and each of its checks; drop the breakdowns if ``results`` is ``"none"``.

    Raises:
        ComplyCubeError: The session could not be fetched.
    """
    answer = client.get_session(session_id)
    result = FetchResult(None, size_bytes=answer.size_bytes)
    checks: list[FetchedCheck] = []
    allowance = Allowance()
    for reference in answer.value.related_checks:
        if allowance.take():
            with _tolerated(result, reference.check_id):
                checks.append(_get_check(client, reference.check_id, keep_result=results != "none"))
    allowance.note(result)
    result.session = FetchedSession(
        session_id, answer.value, answer.began_at, tuple(checks), is_whole=not result.check_errors
    )
    return result


def fetch_moved_check(client: ComplyCubeClient, check: CheckPayload) -> FetchedCheck:
    """Fetch a check whose list entry moved, with its breakdown."""
    return _get_check(client, check.id, keep_result=True)


def list_client_checks(client: ComplyCubeClient, source: CheckSource, client_id: str) -> None:
    """Read the list of one client's checks into the index, once per run."""
    with source.index.client_lock(client_id) as is_listed:
        number = most = 0
        while not is_listed:
            number += 1
            answer = client.list_checks(page=number, filters={"clientId": client_id})
            for check in answer.value.items:
                source.index.record_check(check, answer.began_at, 0)
            is_listed = not answer.value.items or number >= answer.value.pages
            most = most or most_pages(answer.value)
            if not is_listed and number >= most:
                raise ComplyCubePayloadError(
                    endless(f"list of checks of the client {client_id}", most)
                )


@contextmanager
def _tolerated(result: FetchResult, subject: str) -> Iterator[None]:
    """Record an error of a single check; let errors that stop a run through."""
    try:
        yield
    except (ComplyCubeNotFoundError, ComplyCubeInvalidIdError):
        pass  # the session names a check that does not exist yet, or not any more
    except STOP_ERRORS:
        raise
    except ComplyCubeError as error:
        result.check_errors[subject] = str(error)


def _fetch_check(
    client: ComplyCubeClient,
    check_id: str,
    source: CheckSource,
    known: Mapping[str, KnownCheck],
    allowance: Allowance,
) -> FetchedCheck | None:
    """Return a check with its breakdown if the settings want that, or None if there is nothing new to store."""
    listed, stored = source.index.check(check_id), known.get(check_id)
    if listed is None:
        if stored is not None or not allowance.take():
            return None
        fetched = _get_check(client, check_id, keep_result=True)
        if wants_result(source.results, fetched.payload):
            return fetched
        return FetchedCheck(replace(fetched.payload, result=None), fetched.fetched_at)
    payload, fetched_at = listed
    up_to_date = (
        stored is not None and stored.has_result and stored.updated_at == payload.updated_at
    )
    if not wants_result(source.results, payload) or up_to_date or not allowance.take():
        return FetchedCheck(payload, fetched_at)
    return _get_check(client, check_id, keep_result=True)


def _get_check(client: ComplyCubeClient, check_id: str, *, keep_result: bool) -> FetchedCheck:
    answer = client.get_check(check_id)
    payload = answer.value if keep_result else replace(answer.value, result=None)
    return FetchedCheck(payload, answer.began_at)
