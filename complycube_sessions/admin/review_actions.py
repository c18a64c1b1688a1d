"""What people do on reviews in the admin: each button is a POST that says what came of it and goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from complycube_sessions.admin.actions import after_action, log, log_each, stored_session
from complycube_sessions.admin.base import (
    ReadOnlyAdmin,
    allowed,
    holds_nul,
    tells_database_faults,
)
from complycube_sessions.admin.review_people import reviewers
from complycube_sessions.db.connections import outside_transactions
from complycube_sessions.exceptions import ReviewConflictError, ReviewPermissionError
from complycube_sessions.reviews.records import name_of
from complycube_sessions.services import (
    add_review_note,
    assign_review,
    confirm_review,
    decide_review,
    release_review,
    take_next_review,
    take_review,
)

# What a service refuses, in words that people can read.
REFUSALS: Final = (ReviewConflictError, ReviewPermissionError, ValueError)
MOST_ASSIGNED: Final = 500
NOBODY: Final = "nobody"

Action = Callable[[HttpRequest, str], str]


@outside_transactions
@tells_database_faults
def review_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Do what a button of the panel asks for, and go back to the session."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    action = ACTIONS.get(request.POST.get("do", ""))
    if action is None or not page.has_view_permission(request):
        raise PermissionDenied
    right, act, done = action
    if not allowed(request, right):
        raise PermissionDenied
    if holds_nul(request.POST):
        raise BadRequest("A text holds a NUL.")
    session_id = unquote(object_id)
    if not stored_session(session_id).exists():
        messages.warning(request, _("There is no session “%(id)s”.") % {"id": session_id})
        return HttpResponseRedirect(page.list_url())
    try:
        messages.success(request, act(request, session_id))
        log(request, done, session=stored_session(session_id).only("pk").first())
    except REFUSALS as error:
        messages.error(request, str(error))
        _keep_note(request, session_id)
    return HttpResponseRedirect(after_action(page, request, session_id))


@outside_transactions
@tells_database_faults
def take_next_view(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Take the review that waits longest, and go to its session."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not page.has_view_permission(request) or not allowed(request, "work_review"):
        raise PermissionDenied
    review = take_next_review(request.user)
    if review is None:
        messages.info(request, _("No review is waiting that nobody has taken."))
        return HttpResponseRedirect(page.list_url(case="unassigned"))
    log(request, "Review taken.", session=stored_session(review.pk).only("pk").first())
    messages.success(request, _("You have taken this review."))
    return HttpResponseRedirect(after_action(page, request, review.pk))


def assign_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Ask to whom the review of a session goes."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET"])
    if not page.has_view_permission(request) or not allowed(request, "assign_review"):
        raise PermissionDenied
    session_id = unquote(object_id)
    if not stored_session(session_id).exists():
        messages.warning(request, _("There is no session “%(id)s”.") % {"id": session_id})
        return HttpResponseRedirect(page.list_url())
    back = page.url("change", session_id)
    hidden = [("do", "assign")]
    return _ask_whom(page, request, 1, hidden, back=back, url=page.url("review", session_id))


def _ask_whom(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    count: int,
    hidden: list[tuple[str, str]],
    *,
    back: str,
    url: str = "",
) -> HttpResponse:
    context = {
        "title": _("Assign reviews"),
        "crumb": _("Assign reviews"),
        "list_url": page.url("changelist"),
        "people": [(str(user.pk), name_of(user)) for user in reviewers()],
        "count": count,
        "hidden": hidden,
        "back_url": back,
        "url": url,
    }
    return page.render(request, "assign.html", context)


@admin.action(permissions=["assign"], description=gettext_lazy("Assign the reviews of selected"))
def assign_selected(
    page: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Ask to whom the reviews of a selection go, then assign them."""
    ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST_ASSIGNED + 1])
    if len(ids) > MOST_ASSIGNED:
        hint = _("At most %(count)d reviews can be assigned at once. Select fewer.")
        messages.error(request, hint % {"count": MOST_ASSIGNED})
        return None
    if "assignee" not in request.POST:
        hidden = [("action", "assign_selected"), *((ACTION_CHECKBOX_NAME, pk) for pk in ids)]
        return _ask_whom(page, request, len(ids), hidden, back=request.get_full_path())
    _assign_each(request, ids)
    return None


