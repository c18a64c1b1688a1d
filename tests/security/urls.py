"""Views of a host project that fail while they hold what is secret."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.conf import get_account
from complycube_sessions.services import refresh_session, refresh_sessions
from tests.builders import SESSION_ID
from tests.urls import urlpatterns as ours


def one(request: HttpRequest) -> HttpResponse:
    return HttpResponse(refresh_session(SESSION_ID).pk)


def some(request: HttpRequest) -> HttpResponse:
    run = refresh_sessions(ids=[SESSION_ID])
    raise RuntimeError(f"{run.state} {run.errors}")


def holding(request: HttpRequest) -> HttpResponse:
    account = get_account()
    client = ComplyCubeClient(account)
    everything = {"account": account, "client": client, "session": client._session()}
    raise RuntimeError(f"{account} {client} {everything}")


def unknown(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_account("no-such-account").name)


urlpatterns = [
    *ours,
    path("one/", one),
    path("some/", some),
    path("holding/", holding),
    path("unknown/", unknown),
]
