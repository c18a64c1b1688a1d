"""
Helpers for the tests of projects that use the app: sessions, a fake API and webhook events, without a network.

Sessions are parsed and stored by the code that refreshes use, so ``needs_review``, the search and the history
are realistic. The app does not need this module at run time, and it needs no further packages.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.urls import reverse

from complycube_sessions.api.payloads import parse_check, parse_session
from complycube_sessions.api.scrubbing import CHECK, SESSION, scrubbed
from complycube_sessions.api.storable_json import load_json
from complycube_sessions.conf import conf, get_account
from complycube_sessions.exceptions import ComplyCubeStorageError
from complycube_sessions.mirror.merge import FetchedCheck, FetchedSession
from complycube_sessions.mirror.write import store_batch
from complycube_sessions.models import WorkflowSession
from complycube_sessions.webhooks.receive import SIGNATURE_HEADER, sign

# The fields of a session in the list of sessions.
_LISTED: Final = (
    "id",
    "clientId",
    "entityName",
    "status",
    "workflowTemplateName",
    "workflowTemplateId",
    "workflowId",
    "workflowVersion",
    "outcome",
    "createdAt",
    "updatedAt",
)
Reply = tuple[int, dict[str, str], str]


def session_answer(**vendor_fields: Any) -> dict[str, Any]:
    """
    Return a session as ``GET /workflowSessions/{id}`` shows it; by default complete, clear and new.

    Args:
        **vendor_fields: Fields by the vendor's names, such as ``clientId``; times may be ``datetime``.

    Raises:
        TypeError: A name is the name of a column, such as ``client_id``, not of a vendor's field.
    """
    if columns := sorted(name for name in vendor_fields if "_" in name):
        raise TypeError(f"{', '.join(columns)}: the vendor's names are wanted, such as clientId.")
    now = datetime.now(UTC)
    answer = {
        "id": uuid.uuid4().hex[:24],
        "clientId": uuid.uuid4().hex[:24],
        "entityName": "Jane Doe",
        "status": WorkflowSession.Status.COMPLETE.value,
        "workflowTemplateId": "68566be2a37a78622f4f7be3",
        "workflowTemplateName": "Identity verification",
        "workflowId": "68566be3a37a78622f4f7be7",
        "workflowVersion": 1,
        "outcome": WorkflowSession.Outcome.CLEAR.value,
        "allRelatedChecks": [],
        "createdAt": now - timedelta(minutes=3),
        "completedAt": now - timedelta(minutes=1),
        "updatedAt": now,
        **vendor_fields,
    }
    return {name: _as_json(value) for name, value in answer.items()}


def make_session(
    *, account: str = "default", checks: Iterable[Mapping[str, Any]] = (), **vendor_fields: Any
) -> WorkflowSession:
    """
    Store a session as a refresh would, and return its row; with a stored ``id`` it is a newer answer.

    Args:
        account: The entry of ``COMPLYCUBE_ACCOUNTS`` to store it for.
        checks: The session's checks, each with the fields that matter for the test: ``{"type": …, "outcome": …}``
            or any of the vendor's fields, such as ``result``. They follow those of ``allRelatedChecks``.
        **vendor_fields: As for ``session_answer``.

    Raises:
        ComplyCubeStorageError: It could not be stored: it belongs to another account, or was erased.
    """
    owner, answer = get_account(account), session_answer(**vendor_fields)
    full = [_check_answer(answer, check) for check in checks]
    named = [{"checkId": check["id"], "type": check["type"], "taskId": ""} for check in full]
    answer["allRelatedChecks"] = [*answer["allRelatedChecks"], *named]
    began_at = datetime.now(UTC)
    payload = parse_session(_received(SESSION, answer), session_id=answer["id"])
    fetched = tuple(
        FetchedCheck(parse_check(_received(CHECK, check), check_id=check["id"]), began_at)
        for check in full
    )
    stored = store_batch(owner, [FetchedSession(payload.id, payload, began_at, fetched)])
    if payload.id not in stored.effects:
        raise ComplyCubeStorageError(stored.failed.get(payload.id, f"{payload.id} was erased."))
    return WorkflowSession.objects.get(pk=payload.id)


class FakeAPI:
    """
    The vendor's sessions and checks by id, which a test may change between two refreshes.

    ``posts`` records the changes that the app requests: the path and the body of each.
    """

    def __init__(self, sessions: Iterable[WorkflowSession | Mapping[str, Any]]) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.checks: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.posts: list[tuple[str, dict[str, Any]]] = []
        for session in sessions:
            self.add(session)

    def add(self, session: WorkflowSession | Mapping[str, Any]) -> str:
        """
        Add a session and its checks, and return its id.

        Args:
            session: A row, or the vendor's fields as for ``session_answer``.
        """
        if isinstance(session, WorkflowSession):
            answer = dict(session.raw)
            stored = {check.check_id: check for check in session.checks.all()}
        else:
            answer, stored = session_answer(**session), {}
        for named in answer.get("allRelatedChecks", []):
            check_id = named["checkId"]
            row = stored.get(check_id)
            given = (
                {**row.raw, "result": {**row.raw.get("result", {}), **row.result}} if row else {}
            )
            self.checks[check_id] = _check_answer(answer, {**named, **given, "id": check_id})
        self.sessions[answer["id"]] = answer
        return str(answer["id"])

    def change(self, session_id: str, **vendor_fields: Any) -> None:
        """Change fields of a session upstream, with the current time as ``updatedAt``."""
        given = {"updatedAt": datetime.now(UTC), **vendor_fields}
        self.sessions[session_id] |= {name: _as_json(value) for name, value in given.items()}

    def answer(self, request: Any) -> Reply:
        """Answer a GET, as a callback of ``responses``."""
        parts = urlsplit(str(request.url))
        kind, _, object_id = parts.path.partition("/v1/")[2].partition("/")
        self.requests.append(f"{kind}/{object_id}" if object_id else kind)
        # The audit log is empty.
        stores = {"workflowSessions": self.sessions, "checks": self.checks}
        store: dict[str, dict[str, Any]] = stores.get(kind, {})
        if not object_id:
            return _reply(200, self._page(kind, store, dict(parse_qsl(parts.query))))
        if stored := store.get(unquote(object_id)):
            return _reply(200, stored)
        return _reply(404, {"type": "resource_not_found", "message": "There is no such resource"})

    def answer_change(self, request: Any) -> Reply:
        """Answer a POST, as a callback of ``responses``: change the status of a session or the outcome of a check."""
        path = urlsplit(str(request.url)).path.partition("/v1/")[2]
        sent = json.loads(request.body or b"{}")
        self.posts.append((path, sent))
        kind, object_id, action = (unquote(part) for part in path.split("/"))
        store = self.sessions if kind == "workflowSessions" else self.checks
        if object_id not in store:
            return _reply(
                404, {"type": "resource_not_found", "message": "There is no such resource"}
            )
        if action == "validate":
            return _reply(200, {"outcome": self._validate(store[object_id], sent)})
        status = {"complete": "processing", "cancel": "cancelled"}[action]
        self.change(object_id, status=status)
        return _reply(200, {"status": status})

    def _validate(self, check: dict[str, Any], sent: Mapping[str, Any]) -> str:
        result = check["result"]
        if "matchId" in sent:
            matches = result.get("breakdown", {}).get("matches", [])
            for match in matches:
                if match["id"] == sent["matchId"]:
                    match["validation"] = sent["outcome"]
            verdicts = {match.get("validation") for match in matches}
            all_dismissed = "clear" if verdicts <= {"rejected"} else "attention"
            result["outcome"] = "match_confirmed" if "confirmed" in verdicts else all_dismissed
        else:
            result["outcome"] = {"confirmed": "clear"}.get(sent["outcome"], sent["outcome"])
        check["updatedAt"] = _as_json(datetime.now(UTC))
        return str(result["outcome"])

    def _page(
        self, kind: str, store: dict[str, dict[str, Any]], query: dict[str, str]
    ) -> dict[str, Any]:
        page, size = int(query.pop("page", 1)), int(query.pop("pageSize", 100))
        found = [item for item in store.values() if _matches(item, query)]
        found.sort(key=lambda item: (item.get("createdAt", ""), item["id"]), reverse=True)
        shown = _listed_session if kind == "workflowSessions" else _listed_check
        return {
            "page": page,
            "pageSize": size,
            "totalItems": len(found),
            "pages": -(-len(found) // size),
            "items": [shown(item) for item in found[(page - 1) * size : page * size]],
        }


def fake_api(
    responses_mock: Any,
    sessions: Iterable[WorkflowSession | Mapping[str, Any]] = (),
    *,
    account: str = "default",
) -> FakeAPI:
    """
    Answer the requests of an account with a fake API that has these sessions.

    Args:
        responses_mock: An active ``responses.RequestsMock``, or the module ``responses`` itself within
            ``responses.activate``.
        sessions: Rows, or the vendor's fields; checks without a row are complete and clear.
        account: The entry of ``COMPLYCUBE_ACCOUNTS`` whose ``BASE_URL`` it answers at.
    """
    api = FakeAPI(sessions)
    address = re.escape(get_account(account).base_url)
    for resource in ("workflowSessions", "checks", "auditLogs"):
        pattern = re.compile(rf"{address}/{resource}(?:[/?].*)?$")
        responses_mock.add_callback("GET", pattern, callback=api.answer)
        responses_mock.add_callback("POST", pattern, callback=api.answer_change)
    return api


def signed_webhook(
    event: Mapping[str, Any], secret: str, *, account: str = "default"
) -> dict[str, Any]:
    """
    Return arguments for Django's test client: ``client.post(**signed_webhook(event, secret))``.

    Args:
        event: The event; a missing ``id``, ``type`` or time is filled in.
        secret: One of the account's ``WEBHOOK_SECRETS``, or a wrong one.
        account: The account whose receiver to post to.
    """
    whole = {
        "id": uuid.uuid4().hex[:24],
        "type": "workflow.session.completed",
        "resourceType": "workflowSession",
        "createdAt": datetime.now(UTC),
        **event,
    }
    body = json.dumps({name: _as_json(value) for name, value in whole.items()}).encode()
    return {
        "path": reverse("complycube_sessions:webhook", args=[account]),
        "data": body,
        "content_type": "application/json",
        "headers": {SIGNATURE_HEADER: sign(body, secret)},
    }


def _check_answer(session: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check as ``GET /checks/{id}`` shows it; by default complete and clear."""
    fields = {
        name: value for name, value in given.items() if name not in {"checkId", "taskId", "outcome"}
    }
    answer = {
        "id": uuid.uuid4().hex[:24],
        "clientId": session["clientId"],
        "entityName": session["entityName"],
        "type": "document_check",
        "status": "complete",
        "result": {"outcome": given.get("outcome", "clear")},
        "createdAt": session["createdAt"],
        "updatedAt": session["updatedAt"],
        **fields,
    }
    return {name: _as_json(value) for name, value in answer.items()}


def _received(kind: str, answer: dict[str, Any]) -> Any:
    """Return an answer as the client would pass it to the parser."""
    data = load_json(json.dumps(answer).encode())
    return scrubbed(conf.COMPLYCUBE_SCRUBBER, kind, data, subject=str(answer["id"]))


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def _listed_session(session: Mapping[str, Any]) -> dict[str, Any]:
    return {name: session[name] for name in _LISTED if name in session}


def _listed_check(check: Mapping[str, Any]) -> dict[str, Any]:
    return {**check, "result": {"outcome": check["result"].get("outcome")}}


def _matches(item: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    for name, value in query.items():
        if name.endswith("After"):
            matches = str(item.get(f"{name.removesuffix('After')}At", "")) > value
        elif name.endswith("Before"):
            matches = str(item.get(f"{name.removesuffix('Before')}At", "")) < value
        else:
            matches = str(item.get(name)) == value
        if not matches:
            return False
    return True


def _reply(status: int, content: object) -> Reply:
    date = format_datetime(datetime.now(UTC), usegmt=True)
    return status, {"Content-Type": "application/json", "Date": date}, json.dumps(content)
