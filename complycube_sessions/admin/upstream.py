"""
Changing something at ComplyCube from the admin: first a page that says what will happen, then the change.

The view runs outside of transactions, since it waits for the API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    QueryDict,
)
from django.utils.translation import gettext as _

from complycube_sessions.admin import display
from complycube_sessions.admin import upstream_words as words
from complycube_sessions.admin.actions import after_action, log, stored_session
from complycube_sessions.admin.base import (
    DATABASE_FAULTS,
    ReadOnlyAdmin,
    allowed,
    tells_database_faults,
)
from complycube_sessions.admin.check_reasons import match_rows
from complycube_sessions.admin.error_messages import ERRORS, error_message
from complycube_sessions.admin.tree import tree
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import conf
from complycube_sessions.db.connections import (
    beside_transactions,
    outside_transactions,
    write_alias,
)
from complycube_sessions.exceptions import (
    ComplyCubeLostAnswerError,
)
from complycube_sessions.findings import matches as findings
from complycube_sessions.models import RelatedCheck, UpstreamChange, WorkflowSession
from complycube_sessions.services import cancel_session, complete_session, validate_check
from complycube_sessions.upstream.changes import ChangeResult
from complycube_sessions.upstream.requested import MAX_COMMENT, SCREENINGS, matches_of

Action = UpstreamChange.Action
Status = WorkflowSession.Status
MATCHES_SHOWN: Final = 50
CHECKS_SHOWN: Final = 10
NAME_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Button:
    """A link to the page that asks whether a change is meant."""

    url: str
    label: Any
    about: Any = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is about: one change of a stored session, and the check and match it is of."""

    action: UpstreamChange.Action
    session: WorkflowSession
    check: RelatedCheck | None = None
    match: dict[str, Any] | None = None

    @property
    def match_id(self) -> str:
        return str(self.match["id"]) if self.match else ""

    @property
    def seen(self) -> str:
        """What the page shows, so that nobody decides on something else."""
        rows: list[WorkflowSession | RelatedCheck] = [self.session]
        rows += [self.check] if self.check else []
        parts = [f"{row.status} {row.outcome} {row.updated_at}" for row in rows]
        return " ".join([*parts, str((self.match or {}).get("validation", ""))])


class DecisionForm(forms.Form):
    """What somebody decides, and on what they saw."""

    seen = forms.CharField(widget=forms.HiddenInput, strip=False, required=False)

    def __init__(self, asked: Asked, data: QueryDict | None) -> None:
        super().__init__(data, initial={"seen": asked.seen})
        if asked.action == Action.VALIDATE:
            self.fields["outcome"] = forms.ChoiceField(
                label=_("Decision"),
                choices=words.MATCH_OUTCOMES if asked.match else words.OUTCOMES,
                widget=forms.RadioSelect,
            )
            self.fields["comment"] = forms.CharField(
                label=_("Comment for ComplyCube's record"),
                required=False,
                max_length=MAX_COMMENT,
                widget=forms.Textarea(attrs={"rows": 4}),
            )


def may_change(request: HttpRequest) -> bool:
    """Return whether the user may change things at ComplyCube, and the settings allow it to anybody."""
    return conf.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES and allowed(
        request, "change_upstream_workflowsession"
    )


def session_actions(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    session: WorkflowSession,
    checks: list[dict[str, Any]],
) -> list[Button]:
    """
    Return what may be done about a session at ComplyCube, for its page.

    Args:
        page: Makes the addresses.
        request: Of the user.
        session: The session.
        checks: Its checks, each with ``check``, ``label`` and ``url``, and ``look``.
    """
    if not may_change(request) or session.missing_since:
        return []
    if session.status == Status.STARTED:
        return [
            Button(_url(page, session, action), words.TITLES[action])
            for action in (Action.COMPLETE, Action.CANCEL)
        ]
    return [
        button
        for entry in checks
        if not entry["look"].is_clear and (button := _check_button(page, session, entry))
    ][:CHECKS_SHOWN]


