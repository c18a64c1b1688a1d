"""
All errors that the app raises on purpose.

::

    ComplyCubeError                       a loop over sessions may log it and go on, unless marked "stop"
    ├── ComplyCubeInvalidIdError          an id that must not be put into a URL (also a ValueError)
    ├── ComplyCubeOwnershipError          the row belongs to another account or environment
    ├── ComplyCubeErasedError             the person was erased, and is not fetched again
    ├── ComplyCubeClientNotFoundError     nothing is stored about the client to erase; .near
    ├── ComplyCubeProtectedError          a hold or the minimum retention prevents the removal; .reasons
    ├── ComplyCubeScrubberError           the project's scrubber failed on the record
    ├── ComplyCubeFilterError             a list omitted a row that it must contain; stop
    ├── ComplyCubeRefreshRunningError     another run of the account holds the lock; stop
    ├── ComplyCubeStorageError            the database rejected the record
    ├── ComplyCubeBusyError               others use the request budget for longer than a page may wait
    ├── ComplyCubeUpstreamOffError        the settings do not allow changes at the vendor
    ├── ComplyCubeInvalidChangeError      a change with wrong arguments; nothing was sent (also a ValueError)
    ├── ComplyCubeChangeUnderWayError     the same change was sent a moment ago; nothing was sent
    ├── ComplyCubeLostAnswerError         a change was sent, the response lost, and the change not confirmed; .is_done
    ├── ComplyCubeConnectionError         no response: DNS, TLS, timeout; worth a retry
    ├── ComplyCubeAPIError                a status other than 2xx; .status_code
    │   ├── ComplyCubeAuthenticationError 401; stop
    │   ├── ComplyCubePaymentError        402; stop
    │   ├── ComplyCubePermissionError     403: concerns one session, unless every request so far got it
    │   ├── ComplyCubeNotFoundError       404
    │   ├── ComplyCubeRateLimitError      429; .retry_after_seconds, or None
    │   └── ComplyCubeServerError         5xx; worth a retry
    ├── ComplyCubeReportError             the URL of the vendor's report is not allowed, or returns no PDF
    ├── ComplyCubePayloadError            2xx, but not the documented shape (also a ValueError)
    ├── ReviewConflictError               a review or its session has changed since the caller saw it; .changes
    ├── ReviewPermissionError             confirming one's own decision, or acting on somebody else's review
    └── ComplyCubeSignatureError          a webhook whose signature does not verify
    ComplyCubeConfigurationError          ImproperlyConfigured; outside the tree, so that no loop swallows it
    MirrorWriteError                      the project's code tried to write a mirrored row; outside the tree as well

Messages contain the vendor's id and the status, but never the key, a person's data or a body.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


class ComplyCubeError(Exception):
    """Base class of all errors about one session, one request or one event."""


class ComplyCubeInvalidIdError(ComplyCubeError, ValueError):
    """The id contains characters that would change the URL of a request."""


class ComplyCubeOwnershipError(ComplyCubeError):
    """The stored row belongs to another account or environment than the key."""


class ComplyCubeErasedError(ComplyCubeError):
    """The id belongs to an erased person; the message does not repeat it."""


class ComplyCubeClientNotFoundError(ComplyCubeError):
    """Nothing is stored about the client to erase; ``near`` has similar ids."""

    def __init__(self, message: str, *, near: list[str]) -> None:
        super().__init__(message)
        self.near = near


class ComplyCubeProtectedError(ComplyCubeError):
    """A legal hold or the minimum retention protects rows; nothing was removed."""

    def __init__(self, message: str, *, reasons: dict[str, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


class ComplyCubeScrubberError(ComplyCubeError):
    """The project's scrubber raised, or returned something that must not be stored."""


class ComplyCubeFilterError(ComplyCubeError):
    """A filtered list omitted an item that it must contain, so it proves nothing."""


class ComplyCubeRefreshRunningError(ComplyCubeError):
    """Another run over the same account is in progress."""


class ComplyCubeStorageError(ComplyCubeError):
    """The database rejected a single record, although the connection works."""


class ComplyCubeBusyError(ComplyCubeError):
    """Others use the request budget for longer than a person should wait for a page."""


class ComplyCubeUpstreamOffError(ComplyCubeError):
    """Changes at the vendor require ``COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True``."""


class ComplyCubeInvalidChangeError(ComplyCubeError, ValueError):
    """The arguments of a change are wrong: an unknown outcome, a missing match, a comment that is too long."""


class ComplyCubeChangeUnderWayError(ComplyCubeError):
    """The same change was sent a moment ago, and its result is not known yet."""


class ComplyCubeLostAnswerError(ComplyCubeError):
    """
    A change was sent once, and its response was lost; it is not sent again.

    ``is_done`` is False if the object, fetched afterwards, does not show the change. It is None if the object
    is unclear or could not be fetched.
    """

    def __init__(self, message: str, *, is_done: bool | None) -> None:
        super().__init__(message)
        self.is_done = is_done


class ComplyCubeConnectionError(ComplyCubeError):
    """No complete response arrived: name resolution, TLS, a reset, a timeout, a broken header."""


class ComplyCubeAPIError(ComplyCubeError):
    """The API answered with a status other than 2xx."""

    def __init__(self, message: str, *, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class ComplyCubeAuthenticationError(ComplyCubeAPIError):
    """401: the key is missing, wrong or revoked."""


class ComplyCubePaymentError(ComplyCubeAPIError):
    """402: the vendor requires payment."""


class ComplyCubePermissionError(ComplyCubeAPIError):
    """403: the key is valid, but not for this resource."""


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
    """5xx: a fault of the vendor or of a gateway in between."""

    def __init__(
        self, message: str, *, status_code: int, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status_code=status_code)
        self.retry_after_seconds = retry_after_seconds


class ComplyCubeReportError(ComplyCubeError):
    """The report was not fetched: its URL is not allowed, or returns no PDF of bounded size."""


class ComplyCubePayloadError(ComplyCubeError, ValueError):
    """The API answered 2xx, but the body does not have the documented shape."""


class ComplyCubeSignatureError(ComplyCubeError):
    """The signature of a webhook is missing or does not match any secret."""


class ReviewConflictError(ComplyCubeError):
    """
    A review is not in the state that the caller expects; nothing was written.

    ``changes`` describes how the session has changed since the person's page was rendered.
    """

    def __init__(self, message: str, *, changes: list[str] | None = None) -> None:
        super().__init__(message)
        self.changes = changes or []


class ReviewPermissionError(ComplyCubeError):
    """A user tried to confirm their own decision, or to act on a review of somebody else."""


class ComplyCubeConfigurationError(ImproperlyConfigured):
    """A setting is missing or wrong; the message says how to fix it."""


class MirrorWriteError(RuntimeError):
    """The project's code tried to write a mirrored row; nothing was written. The message says what to call instead."""
