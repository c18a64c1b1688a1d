"""
Refreshing sessions from the admin, and fetching one by its id.

The views are POST only and run outside of transactions, since they wait for the API.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.admin.actions import after_action, log, log_each, stored_session
from complycube_sessions.admin.base import (
    DATABASE_FAULTS,
    ReadOnlyAdmin,
    tells_database_faults,
)
from complycube_sessions.admin.error_messages import ERRORS, error_message
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import account_names
from complycube_sessions.db.connections import (
    OpenTransactionError,
    beside_transactions,
    outside_transactions,
    write_alias,
)
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubePermissionError,
    ComplyCubeServerError,
)
from complycube_sessions.models.lengths import ID_LENGTH
from complycube_sessions.services import refresh_session
from complycube_sessions.sync.errors import STOP_ERRORS

# Refreshed while the person waits; more of them go to the project's task engine, if it has one.
MAX_SELECTED: Final = 20
MAX_HANDED_OVER: Final = 10_000

# What the next session of a selection would run into as well.
_STOPS: Final = (
    *STOP_ERRORS,
    ComplyCubeConnectionError,
    ComplyCubeServerError,
    ComplyCubeConfigurationError,
    OpenTransactionError,
    *DATABASE_FAULTS,
)


class FetchForm(forms.Form):
    """Which session to fetch, and with whose key."""

    session_id = forms.CharField(label=gettext_lazy("Session id"), max_length=ID_LENGTH)
    account = forms.ChoiceField(label=gettext_lazy("Account"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = account_names() or ["default"]
        account = self.fields["account"]
        assert isinstance(account, forms.ChoiceField)  # noqa: S101 - for the type checker
        account.choices = [(name, name) for name in names]
        account.initial = names[0]
        if len(names) == 1:
            account.widget = forms.HiddenInput()


@admin.action(permissions=["refresh"], description=gettext_lazy("Refresh selected from ComplyCube"))
def refresh_selected(page: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> None:
    # Importing the tasks asks the project's engine whether it can run them.
    from complycube_sessions import tasks

    most = MAX_HANDED_OVER if tasks.engine() else MAX_SELECTED
    chosen = list(queryset.order_by("pk").values_list("pk", "account")[: most + 1])
    if len(chosen) > most:
        hint = _(
            "At most %(count)d sessions can be refreshed here at once. Select fewer, or ask an "
            "operator to run the command refresh_workflow_sessions."
        )
        messages.error(request, hint % {"count": most})
    elif len(chosen) > MAX_SELECTED:
        _hand_over(request, chosen)
    else:
        _refresh_now(request, chosen)


def _hand_over(request: HttpRequest, chosen: list[tuple[str, str]]) -> None:
    """Let the project's workers refresh sessions, and log for each that this was asked for."""
    from complycube_sessions import tasks

    by_account: dict[str, list[str]] = {}
    for session_id, account in chosen:
        by_account.setdefault(account, []).append(session_id)
    for account, ids in by_account.items():
        try:
            hand_over = partial(tasks.refresh_in_background, account, ids)
            # A worker may look before a middleware's transaction ends.
            is_taken = beside_transactions(hand_over, alias=write_alias())
        except ComplyCubeConfigurationError as error:
            messages.error(request, f"{account}: {error_message(error)}")
            continue
        log_each(request, ids, "Handed over for a refresh from ComplyCube.")
        count = {"count": len(ids)}
        if is_taken:
            text = ngettext(
                "%(count)d session is being refreshed in the background.",
                "%(count)d sessions are being refreshed in the background.",
                len(ids),
            )
            messages.success(request, text % count)
        else:
            text = ngettext(
                "The task engine does not answer. The next refresh run fetches %(count)d session.",
                "The task engine does not answer. The next refresh run fetches %(count)d sessions.",
                len(ids),
            )
            messages.warning(request, text % count)