def check_actions(page: ReadOnlyAdmin, request: HttpRequest, check: RelatedCheck) -> list[Button]:
    """Return what may be decided about a check at ComplyCube, for its page: of a screening, each match."""
    if not (may_change(request) and allowed(request, "view_workflowsession")):
        return []
    if not _is_decidable(check):
        return []
    if check.type not in SCREENINGS:
        return [
            Button(_url(page, check.session, Action.VALIDATE, check), words.TITLES[Action.VALIDATE])
        ]
    if not page.has_sensitive_permission(request):
        return []
    # Those that nobody has decided on come first.
    matches = sorted(matches_of(check.result), key=_is_decided)[:MATCHES_SHOWN]
    return [
        Button(
            _url(page, check.session, Action.VALIDATE, check, str(match["id"])),
            _("Decide on a match at ComplyCube"),
            _match_line(match),
        )
        for match in matches
    ]


@outside_transactions
@tells_database_faults
def upstream_view(page: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Say what a change would do; on POST, ask ComplyCube for it and go back to the session."""
    if not page.has_upstream_permission(request) or not page.has_view_permission(request):
        raise PermissionDenied
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    session_id = unquote(object_id)
    session = stored_session(session_id).first()
    if session is None:
        messages.warning(request, _("There is no session “%(id)s”.") % {"id": session_id})
        return HttpResponseRedirect(after_action(page, request))
    back = HttpResponseRedirect(after_action(page, request, session_id))
    if not conf.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES:
        messages.error(request, _("This site does not allow changes at ComplyCube."))
        return back
    asked = _asked(page, request, session)
    form = DecisionForm(asked, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _confirmation(page, request, asked, form)
    if form.cleaned_data["seen"] != asked.seen:
        text = _("This has changed since you opened the page. Nothing was sent. Look at it again.")
        messages.error(request, text)
        return HttpResponseRedirect(request.get_full_path())
    _change(request, asked, form.cleaned_data)
    return back


def _asked(page: ReadOnlyAdmin, request: HttpRequest, session: WorkflowSession) -> Asked:
    """Return what an address asks for; raise ``Http404`` where the session has no such check or match."""
    action = request.GET.get("action", "")
    if action not in Action.values:
        raise Http404
    if action != Action.VALIDATE:
        return Asked(Action(action), session)
    check_id, match_id = request.GET.get("check", ""), request.GET.get("match", "")
    if "\0" in check_id:
        raise Http404
    check = RelatedCheck.objects.using(write_alias()).filter(session=session, check_id=check_id)
    found = check.first()
    if found is None or not _is_decidable(found):
        raise Http404
    if found.type not in SCREENINGS:
        return Asked(Action.VALIDATE, session, found)
    if not page.has_sensitive_permission(request):
        raise PermissionDenied
    match = next((m for m in matches_of(found.result) if str(m["id"]) == match_id), None)
    if match is None:
        raise Http404
    return Asked(Action.VALIDATE, session, found, match)


def _confirmation(
    page: ReadOnlyAdmin, request: HttpRequest, asked: Asked, form: DecisionForm
) -> HttpResponse:
    check = asked.check
    context = {
        "title": words.TITLES[asked.action],
        "crumb": words.TITLES[asked.action],
        "asked": asked,
        "form": form,
        "consequence": words.CONSEQUENCES[asked.action],
        "button": words.BUTTONS[asked.action],
        "label": display.check_type_label(check.type) if check else "",
        "look": display.check_appearance(check) if check else None,
        "outcome": display.outcome_appearance(asked.session.outcome, asked.session.status),
        "status": display.status_pill(asked.session.status),
        "matches": match_rows(
            findings.matches_of({"matches": [asked.match] if asked.match else []})
        ),
        "match": tree(asked.match, open_levels=1) if asked.match else "",
        "list_url": page.url("changelist"),
        "back_url": page.row_url(asked.session),
    }
    return page.render(request, "upstream.html", context)


def _change(request: HttpRequest, asked: Asked, given: dict[str, Any]) -> None:
    """Ask for the change, log who did, and say what became of it."""
    session = asked.session
    what = _described(asked, given.get("outcome", ""))
    try:
        result = beside_transactions(_service(request, asked, given), alias=write_alias())
    except DATABASE_FAULTS:
        raise
    except ERRORS as error:
        messages.error(request, words.refusal(error))
        state = "not known whether done" if _is_unknown(error) else "not done"
        log(request, f"{what}: {state} ({type(error).__name__}).", session=session)
        return
    # First, since a line of the log that the database refuses must not look like a change that failed.
    _tell_done(request, result)
    log(request, f"{what}: done.", session=session)


def _service(
    request: HttpRequest, asked: Asked, given: dict[str, Any]
) -> Callable[[], ChangeResult]:
    session = asked.session
    common: dict[str, Any] = {
        "user": request.user,
        "account": session.account,
        "patience": Patience(),
    }
    if asked.check is None:
        works = {Action.COMPLETE: complete_session, Action.CANCEL: cancel_session}
        return partial(works[asked.action], session.pk, **common)
    return partial(
        validate_check,
        session.pk,
        asked.check.check_id,
        given["outcome"],
        asked.match_id,
        given["comment"],
        **common,
    )


def _tell_done(request: HttpRequest, result: ChangeResult) -> None:
    if result.answer_was_lost:
        text = _(
            "ComplyCube's answer was lost, and the request was not sent again: what is found there shows "
            "that the change was done."
        )
        messages.warning(request, text)
    else:
        messages.success(request, _("ComplyCube has done it."))
    if result.refresh_error is not None:
        text = _("The copy here is not up to date yet: %(reason)s")
        messages.warning(request, text % {"reason": error_message(result.refresh_error)})


def _is_unknown(error: Exception) -> bool:
    return isinstance(error, ComplyCubeLostAnswerError) and error.is_done is None


def _described(asked: Asked, outcome: str) -> str:
    """Return a line for the admin's log, in ids only."""
    if asked.check is None:
        verb = {Action.COMPLETE: "Completion", Action.CANCEL: "Cancellation"}[asked.action]
        return f"{verb} at ComplyCube"
    match = f", match {asked.match_id}" if asked.match else ""
    return f"Decision at ComplyCube on check {asked.check.check_id}{match}: {outcome}"


def _is_decided(match: dict[str, Any]) -> bool:
    return match.get("validation") in words.DECIDED


def _match_line(match: dict[str, Any]) -> str:
    """Return what tells a match from the others: its name, where it was found, and what was decided."""
    decided = words.DECIDED.get(str(match.get("validation")), words.UNDECIDED)
    texts = [match.get("name") or match["id"], match.get("source") or "", decided]
    return " · ".join(str(text)[:NAME_SHOWN] for text in texts if text)


def _is_decidable(check: RelatedCheck) -> bool:
    return check.status == RelatedCheck.Status.COMPLETE and check.missing_since is None


def _check_button(
    page: ReadOnlyAdmin, session: WorkflowSession, entry: dict[str, Any]
) -> Button | None:
    check = entry["check"]
    if not _is_decidable(check):
        return None
    if check.type not in SCREENINGS:
        url = _url(page, session, Action.VALIDATE, check)
        return Button(url, words.TITLES[Action.VALIDATE], entry["label"])
    # The matches are on the page of the check.
    url = entry["url"]
    return Button(url, _("Decide on the matches"), entry["label"]) if url else None


def _url(
    page: ReadOnlyAdmin,
    session: WorkflowSession,
    action: str,
    check: RelatedCheck | None = None,
    match_id: str = "",
) -> str:
    query = {"action": action}
    if check is not None:
        query["check"] = check.check_id
    if match_id:
        query["match"] = match_id
    return f"{page.url('upstream', session.pk, model=WorkflowSession)}?{urlencode(query)}"
