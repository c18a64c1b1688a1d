"""
What a person may set off from the admin: a refresh of sessions, and the fetch of one by its id.

The views are POST only and run outside of transactions, since they wait for the API.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.admin.base import (
    DATABASE_FAULTS,
    ReadOnlyAdmin,
    database_reason,
    tells_database_faults,
)
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import account_names
from complycube_sessions.db.connections import (
    OpenTransactionError,
    beside_transactions,
    outside_transactions,
    write_alias,
)
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
from complycube_sessions.models import WorkflowSession
from complycube_sessions.models.lengths import ID_LENGTH
from complycube_sessions.privacy import tombstones
from complycube_sessions.services import refresh_session
from complycube_sessions.sync.errors import STOP_ERRORS

logger = logging.getLogger("complycube_sessions.admin")

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


def reason(error: Exception) -> str:
    """Return what an error means to the person who pressed the button."""
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
    return _("The refresh failed (%(error)s).") % {"error": type(error).__name__}


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


class RefreshActions(ReadOnlyAdmin):
    """The part of the session admin that asks the API."""

    actions = ["refresh_selected"]

    @admin.action(
        permissions=["refresh"], description=gettext_lazy("Refresh selected from ComplyCube")
    )
    def refresh_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
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
            self._hand_over(request, chosen)
        else:
            self._refresh_now(request, chosen)

    def _hand_over(self, request: HttpRequest, chosen: list[tuple[str, str]]) -> None:
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
                messages.error(request, f"{account}: {reason(error)}")
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

    def _refresh_now(self, request: HttpRequest, chosen: list[tuple[str, str]]) -> None:
        refreshed = 0
        patience = Patience()
        for session_id, account in chosen:
            error = self._refresh(request, session_id, account, patience)
            if error is None:
                refreshed += 1
                continue
            messages.error(request, f"{session_id}: {reason(error)}")
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
    def refresh_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Fetch a stored session again and go back to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_refresh_permission(request):
            raise PermissionDenied
        session_id = unquote(object_id)
        owner = stored_session(session_id).values_list("account").first()
        if owner is None:
            messages.warning(request, _("There is no session “%(id)s”.") % {"id": session_id})
            return HttpResponseRedirect(self._after(request))
        error = self._refresh(request, session_id, owner[0], Patience())
        if error is None:
            messages.success(request, _("The session is up to date."))
        else:
            messages.error(request, reason(error))
        return HttpResponseRedirect(self._after(request, session_id))

    @outside_transactions
    @tells_database_faults
    def fetch_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for an id; on POST, fetch and store that session, known here or not."""
        if not self.has_refresh_permission(request):
            raise PermissionDenied
        if request.method not in {"GET", "HEAD", "POST"}:
            return HttpResponseNotAllowed(["GET", "POST"])
        form = FetchForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            session_id = form.cleaned_data["session_id"]
            is_new = not stored_session(session_id).exists()
            account = form.cleaned_data["account"]
            error = self._refresh(request, session_id, account, Patience(), is_new=is_new)
            if error is None:
                messages.success(request, _("Session %(id)s is stored.") % {"id": session_id})
                return HttpResponseRedirect(self._after(request, session_id))
            form.add_error("session_id", reason(error))
        context = {
            "title": _("Fetch a session by id"),
            "crumb": _("Fetch a session by id"),
            "form": form,
            "list_url": self.url("changelist") if self.has_view_permission(request) else "",
        }
        return self.render(request, "fetch.html", context)

    def _refresh(
        self,
        request: HttpRequest,
        session_id: str,
        account: str,
        patience: Patience,
        *,
        is_new: bool = False,
    ) -> Exception | None:
        """Refresh one session and log that it was tried; return the error that stopped it."""
        ask = partial(
            refresh_session, session_id, account=account, source="admin", patience=patience
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

    def after_fault(self, request: HttpRequest, object_id: str = "", **kwargs: Any) -> str:
        if not self.has_view_permission(request):
            return self.url("fetch")
        return super().after_fault(request, object_id)

    def _after(self, request: HttpRequest, session_id: str = "") -> str:
        """Return where to go on: to the session, for one who may see it."""
        if not self.has_view_permission(request):
            return self.url("fetch")
        if session_id and stored_session(session_id).exists():
            return self.url("change", session_id)
        return self.url("changelist")


def stored_session(session_id: str) -> QuerySet[WorkflowSession]:
    """Return the session where it is written: a replica may not have it yet."""
    rows = WorkflowSession.objects.using(write_alias())
    # PostgreSQL raises an error for what no row can hold.
    return rows.none() if "\0" in session_id else rows.filter(pk=session_id)


def log(
    request: HttpRequest,
    message: str,
    *,
    session: WorkflowSession | None = None,
    flag: int = CHANGE,
) -> None:
    """Write a line of the admin's own log; it names ids, never people, and none of the erased."""
    line = LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type=ContentType.objects.get_for_model(WorkflowSession),
        object_id=session.pk if session else None,
        object_repr=str(session) if session else "sessions",
        action_flag=flag,
        change_message=message,
    )
    # An erasure that came before the line has not seen it; one that comes after will.
    if session is not None and tombstones.erased_anywhere([session.pk]):
        line.delete()


def log_each(request: HttpRequest, session_ids: Iterable[str], message: str) -> None:
    """Write a line of the admin's own log for each session that was not erased meanwhile."""
    session_ids = list(session_ids)
    content_type = ContentType.objects.get_for_model(WorkflowSession)
    LogEntry.objects.bulk_create(
        [
            LogEntry(
                user_id=cast("int", request.user.pk),
                content_type=content_type,
                object_id=session_id,
                object_repr=session_id[:200],
                action_flag=CHANGE,
                change_message=message,
            )
            for session_id in session_ids
        ],
        batch_size=500,
    )
    if erased := tombstones.erased_anywhere(session_ids):
        LogEntry.objects.filter(content_type=content_type, object_id__in=erased).delete()