def _refresh_now(request: HttpRequest, chosen: list[tuple[str, str]]) -> None:
    refreshed = 0
    patience = Patience()
    for session_id, account in chosen:
        error = _refresh(request, session_id, account, patience)
        if error is None:
            refreshed += 1
            continue
        messages.error(request, f"{session_id}: {error_message(error)}")
        if isinstance(error, _STOPS):
            left = len(chosen) - refreshed - 1
            if left:
                text = ngettext(
                    "%(count)d other session was not tried.",
                    "%(count)d other sessions were not tried.",
                    left,
                )
                messages.warning(request, text % {"count": left})
            break
    if refreshed:
        text = ngettext(
            "%(count)d session is up to date.",
            "%(count)d sessions are up to date.",
            refreshed,
        )
        messages.success(request, text % {"count": refreshed})


@outside_transactions
@tells_database_faults
def refresh_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Fetch a stored session again and go back to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not page.has_refresh_permission(request):
        raise PermissionDenied
    session_id = unquote(object_id)
    owner = stored_session(session_id).values_list("account").first()
    if owner is None:
        messages.warning(request, _("There is no session “%(id)s”.") % {"id": session_id})
        return HttpResponseRedirect(after_action(page, request))
    audit_errors: list[ComplyCubeError] = []
    error = _refresh(request, session_id, owner[0], Patience(), audit_errors=audit_errors)
    if error is None:
        messages.success(request, _("The session is up to date."))
        tell_audit_errors(request, audit_errors)
    else:
        messages.error(request, error_message(error))
    return HttpResponseRedirect(after_action(page, request, session_id))


@outside_transactions
@tells_database_faults
def fetch_view(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for an id; on POST, fetch and store that session, known here or not."""
    if not page.has_refresh_permission(request):
        raise PermissionDenied
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    form = FetchForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        session_id = form.cleaned_data["session_id"]
        is_new = not stored_session(session_id).exists()
        account = form.cleaned_data["account"]
        audit_errors: list[ComplyCubeError] = []
        error = _refresh(
            request, session_id, account, Patience(), is_new=is_new, audit_errors=audit_errors
        )
        if error is None:
            messages.success(request, _("Session %(id)s is stored.") % {"id": session_id})
            tell_audit_errors(request, audit_errors)
            return HttpResponseRedirect(after_action(page, request, session_id))
        form.add_error("session_id", error_message(error))
    context = {
        "title": _("Fetch a session by id"),
        "crumb": _("Fetch a session by id"),
        "form": form,
        "list_url": page.url("changelist") if page.has_view_permission(request) else "",
    }
    return page.render(request, "fetch.html", context)


def tell_audit_errors(request: HttpRequest, errors: list[ComplyCubeError]) -> None:
    """Say why the audit log of a session that is up to date is not."""
    for error in errors:
        if isinstance(error, ComplyCubePermissionError):
            why = _("The API key or the plan has no access to audit logs (403).")
        else:
            why = error_message(
                error, unknown=_("ComplyCube's answer could not be read as a whole.")
            )
        messages.warning(
            request, _("The audit log could not be fetched: %(reason)s") % {"reason": why}
        )


def _refresh(
    request: HttpRequest,
    session_id: str,
    account: str,
    patience: Patience,
    *,
    is_new: bool = False,
    audit_errors: list[ComplyCubeError] | None = None,
) -> Exception | None:
    """Refresh one session and log that it was tried; return the error that stopped it."""
    ask = partial(
        refresh_session,
        session_id,
        account=account,
        source="admin",
        patience=patience,
        on_audit_error=None if audit_errors is None else audit_errors.append,
    )
    try:
        session = beside_transactions(ask, alias=write_alias())
    except DATABASE_FAULTS as error:
        # It would not take a line of the log either.
        return error
    except ERRORS as error:
        session_row = stored_session(session_id).only("pk").first()
        # An id that nobody knows is free text, and may hold a name.
        done = f"Refresh from ComplyCube failed: {type(error).__name__}."
        log(request, done, session=session_row)
        return error
    done = "Fetched from ComplyCube." if is_new else "Refreshed from ComplyCube."
    log(request, done, session=session, flag=ADDITION if is_new else CHANGE)
    return None
