"""
OpenTelemetry spans, if the project has ``opentelemetry-api`` (the extra ``opentelemetry``).

Attributes contain counts, words and account names, but no ids, names of persons or error texts: of an error only
the class is recorded. Without the package, or without an SDK that records, a span costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from types import MappingProxyType
from typing import Final, ParamSpec, TypeVar

try:
    from opentelemetry import context, trace
except ImportError:  # the extra is not installed
    IS_TRACED = False
else:
    IS_TRACED = True

Attributes = Mapping[str, str | int | float]
NAME: Final = "complycube_sessions"
_NO_SPAN: Final[AbstractContextManager[None]] = nullcontext()

Given = ParamSpec("Given")
Result = TypeVar("Result")


def span(
    name: str, attributes: Attributes = MappingProxyType({}), *, is_client: bool = False
) -> AbstractContextManager[None]:
    """
    Return a context manager that opens a span; if an error leaves it, the error's class is recorded.

    Args:
        name: The name of the span, the same for all spans of its kind.
        attributes: The attributes, without ids and names of persons.
        is_client: Whether the span is a request to another service.
    """
    if not IS_TRACED:
        return _NO_SPAN
    return _span(name, attributes, is_client)


@contextmanager
def _span(name: str, attributes: Attributes, is_client: bool) -> Iterator[None]:
    kind = trace.SpanKind.CLIENT if is_client else trace.SpanKind.INTERNAL
    opened = trace.get_tracer(NAME).start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        # Both would record the text of an error, which may name a session.
        record_exception=False,
        set_status_on_exception=False,
    )
    with opened as current:
        try:
            yield
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def note(attributes: Attributes) -> None:
    """Add attributes to the current span; the rules of ``span`` apply."""
    if IS_TRACED:
        trace.get_current_span().set_attributes(attributes)


def traced(name: str) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Return a decorator that opens a span around each call."""

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(function)
        def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            with span(name):
                return function(*args, **kwargs)

        return call if IS_TRACED else function

    return decorate


def carried(job: Callable[[], Result]) -> Callable[[], Result]:
    """Wrap a job so that its spans, in any thread, are children of the current span."""
    if not IS_TRACED:
        return job
    here = context.get_current()

    def run() -> Result:
        token = context.attach(here)
        try:
            return job()
        finally:
            context.detach(token)

    return run
