"""Suggesting clients for a mistyped id: with extra spaces, in the wrong case, or the id of a session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db.models import QuerySet
from django.db.models.functions import Lower

from complycube_sessions.db.connections import write_alias
from complycube_sessions.models import RelatedCheck, WebhookEvent, WorkflowSession
from complycube_sessions.privacy.removal import within

MOST: Final = 5
LOOKED_AT: Final = 200
# A shorter part would match too many ids.
SHORTEST_PIECE: Final = 8
LETTERS_SHORT: Final = 2


def same_client(client_id: str, scope: str) -> set[str]:
    """Return the stored client ids that differ from this one only by surrounding spaces."""
    return {
        stored_id
        for model in (WorkflowSession, WebhookEvent)
        for stored_id in _clients(within(scope, model).filter(client_id__contains=client_id))
        if stored_id.strip() == client_id
    }


def clients_like(typed: str, scope: str) -> list[str]:
    """Return up to five stored client ids that are similar."""
    bare = _bare(typed)
    if not bare:
        return []
    near_ids = set(_of_session(bare, scope))
    for model in (WorkflowSession, WebhookEvent):
        # On MariaDB the column compares exactly, even with a case-insensitive lookup.
        folded = within(scope, model).annotate(folded=Lower("client_id"))
        near = folded.filter(folded__contains=bare.lower())
        near_ids.update(stored for stored in _clients(near, LOOKED_AT) if _is_near(bare, stored))
    return sorted(near_ids - {typed})[:MOST]


def _of_session(bare: str, scope: str) -> Iterable[str]:
    """Return the clients of the session or check with this id."""
    ids = {bare, bare.lower()}
    checks = RelatedCheck.objects.using(write_alias()).filter(check_id__in=ids)
    sessions = {*ids, *checks.values_list("session_id", flat=True)[:MOST]}
    return filter(None, _clients(within(scope, WorkflowSession).filter(pk__in=sessions), MOST))


def _clients(rows: QuerySet[WorkflowSession], most: int | None = None) -> Iterable[str]:
    clients = rows.order_by().values_list("client_id", flat=True).distinct()
    return clients[:most]


def _is_near(bare: str, stored: str) -> bool:
    typed, known = bare.casefold(), _bare(stored).casefold()
    is_piece = len(typed) >= SHORTEST_PIECE and typed in known
    return typed == known or (is_piece and len(known) - len(typed) <= LETTERS_SHORT)


def _bare(text: str) -> str:
    """Return an id without invisible characters: spaces, line ends, zero-width characters."""
    return "".join(c for c in text if c.isprintable() and not c.isspace())
