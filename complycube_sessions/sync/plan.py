"""Deciding which sessions of a list page need a request; pure functions of the page and the stored rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from complycube_sessions.api.payloads import SessionSummary
from complycube_sessions.mirror.queries import SessionState, is_moved
from complycube_sessions.privacy.tombstones import ErasedIds


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """
    What the database holds about the sessions of a page that moved.

    Args:
        erased: The erased session and client ids among them.
        still_stored: Sessions of erased clients that are still stored, as missing or for another client.
        taken: Sessions that this run fetches because they are due.
        waiting: Sessions that failed recently and wait for a later run.
    """

    erased: ErasedIds = field(default_factory=ErasedIds)
    still_stored: Collection[str] = ()
    taken: Collection[str] = ()
    waiting: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class PagePlan:
    """
    What the run does with the sessions of a page.

    Args:
        fetch: Sessions to fetch now.
        waiting: Sessions to fetch in a later run.
        kept_out: The number of sessions that an erasure keeps out.
        unchanged: The number of sessions that need no request: they did not change, retention excludes them,
            or this run fetches them anyway.
    """

    fetch: list[str]
    waiting: list[str]
    kept_out: int
    unchanged: int


def moved_sessions(
    page: Sequence[SessionSummary], known: Mapping[str, SessionState], foreign: Collection[str]
) -> list[SessionSummary]:
    """Return the sessions of a page that are new or moved, except those of other accounts."""
    return [item for item in page if item.id not in foreign and is_moved(known.get(item.id), item)]


def plan_page(
    moved: Sequence[SessionSummary],
    known: Collection[str],
    facts: StoredFacts,
    keeps: Callable[[SessionSummary], bool],
    others: int,
) -> PagePlan:
    """
    Return what the run does with the sessions of a page.

    A stored session that has moved to an erased client is fetched, so that its row is removed.

    Args:
        moved: The result of ``moved_sessions``.
        known: The sessions of the page that are stored and not marked as missing.
        facts: What the database holds about the moved sessions.
        keeps: Returns whether retention would keep a session that is not stored yet.
        others: The number of sessions of the page that did not move.
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
