"""
Receiving events: bytes and a header in, a small frozen value out.

The input is untrusted: the signature is verified over the raw bytes before they are parsed as JSON, and only
ids, words and a time are kept of an event. The session itself is fetched from the API.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from django.db import transaction
from django.utils import timezone

from complycube_sessions.api.ids import ID_LENGTH
from complycube_sessions.api.payloads import WORD_LENGTH
from complycube_sessions.api.sealing import sealed
from complycube_sessions.api.storable_json import NumberMark, load_json
from complycube_sessions.api.values import MAX_CLOCK_AHEAD, key_text, parse_time
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.connections import beside_transactions, retry_transient, write_alias
from complycube_sessions.exceptions import ComplyCubePayloadError, ComplyCubeSignatureError
from complycube_sessions.models import WebhookEvent
from complycube_sessions.privacy import digests, tombstones

SIGNATURE_HEADER: Final = "ComplyCube-Signature"
# Events are summaries of a few hundred bytes; only the updated fields of a resource can make them larger.
MAX_EVENT_BYTES: Final = 1024 * 1024
SESSION_EVENT: Final = "workflow.session."
CHECK_EVENT: Final = "check."
CLIENT_EVENT: Final = "client."
CLIENT_DELETED: Final = "client.deleted"


@dataclass(frozen=True, slots=True)
class EventPayload:
    """One event: what happened to which resource, without personal data."""

    id: str
    type: str
    resource_id: str
    client_id: str
    status: str
    outcome: str
    occurred_at: datetime | None


def sign(body: bytes, secret: str) -> str:
    """
    Return the signature of a body as the vendor sends it: lower-case hex HMAC-SHA256.

    Source:
        API reference, "Webhooks" (verifying signatures).
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _as_unverified(error: Exception) -> Exception:
    return ComplyCubeSignatureError(f"The signature was not verified ({type(error).__name__}).")


def _as_unreadable(error: Exception) -> Exception:
    return ComplyCubePayloadError(f"The event cannot be read ({type(error).__name__}).")


@sealed(_as_unverified)
def verify_signature(body: bytes, signature: str, secrets: Sequence[str]) -> None:
    """
    Return if one of the secrets signed exactly these bytes, otherwise raise.

    The duration reveals neither which secret matched nor how much of the signature was right.

    Args:
        body: The raw body of the request.
        signature: The value of the header, or ``""``.
        secrets: ``WEBHOOK_SECRETS`` of the account; without any, every signature is rejected.

    Raises:
        ComplyCubeSignatureError: The signature is missing or wrong, or there is no secret.
    """
    given = signature.encode("utf-8", "replace")
    matches = False
    # Without a secret, do the same work, so that the response does not come sooner.
    for secret in secrets or ("",):
        matches |= hmac.compare_digest(sign(body, secret).encode(), given)
    if not (secrets and matches):
        raise ComplyCubeSignatureError("The signature does not verify.")


@sealed(_as_unreadable)
def parse_event(body: bytes) -> EventPayload:
    """
    Return the event of a verified body; unknown event types are accepted.

    Raises:
        ComplyCubePayloadError: The body is not an object with an ``id`` and a ``type``.

    Source:
        API reference, "Webhooks" (the event object).
    """
    data = load_json(body)
    if not isinstance(data, dict):
        raise ComplyCubePayloadError("The body is not an event object.")
    event_id, event_type = data.get("id"), data.get("type")
    if not (_is_word(event_id) and _is_word(event_type)):
        raise ComplyCubePayloadError("The event has no id or no type.")
    payload = data.get("payload")
    fields: dict[str, Any] = payload if isinstance(payload, dict) else {}
    resource_id = key_text(fields.get("id"), ID_LENGTH)
    # The status of other resources, such as an address, may be personal data.
    state = fields if event_type.startswith((SESSION_EVENT, CHECK_EVENT)) else {}
    of_client = event_type.startswith(CLIENT_EVENT)
    return EventPayload(
        id=key_text(event_id, ID_LENGTH),
        type=key_text(event_type, ID_LENGTH),
        resource_id=resource_id,
        client_id=resource_id if of_client else key_text(fields.get("clientId"), ID_LENGTH),
        status=key_text(state.get("status"), WORD_LENGTH),
        outcome=key_text(_outcome(state), WORD_LENGTH),
        occurred_at=_known_time(data.get("createdAt")),
    )


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value) and not isinstance(value, NumberMark)


def _outcome(fields: dict[str, Any]) -> object:
    result = fields.get("result")
    nested = result.get("outcome") if isinstance(result, dict) else None
    return fields.get("outcome") or nested


def _known_time(value: object) -> datetime | None:
    time = parse_time(value)
    return None if time is None or time > datetime.now(UTC) + MAX_CLOCK_AHEAD else time


def store_event(account: str, event: EventPayload) -> int | None:
    """
    Store an event durably, unless it is stored already or names an erased person.

    If a transaction is open around the call, the event is committed independently of it, except on SQLite,
    where it is stored when that transaction ends.

    Returns:
        The primary key of the row if it has to be processed; None if it is processed already or not kept.

    Raises:
        django.db.DatabaseError: The database cannot be reached.
    """
    alias = write_alias()
    row = WebhookEvent(
        account=account,
        event_id=event.id,
        type=event.type,
        resource_id=event.resource_id,
        client_id=event.client_id,
        status=event.status,
        outcome=event.outcome,
        occurred_at=event.occurred_at,
        received_at=timezone.now(),
    )

    named = {
        digests.CLIENT: [event.client_id, event.resource_id],
        digests.SESSION: [event.resource_id],
        digests.CHECK: [event.resource_id],
    }
    stored = WebhookEvent.objects.using(alias).filter(account=account, event_id=event.id)

    def write() -> int | None:
        with transaction.atomic(using=alias):
            shares = tombstones.advisory_key(account)
            upsert([row], unique=["account", "event_id"], alias=alias, shares=shares)
            any_erased = tombstones.erased_expression(account, alias, named)
            pk, processed_at, answer = stored.values_list("pk", "processed_at", any_erased).get()
            if tombstones.is_erased(answer, account, alias) and tombstones.names_erased(
                account, named
            ):
                stored.delete()
                return None
        return pk if processed_at is None else None

    return beside_transactions(lambda: retry_transient(write, alias=alias), alias=alias)
