"""Which errors end a run, which reach its caller, and how many in a row mean that the API is down."""

from __future__ import annotations

from typing import Final

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubePayloadError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)
from complycube_sessions.models import RefreshRun

# Every other request would fail in the same way.
STOP_ERRORS: Final = (
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubePaymentError,
    ComplyCubeRateLimitError,
)
# They end a run and reach the caller: the next run fails too unless someone changes the settings or the key.
RAISED_ERRORS: Final = (
    ComplyCubeAuthenticationError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeConfigurationError,
)
# The answer may come from another server than the API.
NO_ANSWER_ERRORS: Final = (ComplyCubeConnectionError, ComplyCubeAPIError, ComplyCubePayloadError)
# After this many failures in a row the API counts as down; each further request would use up all its retries.
MAX_FAULTS_IN_A_ROW: Final = 20


class FaultPolicy:
    """
    Decides whether the error of one request ends the run.

    Args:
        client: Sends the requests of the run, and knows whether any response was not a 403.
    """

    def __init__(self, client: ComplyCubeClient) -> None:
        self._client = client
        self._in_a_row = 0

    @property
    def is_answered(self) -> bool:
        """Whether the API answered the last request that was counted."""
        return not self._in_a_row

    def record_answer(self) -> None:
        """Reset the count of failures, as a request was answered."""
        self._in_a_row = 0

    def raise_if_general(self, error: ComplyCubeError) -> None:
        """Raise an error that every other request would get as well."""
        is_refused = isinstance(error, ComplyCubePermissionError)
        if isinstance(error, STOP_ERRORS) or (
            is_refused and not self._client.answered_other_than_403
        ):
            raise error

    def count_fault(self, error: ComplyCubeError, asked: str) -> None:
        """Count a request without an answer; raise once there are so many in a row that the API must be down."""
        if isinstance(error, (ComplyCubeConnectionError, ComplyCubeServerError)):
            self._in_a_row += 1
            if self._in_a_row >= MAX_FAULTS_IN_A_ROW:
                raise ComplyCubeConnectionError(
                    f"{MAX_FAULTS_IN_A_ROW} {asked} in a row got no answer; the API seems to be down."
                ) from None


def explain_end(error: ComplyCubeError, account: Account, state: str) -> str:
    """Return why a run ended and, if the API gave no usable answer, what to check."""
    kind = "" if isinstance(error, ComplyCubeConnectionError) else f"{type(error).__name__}: "
    if not isinstance(error, NO_ANSWER_ERRORS):
        return f"{kind}{error}"
    read = "Nothing could" if state == RefreshRun.State.FAILED else "No more could"
    return (
        f"{kind}{error} {read} be read from {account.host}. Check BASE_URL and PROXIES of the account "
        f"{account.name!r}, and that the API is up and this machine reaches it. The next run tries again."
    )
