"""
Requesting changes at the vendor, each sent at most once.

If the response to a request is lost, the request is not retried: a second one might change something that
nobody has decided. Instead the object is fetched, and the result says whether it shows the change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.ids import validate_id
from complycube_sessions.api.throttle import Patience
from complycube_sessions.conf import Account, conf, get_account
from complycube_sessions.db.connections import (
    ensure_no_open_transaction,
    retry_transient,
    write_alias,
)
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeChangeUnderWayError,
    ComplyCubeConnectionError,
    ComplyCubeErasedError,
    ComplyCubeError,
    ComplyCubeInvalidChangeError,
    ComplyCubeLostAnswerError,
    ComplyCubeServerError,
    ComplyCubeStorageError,
    ComplyCubeUpstreamOffError,
)
from complycube_sessions.mirror.environments import refuse_other_environment
from complycube_sessions.models import RelatedCheck, UpstreamChange, WorkflowSession
from complycube_sessions.privacy import tombstones
from complycube_sessions.sync.refresh import ensure_owned, refresh_session
from complycube_sessions.sync.request_budget import shared_throttle
from complycube_sessions.upstream.guards import ensure_allowed
from complycube_sessions.upstream.requested import (
    CheckState,
    RequestedChange,
    check_shows,
    ensure_valid,
    session_shows,
)

logger = logging.getLogger("complycube_sessions.upstream")

PROJECT: Final = "project"
Action = UpstreamChange.Action
State = UpstreamChange.State
# For how long a change with an unknown result is not sent again, as after a double click or when the process was
# killed.
UNDER_WAY: Final = timedelta(minutes=5)
# Errors after which the change may be done all the same.
LOST: Final = (ComplyCubeConnectionError, ComplyCubeServerError)
# With these statuses the vendor rejects a change that does not fit the object, so the stored copy is fetched.
OUTDATED: Final = frozenset({400, 404, 409, 422})


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """
    A change that was done.

    ``answer_was_lost`` is true if only the fetched object shows this. ``session`` is the stored row, fetched
    after the change, or None if the fetch failed with ``refresh_error``.
    """

    change: RequestedChange
    answer_was_lost: bool
    session: WorkflowSession | None
    refresh_error: ComplyCubeError | None = None


def validate_check(
    session_id: str,
    check_id: str,
    outcome: str,
    match_id: str = "",
    comment: str = "",
    user: Any = None,
    account: str = "default",
    *,
    patience: Patience | None = None,
) -> ChangeResult:
    """
    Set the outcome that a person decided on, for a check or one match of a screening.

    Needs ``COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True``. Call it outside of a transaction. The request is sent
    once; the session is fetched and stored afterwards.

    Args:
        session_id: The session of the check; fetched first if it is not stored.
        check_id: One of its checks.
        outcome: ``confirmed``, ``rejected`` or ``attention``. For a match of a screening, ``confirmed`` is a
            hit; for any other check it is good news.
        match_id: The match of a screening; ``""`` for any other check.
        comment: For the vendor's record, up to 4,000 characters. It is not stored here.
        user: The user of the project who decided; None for a decision of the project's code.
        account: A name of ``COMPLYCUBE_ACCOUNTS``.
        patience: How long to wait for the requests of others; no limit by default.

    Raises:
        ComplyCubeUpstreamOffError: The settings do not allow it; nothing was sent.
        ComplyCubeInvalidChangeError: The arguments are not valid; nothing was sent.
        ComplyCubeChangeUnderWayError: The same was sent a moment ago; nothing was sent.
        ComplyCubeLostAnswerError: The response was lost, and the check does not prove that the change was done.
        ComplyCubeAPIError: The API refused it (401, 402, 403, 404, 409, 422, 429 and others); it was not done.
        ComplyCubeError: Any other error of ``exceptions.py``, or of a guard; nothing was sent.
        ComplyCubeConfigurationError: The account's settings are missing or wrong.

    Source:
        API reference, "Validate check outcome".
    """
    change = RequestedChange(Action.VALIDATE, session_id, check_id, match_id, outcome)
    found = _ready(change, account, patience)
    check = _stored_check(change)
    ensure_valid(change, comment, check.type)
    before = CheckState(check.outcome, check.result, check.updated_at)

    def send(client: ComplyCubeClient) -> None:
        client.validate_check(check_id, outcome, match_id=match_id, comment=comment)

    def look(client: ComplyCubeClient) -> bool | None:
        now = client.get_check(check_id).value
        return check_shows(change, before, CheckState(now.outcome, now.result, now.updated_at))

    return _Sending(change, found, user, patience).run(send, look)


def complete_session(
    session_id: str,
    user: Any = None,
    account: str = "default",
    *,
    patience: Patience | None = None,
) -> ChangeResult:
    """
    Tell the vendor that the client of a session is done, which starts its checks.

    Arguments, errors and what happens afterwards are those of ``validate_check``.

    Source:
        API reference, "Complete a workflow session".
    """
    send = ComplyCubeClient.complete_session
    return _change_session(Action.COMPLETE, send, session_id, user, account, patience)


def cancel_session(
    session_id: str,
    user: Any = None,
    account: str = "default",
    *,
    patience: Patience | None = None,
) -> ChangeResult:
    """
    Cancel a session, which the vendor allows only while it is ``started``.

    Arguments, errors and what happens afterwards are those of ``validate_check``.

    Source:
        API reference, "Cancel a workflow session".
    """
    send = ComplyCubeClient.cancel_session
    return _change_session(Action.CANCEL, send, session_id, user, account, patience)


def actor_of(user: Any) -> str:
    """Return the actor as the database stores it: an id, no name."""
    return PROJECT if user is None else f"user:{user.pk}"


class _Sending:
    """
    Sends one change: writes its record, sends the request, and fetches the session afterwards.

    Args:
        change: The requested change.
        account: The account whose key is used.
        user: The user who requested it, or None.
        patience: How long to wait for the requests of others.
    """

    def __init__(
        self, change: RequestedChange, account: Account, user: Any, patience: Patience | None
    ) -> None:
        self._change, self._account, self._patience = change, account, patience
        self._user = user

    def run(
        self,
        send: Callable[[ComplyCubeClient], None],
        look: Callable[[ComplyCubeClient], bool | None],
    ) -> ChangeResult:
        """
        Send the change once; raise if it was not done, or if that is unknown.

        Args:
            send: Sends the request.
            look: Fetches the object, and returns whether it shows the change, or None if that is unclear.
        """
        ensure_allowed(self._change, self._user)
        record = _write_record(self._change, actor_of(self._user))
        throttle = shared_throttle(self._account, self._patience)
        client = ComplyCubeClient(self._account, throttle)
        try:
            was_lost = self._send(client, record, send, look)
        except ComplyCubeLostAnswerError:
            self._refresh()
            raise
        except ComplyCubeAPIError as error:
            if error.status_code in OUTDATED:
                self._refresh()
            raise
        finally:
            throttle.close()
            client.close()
        session, refresh_error = self._refresh()
        return ChangeResult(self._change, was_lost, session, refresh_error)

    def _send(
        self,
        client: ComplyCubeClient,
        record: UpstreamChange,
        send: Callable[[ComplyCubeClient], None],
        look: Callable[[ComplyCubeClient], bool | None],
    ) -> bool:
        """Send the change, record its result, and return whether the response was lost."""
        try:
            send(client)
        except LOST as error:
            reason = str(error)
        except ComplyCubeError as error:
            self._note(record, State.NOT_DONE, str(error))
            raise
        else:
            self._note(record, State.DONE, "")
            return False
        try:
            is_done = look(client)
        except ComplyCubeError as error:
            is_done, reason = None, f"{reason} {error}"
        states = {True: State.DONE, False: State.NOT_DONE, None: State.UNKNOWN}
        self._note(record, states[is_done], reason)
        if is_done:
            return True
        seen = "does not show it" if is_done is False else "does not tell whether it was done"
        raise ComplyCubeLostAnswerError(
            f"The answer to the {self._change} was lost, and it was not sent again: ComplyCube {seen}. {reason}",
            is_done=is_done,
        )

    def _note(self, record: UpstreamChange, state: UpstreamChange.State, reason: str) -> None:
        alias = write_alias()
        rows = UpstreamChange.objects.using(alias).filter(pk=record.pk)
        try:
            retry_transient(lambda: rows.update(state=state), alias=alias)
        except (DatabaseError, InterfaceError) as error:
            # Do not raise: the change may be done, and an error would suggest a retry.
            logger.warning("The record of it stays %r (%s).", State.SENT, type(error).__name__)
        level = logging.INFO if state == State.DONE else logging.WARNING
        logger.log(
            level,
            "%s by %s: %s. %s",
            self._change,
            record.actor,
            state.value,
            reason,
            extra={"account": self._account.name, "state": state.value},
        )

    def _refresh(self) -> tuple[WorkflowSession | None, ComplyCubeError | None]:
        """Fetch and store the session; return an error instead of raising it, as the change is done anyway."""
        try:
            session = refresh_session(
                self._change.session_id,
                account=self._account.name,
                source="admin" if self._user is not None else "refresh",
                patience=self._patience,
            )
        except ComplyCubeError as error:
            return None, error
        except (DatabaseError, InterfaceError) as error:
            return None, ComplyCubeStorageError(
                f"{self._change.session_id}: the database refused it ({type(error).__name__})."
            )
        return session, None


def _ready(change: RequestedChange, account: str, patience: Patience | None) -> Account:
    """Check that a change may be requested, fetch its session if it is not stored, and return the account."""
    if not conf.COMPLYCUBE_ALLOW_UPSTREAM_CHANGES:
        raise ComplyCubeUpstreamOffError(
            "Nothing is changed at ComplyCube from here. Set COMPLYCUBE_ALLOW_UPSTREAM_CHANGES = True to "
            "allow it."
        )
    found = get_account(account)
    for given in (change.session_id, change.check_id, change.match_id):
        if given:
            validate_id(given)
    ensure_no_open_transaction()
    ensure_owned(found, change.session_id)
    refuse_other_environment(found)
    tombstones.ensure_not_erased(found.name, change.session_id)
    rows = WorkflowSession.objects.using(write_alias())
    if not rows.filter(pk=change.session_id).exists():
        refresh_session(change.session_id, account=account, patience=patience)
    return found


def _stored_check(change: RequestedChange) -> RelatedCheck:
    rows = RelatedCheck.objects.using(write_alias()).filter(session=change.session_id)
    check = rows.filter(check_id=change.check_id).first() if change.check_id else None
    if check is None:
        raise ComplyCubeInvalidChangeError(
            f"The session {change.session_id} has no check {change.check_id or 'without an id'}."
        )
    return check


def _write_record(change: RequestedChange, actor: str) -> UpstreamChange:
    """Record that a change is about to be sent, unless its session was erased meanwhile."""
    alias = write_alias()

    def write() -> UpstreamChange | None:
        with transaction.atomic(using=alias):
            sessions = WorkflowSession.objects.using(alias).select_for_update().only("pk")
            session = sessions.filter(pk=change.session_id).first()
            if session is None:
                return None
            _refuse_second(change, alias)
            return UpstreamChange.objects.using(alias).create(
                session=session,
                action=change.action,
                check_id=change.check_id,
                match_id=change.match_id,
                outcome=change.outcome,
                actor=actor,
            )

    record = retry_transient(write, alias=alias)
    if record is None:
        raise ComplyCubeErasedError(tombstones.reason(change.session_id))
    return record


def _refuse_second(change: RequestedChange, alias: str) -> None:
    """Raise if the same change was sent a moment ago; the session's row must be locked."""
    now = timezone.now()
    same = UpstreamChange.objects.using(alias).filter(
        session=change.session_id,
        action=change.action,
        check_id=change.check_id,
        match_id=change.match_id,
        state=State.SENT,
    )
    if same.filter(requested_at__gt=now - UNDER_WAY, requested_at__lte=now).exists():
        raise ComplyCubeChangeUnderWayError(
            f"The {change.action} of {change.check_id or change.session_id} was sent a moment ago; it is not "
            "known yet what became of it."
        )


def _change_session(
    action: UpstreamChange.Action,
    send: Callable[[ComplyCubeClient, str], None],
    session_id: str,
    user: Any,
    account: str,
    patience: Patience | None,
) -> ChangeResult:
    """Request a change of the session itself, which its status shows."""
    change = RequestedChange(action, session_id)
    found = _ready(change, account, patience)

    def look(client: ComplyCubeClient) -> bool | None:
        return session_shows(action, client.get_session(session_id).value.status)

    return _Sending(change, found, user, patience).run(
        lambda client: send(client, session_id), look
    )
