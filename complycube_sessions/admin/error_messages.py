"""What an error means to the person who asked ComplyCube for something."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin.base import DATABASE_FAULTS, database_reason
from complycube_sessions.db.connections import OpenTransactionError
from complycube_sessions.exceptions import (
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeErasedError,
    ComplyCubeError,
    ComplyCubeInvalidIdError,
    ComplyCubeNotFoundError,
    ComplyCubeOwnershipError,
    ComplyCubePayloadError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeScrubberError,
    ComplyCubeServerError,
)

logger = logging.getLogger("complycube_sessions.admin")

_REASONS: Final[tuple[tuple[type[Exception], Any], ...]] = (
    (
        ComplyCubeNotFoundError,
        gettext_lazy(
            "ComplyCube does not know this session (404). If it is stored here, it stays."
        ),
    ),
    (
        ComplyCubeRateLimitError,
        gettext_lazy("ComplyCube accepts no more requests at the moment (429). Try again later."),
    ),
    (
        ComplyCubeAuthenticationError,
        gettext_lazy(
            "ComplyCube rejects the API key (401). An operator has to check the settings."
        ),
    ),
    (
        ComplyCubeBusyError,
        gettext_lazy(
            "Other requests to ComplyCube take precedence at the moment. Nothing was changed. Try again "
            "in a minute."
        ),
    ),
    (ComplyCubePaymentError, gettext_lazy("ComplyCube requires payment before it answers (402).")),
    (
        ComplyCubePermissionError,
        gettext_lazy("The API key has no permission to read this session (403)."),
    ),
    (
        ComplyCubeConnectionError,
        gettext_lazy("ComplyCube could not be reached. Nothing was changed. Try again later."),
    ),
    (
        ComplyCubeServerError,
        gettext_lazy("ComplyCube had an internal error. Nothing was changed. Try again later."),
    ),
    (
        ComplyCubePayloadError,
        gettext_lazy("ComplyCube's answer could not be read. Nothing was changed."),
    ),
    (
        ComplyCubeInvalidIdError,
        gettext_lazy("This is not a valid session id. No request was sent."),
    ),
    (
        ComplyCubeOwnershipError,
        gettext_lazy(
            "The stored session belongs to another account or environment than the API key."
        ),
    ),
    (
        ComplyCubeErasedError,
        gettext_lazy("This person's data was erased and is not stored again. Nothing was kept."),
    ),
    (
        ComplyCubeScrubberError,
        gettext_lazy(
            "This site's scrubber failed on the answer, so none of it was stored. An operator has to "
            "look into it."
        ),
    ),
    (
        ComplyCubeConfigurationError,
        gettext_lazy("The account has no usable API key. An operator has to check the settings."),
    ),
    (
        OpenTransactionError,
        gettext_lazy(
            "A middleware of this site holds a database transaction open, so no request can be sent to "
            "ComplyCube. The log tells operators which setting to change."
        ),
    ),
)
# What may come of asking for something: all of it is told to the person who asked.
ERRORS: Final = (
    ComplyCubeError,
    ComplyCubeConfigurationError,
    OpenTransactionError,
    *DATABASE_FAULTS,
)


def error_message(error: Exception, *, unknown: str | None = None) -> str:
    """Return what an error means to the person who pressed the button, or ``unknown`` where it is none of these."""
    if isinstance(error, DATABASE_FAULTS):
        return database_reason(error)
    if isinstance(error, OpenTransactionError):
        logger.warning(
            "A middleware opened a transaction around a page that asks ComplyCube, which SQLite cannot store "
            "beside. Let it leave the addresses of this app out; of django-reversion's RevisionMiddleware use "
            "a subclass with `atomic = False`.",
            extra={"error": type(error).__name__},
        )
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return str(text)
    if unknown is not None:
        return unknown
    return _("The refresh failed (%(error)s).") % {"error": type(error).__name__}
