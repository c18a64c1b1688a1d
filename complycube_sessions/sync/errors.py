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

# The answer to the next request would be the same, whatever it asks for.
STOP_ERRORS: Final = (
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubePaymentError,
    ComplyCubeRateLimitError,
)
# They end a run and reach the caller: somebody has to act before another run can do better.
RAISED_ERRORS: Final = (
    ComplyCubeAuthenticationError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeConfigurationError,
)
# Something else may stand where the API should.
NO_ANSWER_ERRORS: Final = (ComplyCubeConnectionError, ComplyCubeAPIError, ComplyCubePayloadError)
# So many sessions in a row without an answer: the API is down, and each costs all its retries.
MAX_FAULTS_IN_A_ROW: Final = 20


class FaultPolicy:
    """
    Decides whether the error of one request ends the run.

    Args:
        client: Sends the requests of the run, and knows whether any was answered with other than a 403.
    """

    def __init__(self, client: ComplyCubeClient) -> None:
        self._client = client
        self._in_a_row = 0

    @property
    def is_answered(self) -> bool:
        """Whether the API answered the last request that was counted."""
        return not self._in_a_row

    def record_answer(self) -> None:
        """Note that a request was answered."""
        self._in_a_row = 0

    def raise_if_general(self, error: ComplyCubeError) -> None:
        """Raise an error that every other request would get as well."""
        is_refused = isinstance(error, ComplyCubePermissionError)
        if isinstance(error, STOP_ERRORS) or (
            is_refused and not self._client.answered_other_than_403
        ):
            raise error

    def count_fault(self, error: ComplyCubeError, asked: str) -> None:
        """Raise where so many requests in a row got no answer that the API must be down."""
        if isinstance(error, (ComplyCubeConnectionError, ComplyCubeServerError)):
            self._in_a_row += 1
            if self._in_a_row >= MAX_FAULTS_IN_A_ROW:
                raise ComplyCubeConnectionError(
                    f"{MAX_FAULTS_IN_A_ROW} {asked} in a row got no answer; the API seems to be down."
                ) from None


def explain_end(error: ComplyCubeError, account: Account, state: str) -> str:
    """Say what ended a run, and what to look at where the API gave no answer that can be used."""
    kind = "" if isinstance(error, ComplyCubeConnectionError) else f"{type(error).__name__}: "
    if not isinstance(error, NO_ANSWER_ERRORS):
        return f"{kind}{error}"
    read = "Nothing could" if state == RefreshRun.State.FAILED else "No more could"
    return (
        f"{kind}{error} {read} be read from {account.host}. Check BASE_URL and PROXIES of the account "
        f"{account.name!r}, and that the API is up and this machine reaches it. The next run tries again."
    )
