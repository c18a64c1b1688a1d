"""Which sessions of a list page need a request, from the page and the stored states; pure functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from complycube_sessions.api.payloads import SessionSummary
from complycube_sessions.mirror.queries import SessionState, is_moved
from complycube_sessions.privacy.tombstones import ErasedIds


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """
    What the database knows of the sessions of a page that moved.

    Args:
        erased: Which of their ids and clients are erased.
        still_stored: Sessions of erased clients that are stored here, as missing or as another's.
        taken: Sessions that this run fetches for another reason.
        waiting: Sessions that failed lately and wait for a later run.
    """

    erased: ErasedIds = field(default_factory=ErasedIds)
    still_stored: Collection[str] = ()
    taken: Collection[str] = ()
    waiting: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class PagePlan:
    """
    What becomes of the sessions of a page.

    Args:
        fetch: Those that need a request now.
        waiting: Those that need one in a later run.
        kept_out: How many an erasure keeps out.
        unchanged: How many are as they are stored, or are not wanted here.
    """

    fetch: list[str]
    waiting: list[str]
    kept_out: int
    unchanged: int


def moved_sessions(
    page: Sequence[SessionSummary], known: Mapping[str, SessionState], foreign: Collection[str]
) -> list[SessionSummary]:
    """Return the sessions of a page that are new or moved, without those of other accounts."""
    return [item for item in page if item.id not in foreign and is_moved(known.get(item.id), item)]


def plan_page(
    moved: Sequence[SessionSummary],
    known: Collection[str],
    facts: StoredFacts,
    keeps: Callable[[SessionSummary], bool],
    others: int,
) -> PagePlan:
    """
    Return what becomes of the sessions of a page.

    One that is stored as another's and has moved to an erased client is fetched: its row must go.

    Args:
        moved: What ``moved_sessions`` returned.
        known: The sessions of the page that are stored and there upstream.
        facts: What the database knows of those that moved.
        keeps: Whether retention keeps a session that is not stored yet.
        others: How many sessions of the page are stored as they are listed.
    """
    let_in = [
        item
        for item in moved
        if item.id not in facts.erased.sessions
        and (item.id in facts.still_stored or item.client_id not in facts.erased.clients)
    ]
    wanted = [
        item.id
        for item in let_in
        if item.id in known or item.id in facts.still_stored or keeps(item)
    ]
    wanted = [session_id for session_id in wanted if session_id not in facts.taken]
    return PagePlan(
        fetch=[i for i in wanted if i not in facts.waiting],
        waiting=[i for i in wanted if i in facts.waiting],
        kept_out=len(moved) - len(let_in),
        unchanged=others + len(let_in) - len(wanted),
    )
