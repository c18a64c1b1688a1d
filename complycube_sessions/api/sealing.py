"""
Keeping secrets out of errors that other libraries raise.

An error page, a mail to the admins and an error tracker show the variables of each frame of a traceback.
Those of requests, urllib3 and hmac hold the key, the webhook's secret or the body.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeGuard, TypeVar

from complycube_sessions.exceptions import ComplyCubeConfigurationError, ComplyCubeError

_OURS: Final = (ComplyCubeError, ComplyCubeConfigurationError)
_LIBRARIES: Final = frozenset({*sys.stdlib_module_names, "requests", "urllib3"})

Given = ParamSpec("Given")
Result = TypeVar("Result")


def sealed(
    as_error: Callable[[Exception], Exception],
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """
    Return a decorator that replaces a library's errors, and drops the frames and context of all errors.

    Our own errors keep their messages, and so do those that the project or its task engine raises in the
    middle of a call, such as a time limit. Both lose their frames.

    Args:
        as_error: Returns our error in place of one of Python's or of a library's.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(function)
        def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            try:
                return function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised again below
                raised = as_error(error) if _is_a_librarys(error) else error
            del args, kwargs
            raised.__cause__ = raised.__context__ = None
            raise raised.with_traceback(None)

        return call

    return decorate


def _is_a_librarys(error: BaseException) -> TypeGuard[Exception]:
    """Return whether an error is a library's, whose message may quote a request."""
    if isinstance(error, _OURS) or not isinstance(error, Exception):
        return False
    package = type(error).__module__.partition(".")[0]
    # Those that libraries derive for themselves, such as a proxy's or an encoding's, are among these.
    return package in _LIBRARIES or isinstance(error, OSError | ValueError)
