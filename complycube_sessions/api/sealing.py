"""
Keeping secrets out of errors that other libraries raise.

Error pages, mails to the admins and error trackers show the variables of each frame of a traceback. The
frames of requests, urllib3 and hmac contain the key, the webhook's secret or the body.
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

    Our own errors keep their messages, as do errors that the project or its task engine raises during a
    call, such as a time limit. Both lose their frames.

    Args:
        as_error: Returns our error for an error of Python or a library.
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
    """Return whether an error comes from a library, so that its message may quote a request."""
    if isinstance(error, _OURS) or not isinstance(error, Exception):
        return False
    package = type(error).__module__.partition(".")[0]
    # Other libraries, such as those for proxies or encodings, derive their errors from these.
    return package in _LIBRARIES or isinstance(error, OSError | ValueError)
