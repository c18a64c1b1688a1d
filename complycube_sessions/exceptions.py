"""
Every error the app raises on purpose.

::

    ComplyCubeError                       a loop over sessions may log it and go on, unless marked "stop"
    ├── ComplyCubeInvalidIdError          an id that must not be put into an address (also a ValueError)
    ├── ComplyCubeOwnershipError          the row belongs to another account or environment
    ├── ComplyCubeErasedError             the person was erased, and is not fetched again
    ├── ComplyCubeClientNotFoundError     nothing is stored of the client who was to be erased; .near
    ├── ComplyCubeProtectedError          a hold or a minimum retention forbids to remove; .reasons
    ├── ComplyCubeScrubberError           the project's scrubber failed on the record
    ├── ComplyCubeFilterError             a list left out a row that it must hold; stop
    ├── ComplyCubeRefreshRunningError     another run of the account holds the lock; stop
    ├── ComplyCubeStorageError            the database refused the record
    ├── ComplyCubeBusyError               others use the budget of requests for longer than a page may wait
    ├── ComplyCubeUpstreamOffError        the settings do not allow to change anything at the vendor
    ├── ComplyCubeInvalidChangeError      a change that cannot be asked for so; nothing was sent (also a ValueError)
    ├── ComplyCubeChangeUnderWayError     the same change is being asked for by somebody else; nothing was sent
    ├── ComplyCubeLostAnswerError         a change was sent, its answer lost, and it is not seen as done; .is_done
    ├── ComplyCubeConnectionError         no answer: DNS, TLS, timeout; worth a retry
    ├── ComplyCubeAPIError                an answer other than 2xx; .status_code
    │   ├── ComplyCubeAuthenticationError 401; stop
    │   ├── ComplyCubePaymentError        402; stop
    │   ├── ComplyCubePermissionError     403: one session's, unless every request so far got one
    │   ├── ComplyCubeNotFoundError       404
    │   ├── ComplyCubeRateLimitError      429; .retry_after_seconds, or None
    │   └── ComplyCubeServerError         5xx; worth a retry
    ├── ComplyCubeReportError             the vendor's report is at no address that may be asked, or is no PDF
    ├── ComplyCubePayloadError            2xx, but not the documented shape (also a ValueError)
    ├── ReviewConflictError               a review is no longer what the caller saw; .changes
    ├── ReviewPermissionError             the same person twice, or somebody else's review
    └── ComplyCubeSignatureError          a webhook whose signature does not verify
    ComplyCubeConfigurationError          ImproperlyConfigured, outside the tree on purpose: no loop may swallow it
    MirrorWriteError                      code that is not the app's would write a mirrored row; outside the tree as well

Messages name the vendor's id and the status, never the key, a person or a body.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


class ComplyCubeError(Exception):
    """Base of all errors that concern one session, one request or one event."""


class ComplyCubeInvalidIdError(ComplyCubeError, ValueError):
    """The id holds characters that would change the address of a request."""


class ComplyCubeOwnershipError(ComplyCubeError):
    """The stored row belongs to another account or environment than the key."""


class ComplyCubeErasedError(ComplyCubeError):
    """The id is that of an erased person; the message does not repeat it."""


class ComplyCubeClientNotFoundError(ComplyCubeError):
    """Nothing is stored of the client who was to be erased; ``near`` has ids that may have been meant."""

    def __init__(self, message: str, *, near: list[str]) -> None:
        super().__init__(message)
        self.near = near


class ComplyCubeProtectedError(ComplyCubeError):
    """A legal hold or a minimum retention protects what was to be removed; nothing was."""

    def __init__(self, message: str, *, reasons: dict[str, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


class ComplyCubeScrubberError(ComplyCubeError):
    """The project's scrubber raised, or returned what may not be stored."""


class ComplyCubeFilterError(ComplyCubeError):
    """A filtered list did not show what it must show, so it proves nothing."""


class ComplyCubeRefreshRunningError(ComplyCubeError):
    """Another run over the same account is alive."""


class ComplyCubeStorageError(ComplyCubeError):
    """The database refused the record, alone and with a healthy connection."""


class ComplyCubeBusyError(ComplyCubeError):
    """Others use the budget of requests for longer than somebody who waits for a page may be kept waiting."""


class ComplyCubeUpstreamOffError(ComplyCubeError):
    """Nothing may be changed at the vendor from here unless ``COMPLYCUBE_ALLOW_UPSTREAM_CHANGES`` is on."""


class ComplyCubeInvalidChangeError(ComplyCubeError, ValueError):
    """The change cannot be asked for so: an unknown outcome, a match too few, a comment too long."""


class ComplyCubeChangeUnderWayError(ComplyCubeError):
    """The same change was sent a moment ago, and it is not known yet what became of it."""


class ComplyCubeLostAnswerError(ComplyCubeError):
    """
    A change was sent once, and the API gave no answer to it; it is not sent again.

    ``is_done`` is False where the object, fetched after it, does not show the change, and None where it
    does not tell, or could not be fetched.
    """

    def __init__(self, message: str, *, is_done: bool | None) -> None:
        super().__init__(message)
        self.is_done = is_done


class ComplyCubeConnectionError(ComplyCubeError):
    """No complete answer arrived: name resolution, TLS, a reset, a timeout, a broken header."""


class ComplyCubeAPIError(ComplyCubeError):
    """The API answered with a status other than 2xx."""

    def __init__(self, message: str, *, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class ComplyCubeAuthenticationError(ComplyCubeAPIError):
    """401: the key is missing, wrong or revoked."""


class ComplyCubePaymentError(ComplyCubeAPIError):
    """402: the vendor wants payment before it goes on."""


class ComplyCubePermissionError(ComplyCubeAPIError):
    """403: the key is good, but not for this resource."""


class ComplyCubeNotFoundError(ComplyCubeAPIError):
    """404: the API does not know the id in this account and environment."""


class ComplyCubeRateLimitError(ComplyCubeAPIError):
    """429: too many requests, or a monthly quota that is used up."""

    def __init__(
        self, message: str, *, status_code: int = 429, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status_code=status_code)
        self.retry_after_seconds = retry_after_seconds


class ComplyCubeServerError(ComplyCubeAPIError):
    """5xx: a fault on the vendor's side or of a gateway in between."""

    def __init__(
        self, message: str, *, status_code: int, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status_code=status_code)
        self.retry_after_seconds = retry_after_seconds


class ComplyCubeReportError(ComplyCubeError):
    """The report was not fetched: its address may not be asked, or what is there is no PDF of bounded size."""


class ComplyCubePayloadError(ComplyCubeError, ValueError):
    """The API answered 2xx, but the body is not of the documented shape."""


class ComplyCubeSignatureError(ComplyCubeError):
    """The signature of a webhook is missing or does not match any secret."""


class ReviewConflictError(ComplyCubeError):
    """
    A review is not, or no longer, what the caller took it for; nothing was written.

    ``changes`` has what changed in the session since the page that was decided on, in words.
    """

    def __init__(self, message: str, *, changes: list[str] | None = None) -> None:
        super().__init__(message)
        self.changes = changes or []


class ReviewPermissionError(ComplyCubeError):
    """Somebody would confirm the own decision, or works on what is assigned to another."""


class ComplyCubeConfigurationError(ImproperlyConfigured):
    """A setting is missing or wrong; the message says what to type."""


class MirrorWriteError(RuntimeError):
    """A mirrored row would be written by other than the app's store; nothing was. The message says what to call instead."""
