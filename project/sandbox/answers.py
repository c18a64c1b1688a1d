"""What all endpoints of the sandbox share: who is let in, and how an answer looks."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Final, ParamSpec

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt

from project.sandbox import API_KEY
from project.sandbox.listing import LONGEST_VALUE, Paging, PagingError, list_json
from project.sandbox.models import to_json

LARGEST_BODY: Final = 100_000

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class RefusedError(Exception):
    """A request that the API refuses; ``param`` names the argument that is at fault."""

    def __init__(self, message: str, *, param: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


class UnknownError(Exception):
    """An id that the API does not know."""

    def __init__(self, what: str, pk: str) -> None:
        super().__init__(f"Invalid {what} id '{pk}'")


def endpoint(*methods: str) -> Callable[[View[P]], View[P]]:
    """Make a view answer only to the API key and to these methods (any when left out), and always with a ``Date``."""

    def decorate(view: View[P]) -> View[P]:
        @csrf_exempt
        @functools.wraps(view)
        def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            response = _answer(request, lambda: view(request, *args, **kwargs), methods)
            response["Date"] = http_date()
            return response

        return wrapper

    return decorate


def _answer(
    request: HttpRequest, view: Callable[[], HttpResponse], methods: tuple[str, ...]
) -> HttpResponse:
    if not constant_time_compare(request.headers.get("Authorization", ""), API_KEY):
        return error(401, "unauthorized", "The 'Authorization' header is invalid")
    if methods and request.method not in methods:
        return unknown(request)
    try:
        return view()
    except UnknownError as refusal:
        return error(404, "resource_not_found", str(refusal))
    except RefusedError as refusal:
        more = {"param": refusal.param} if refusal.param else {}
        return error(refusal.status, "invalid_request", str(refusal), **more)


def listed(request: HttpRequest, rows: QuerySet[Any], filters: Mapping[str, str]) -> HttpResponse:
    """Answer with one page of rows."""
    try:
        paging = Paging.from_query(request.GET)
    except PagingError as fault:
        raise RefusedError(str(fault), param=fault.param) from None
    return answer(list_json(rows, paging, request.GET, filters))


def body_of(rows: QuerySet[Any], what: str, pk: str, *, column: str = "body") -> str:
    """
    Return the JSON text that a column of one row holds.

    Raises:
        UnknownError: Nothing has the id, or could have it.
    """
    is_possible = "\0" not in pk and len(pk) <= LONGEST_VALUE
    body: str | None = None
    if is_possible:
        body = rows.filter(pk=pk).values_list(column, flat=True).first()
    if body is None:
        raise UnknownError(what, pk)
    return body


def sent_json(request: HttpRequest) -> dict[str, Any]:
    """Return the object that a request holds; no body is an empty one."""
    try:
        sent = json.loads(request.body[:LARGEST_BODY] or b"{}")
    except (ValueError, RecursionError):
        raise RefusedError("The body is not valid JSON") from None
    if not isinstance(sent, dict):
        raise RefusedError("The body is not a JSON object")
    return sent


def unknown(request: HttpRequest) -> HttpResponse:
    return error(404, "resource_not_found", f"Cannot {request.method} {request.path}")


def error(status: int, kind: str, message: str, **more: str) -> HttpResponse:
    return answer(to_json({"type": kind, "message": message, **more}), status=status)


def answer(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(text, content_type="application/json; charset=utf-8", status=status)