def _assign_each(request: HttpRequest, ids: list[str]) -> None:
    done, refused = [], []
    try:
        assignee = _chosen(request)
    except ValueError as error:
        messages.error(request, str(error))
        return
    for session_id in ids:
        try:
            assign_review(session_id, assignee, request.user)
            done.append(session_id)
        except REFUSALS as error:
            refused.append(f"{session_id}: {error}")
    log_each(request, done, "Review assigned.")
    if done:
        text = ngettext(
            "%(count)d review is assigned.", "%(count)d reviews are assigned.", len(done)
        )
        messages.success(request, text % {"count": len(done)})
    for text in refused[:20]:
        messages.error(request, text)


def _chosen(request: HttpRequest) -> Any:
    """Return whom the form names, None for nobody; only who may work on reviews can be named."""
    chosen = request.POST.get("assignee", "")
    people = {str(user.pk): user for user in reviewers()}
    if chosen != NOBODY and chosen not in people:
        raise ValueError(_("Choose who is to work on it."))
    return people.get(chosen)


def _take(request: HttpRequest, session_id: str) -> str:
    take_review(session_id, request.user)
    return _("You have taken this review.")


def _release(request: HttpRequest, session_id: str) -> str:
    release_review(session_id, request.user)
    return _("The review is nobody's again.")


def _assign(request: HttpRequest, session_id: str) -> str:
    assign_review(session_id, _chosen(request), request.user)
    return _("The review is assigned.")


def _note(request: HttpRequest, session_id: str) -> str:
    add_review_note(session_id, request.user, request.POST.get("note", ""))
    return _("The note is kept.")


def _decide(request: HttpRequest, session_id: str) -> str:
    decision, _colon, reason = request.POST.get("choice", "").partition(":")
    note, seen = request.POST.get("note", ""), request.POST.get("seen", "")
    if not seen:
        raise ValueError(_("The form was incomplete. Look at the page again."))
    review = decide_review(session_id, request.user, decision, reason, note, seen=seen)
    if review.state == review.State.AWAITING_CONFIRMATION:
        return _("Your decision waits for a second person.")
    return _("The review is decided.")


def _confirm(request: HttpRequest, session_id: str) -> str:
    confirm_review(session_id, request.user, True, request.POST.get("note", ""))
    return _("The decision is confirmed.")


def _send_back(request: HttpRequest, session_id: str) -> str:
    confirm_review(session_id, request.user, False, request.POST.get("note", ""))
    return _("The review is back in work.")


def _keep_note(request: HttpRequest, session_id: str) -> None:
    """Keep what somebody has written with a decision that was refused: it is not to be written again."""
    text = request.POST.get("note", "")
    if request.POST.get("do") == "note" or not text.strip() or not allowed(request, "work_review"):
        return
    try:
        add_review_note(session_id, request.user, text)
    except REFUSALS:
        return
    messages.info(request, _("What you wrote is kept as a note."))


# What a button says it does: the permission, the service, and the line of the log.
ACTIONS: Final[dict[str, tuple[str, Action, str]]] = {
    "take": ("work_review", _take, "Review taken."),
    "release": ("work_review", _release, "Review released."),
    "note": ("work_review", _note, "Note added to the review."),
    "decide": ("work_review", _decide, "Review decided."),
    "assign": ("assign_review", _assign, "Review assigned."),
    "confirm": ("confirm_review", _confirm, "Decision confirmed."),
    "send_back": ("confirm_review", _send_back, "Review sent back."),
}
