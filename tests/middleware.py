"""What strangers put into ``MIDDLEWARE``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase

Handler = Callable[[HttpRequest], HttpResponseBase]


def open_transactions(get_response: Handler) -> Handler:
    """Answer each request inside of a transaction on every database."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        with ExitStack() as stack:
            for alias in connections:
                stack.enter_context(transaction.atomic(using=alias))
            return get_response(request)

    return respond


def rolled_back_transactions(get_response: Handler) -> Handler:
    """Answer each request inside of transactions of which nothing is left."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        with ExitStack() as stack:
            for alias in connections:
                stack.enter_context(transaction.atomic(using=alias))
            response = get_response(request)
            for alias in connections:
                transaction.set_rollback(True, using=alias)
            return response

    return respond
