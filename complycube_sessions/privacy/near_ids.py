"""Finding the client that was meant by a mistyped id: extra spaces, other case, or the id of a session."""

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
# A shorter piece of an id is a piece of too many.
SHORTEST_PIECE: Final = 8
LETTERS_SHORT: Final = 2


def same_client(client_id: str, scope: str) -> set[str]:
    """Return the stored client ids that differ from this one only by surrounding spaces."""
    return {
        found
        for model in (WorkflowSession, WebhookEvent)
        for found in _clients(within(scope, model).filter(client_id__contains=client_id))
        if found.strip() == client_id
    }


def clients_like(typed: str, scope: str) -> list[str]:
    """Return up to five stored client ids that may have been meant."""
    bare = _bare(typed)
    if not bare:
        return []
    found = set(_of_session(bare, scope))
    for model in (WorkflowSession, WebhookEvent):
        # The column compares exactly on MariaDB, even where case is to be ignored.
        folded = within(scope, model).annotate(folded=Lower("client_id"))
        near = folded.filter(folded__contains=bare.lower())
        found.update(one for one in _clients(near, LOOKED_AT) if _is_near(bare, one))
    return sorted(found - {typed})[:MOST]


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
    one, other = bare.casefold(), _bare(stored).casefold()
    is_piece = len(one) >= SHORTEST_PIECE and one in other
    return one == other or (is_piece and len(other) - len(one) <= LETTERS_SHORT)


def _bare(text: str) -> str:
    """Return an id without invisible characters: spaces, line ends, zero-width characters."""
    return "".join(c for c in text if c.isprintable() and not c.isspace())
