"""
Tombstones: keyed hashes of the ids of erased persons, looked up before each request and each write.

Each account has a lock. Writers hold it in shared mode until their transaction ends; an erasure holds it
exclusively while it writes the hashes. So a writer sees every earlier erasure, and an erasure sees every
earlier write. It is an advisory lock on PostgreSQL, a row lock on MySQL and MariaDB, and the database's
write lock on SQLite.

Only ids from API answers count as the person's, never ids from webhook events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from django.db import connections
from django.db.models import BooleanField, Exists, Q, QuerySet
from django.db.models.expressions import RawSQL

from complycube_sessions.conf import conf
from complycube_sessions.db.batches import chunks
from complycube_sessions.db.bulk import upsert
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeErasedError
from complycube_sessions.models import Erasure, ErasureGate
from complycube_sessions.privacy.digests import (
    CHECK,
    CLIENT,
    SESSION,
    SHORT_DIGEST,
    digest,
    digests,
    key_fingerprint,
)
from complycube_sessions.privacy.redaction import without_ids, words_of

# The account of a hash that applies to every account, including those configured later.
ANY_ACCOUNT: Final = ""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ErasedIds:
    """The ids of a lookup that belong to an erased person."""

    clients: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    checks: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.clients or self.sessions or self.checks)


NONE_ERASED: Final = ErasedIds()


def orphaned() -> int:
    """Return how many hashes were made with a key that is no longer in the settings."""
    known = [key_fingerprint(key) for key in conf.hash_keys]
    return _rows().exclude(key_fingerprint__in=known).count()


def find(
    account: str,
    *,
    clients: Iterable[str] = (),
    sessions: Iterable[str] = (),
    checks: Iterable[str] = (),
) -> ErasedIds:
    """
    Return the ids that were erased; takes one query if the account has no erasures.

    Args:
        account: The name of the account.
        clients: Ids of clients; ``""`` is ignored.
        sessions: Ids of sessions.
        checks: Ids of checks.
    """
    by_kind = {CLIENT: set(clients), SESSION: set(sessions), CHECK: set(checks)}
    if not any(by_kind.values()) or not _rows_for(account).exists():
        return NONE_ERASED
    erased = {kind: frozenset(_erased(account, kind, ids)) for kind, ids in by_kind.items()}
    return ErasedIds(erased[CLIENT], erased[SESSION], erased[CHECK])


def names_erased(account: str, ids: Mapping[str, Iterable[str]]) -> bool:
    """Return whether any of the ids, by kind, belongs to an erased person."""
    clients, sessions, checks = (ids.get(kind, ()) for kind in (CLIENT, SESSION, CHECK))
    return bool(find(account, clients=clients, sessions=sessions, checks=checks))


def ensure_not_erased(account: str, session_id: str) -> None:
    """
    Raise if the session belongs to an erased person.

    Raises:
        ComplyCubeErasedError: It does; the message contains the hash, not the id.
    """
    if find(account, sessions=[session_id]):
        raise ComplyCubeErasedError(reason(session_id))


def erased_anywhere(session_ids: Iterable[str]) -> set[str]:
    """Return the sessions that were erased in any account."""
    rows = _rows().filter(kind=SESSION)
    if not rows.exists():
        return set()
    erased: set[str] = set()
    for some in chunks(digests(SESSION, session_ids).items()):
        by_digest = dict(some)
        hashes = rows.filter(digest__in=list(by_digest)).values_list("digest", flat=True)
        erased.update(*(by_digest[hashed] for hashed in hashes))
    return erased


def subject(session_id: str) -> str:
    """Return a name for an erased session that does not contain its id."""
    return f"erased session {digest(SESSION, session_id)[:SHORT_DIGEST]}"


def reason(session_id: str) -> str:
    """Return the error text for a request for an erased session."""
    mark = digest(SESSION, session_id)[:SHORT_DIGEST]
    return (
        f"The person was erased (hash {mark}) and is not fetched again. If the person has returned as a "
        "customer, run erase_complycube_client CLIENT_ID --lift first; with the id of this session in its "
        "place, only this session is let in."
    )


def lock_shared(account: str, alias: str) -> None:
    """Take the shared lock of an account; erasures wait until the open transaction ends."""
    connection = connections[alias]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [advisory_key(account)])
    elif connection.vendor == "mysql":
        table = connection.ops.quote_name(ErasureGate._meta.db_table)
        with connection.cursor() as cursor:
            query = f"SELECT 1 FROM {table} WHERE account = %s LOCK IN SHARE MODE"  # noqa: S608 - our own names
            cursor.execute(query, [account])
            if cursor.fetchone() is None:
                _make_lock_row(account, alias)
    else:
        lock_exclusive(account, alias)


def lock_exclusive(account: str, alias: str) -> None:
    """Take the exclusive lock of an account until the open transaction ends."""
    connection = connections[alias]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [advisory_key(account)])
        return
    # MySQL locks the row whether it is inserted or exists; on SQLite any write locks out all others.
    upsert([ErasureGate(account=account)], unique=["account"], alias=alias)


def advisory_key(account: str) -> int:
    """Return the number of the account's advisory lock on PostgreSQL."""
    name = f"complycube_sessions.erasure:{account}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def erased_expression(
    account: str, alias: str, ids: Mapping[str, Iterable[str]]
) -> Exists | RawSQL:
    """
    Return an expression to annotate another query with: whether any of the ids was erased.

    On MySQL and MariaDB it also takes the shared lock; elsewhere an earlier statement has to take it. So
    neither costs a writer a separate query. ``is_erased`` interprets the value.

    Args:
        account: The name of the account.
        alias: The database of the query.
        ids: The ids by kind.
    """
    by_kind = {kind: list(digests(kind, values)) for kind, values in ids.items()}
    connection = connections[alias]
    if connection.vendor != "mysql":
        named = Q()
        for kind, hashes in by_kind.items():
            named |= Q(kind=kind, digest__in=hashes)
        scope = [account, ANY_ACCOUNT]
        return Exists(Erasure.objects.using(alias).filter(named, account__in=scope))
    quote = connection.ops.quote_name
    tombstones, gate = quote(Erasure._meta.db_table), quote(ErasureGate._meta.db_table)
    parameters: list[str] = []
    alternatives = ["FALSE"]
    for kind, hashes in by_kind.items():
        if hashes:
            alternatives.append(
                f"(e.kind = %s AND e.digest IN ({', '.join(['%s'] * len(hashes))}))"
            )
            parameters += [kind, *hashes]
    # The inner query refers to the lock row, so the database evaluates it after locking that row.
    return RawSQL(  # noqa: S611 - our own names
        f"(SELECT EXISTS(SELECT 1 FROM {tombstones} e WHERE e.account IN (g.account, '{ANY_ACCOUNT}')"  # noqa: S608 - our own names
        f" AND ({' OR '.join(alternatives)})) FROM {gate} g WHERE g.account = %s LOCK IN SHARE MODE)",
        [*parameters, account],
        output_field=BooleanField(null=True),
    )


def is_erased(answer: object, account: str, alias: str) -> bool:
    """Interpret a value of ``erased_expression``; on MySQL, NULL means that the lock row has to be created."""
    return bool(answer) if answer is not None else not _make_lock_row(account, alias)


def add_tombstones(
    account: str,
    client_id: str,
    ids: Mapping[str, Iterable[str]],
    *,
    actor: str,
    reason: str,
    override: str = "",
    alias: str,
) -> Erasure:
    """
    Store tombstones of a client and of the client's ids; return the row of the client.

    Args:
        account: The client's account, or ``ANY_ACCOUNT``.
        client_id: The vendor's id of the client.
        ids: Ids by kind.
        actor: Who erased.
        reason: Why.
        override: Why a protection was overridden, or ``""``.
        alias: The database.
    """
    client_digest = digest(CLIENT, client_id)

    def row(kind: str, hashed: str) -> Erasure:
        return Erasure(
            account=account,
            kind=kind,
            digest=hashed,
            client_digest="" if kind == CLIENT else client_digest,
            key_fingerprint=key_fingerprint(),
            actor=actor,
            reason=reason,
            override=override,
        )

    unique = ["account", "kind", "digest"]
    updated = ["erased_at", "actor", "reason", "override"]
    upsert([row(CLIENT, client_digest)], unique=unique, update=updated, alias=alias)
    for kind, values in ids.items():
        rows = (row(kind, digest(kind, value)) for value in sorted(set(values)))
        for some in chunks(rows):
            upsert(some, unique=unique, alias=alias)
    return Erasure.objects.using(alias).get(account=account, kind=CLIENT, digest=client_digest)


def erasure_of(account: str, client_id: str) -> Erasure | None:
    """Return the erasure of a client that applies to an account; one of all accounts takes precedence."""
    rows = _rows_for(account).filter(kind=CLIENT, digest__in=list(digests(CLIENT, [client_id])))
    return rows.order_by("account").first()


def add_tombstones_of_client(
    erasure: Erasure,
    ids: Mapping[str, Iterable[str]],
    *,
    alias: str,
    removed: Mapping[str, int] | None = None,
) -> None:
    """
    Store tombstones of ids that belong to an erased client according to the API, as part of that erasure.

    Args:
        erasure: The row of the client.
        ids: Ids by kind.
        alias: The database.
        removed: The counts of removed rows, if a session was stored for another client and removed now.
    """
    details = {"erased_at": erasure.erased_at, "actor": erasure.actor, "reason": erasure.reason}
    if removed is not None:
        moved = "Moved to this client upstream, and removed when that was seen."
        details = {"actor": "refresh", "reason": f"{erasure.reason} {moved}".strip()}
    rows = [
        Erasure(
            account=erasure.account,
            kind=kind,
            digest=digest(kind, value),
            client_digest=erasure.digest,
            key_fingerprint=key_fingerprint(),
            removed=dict(removed or {}) if kind == SESSION else {},
            **details,
        )
        for kind, values in ids.items()
        for value in sorted(set(values))
    ]
    for some in chunks(rows):
        upsert(some, unique=["account", "kind", "digest"], alias=alias)


def of_client(account: str | None, client_id: str) -> QuerySet[Erasure]:
    """Return the tombstones of a client's erasure in an account, or in all accounts (None)."""
    hashes = list(digests(CLIENT, [client_id]))
    named = Q(kind=CLIENT, digest__in=hashes) | Q(client_digest__in=hashes)
    rows = _rows().filter(named)
    return rows if account is None else rows.filter(account=account)


def of_session(account: str | None, session_id: str) -> QuerySet[Erasure]:
    """
    Return the hashes of a session in an account, or in all (None), and of all checks of the same erasure.

    It is not stored which of the checks belong to the session. A check of another session costs a request
    if an event names it, and is then refused because the hash of its client stays.
    """
    rows = _rows() if account is None else _rows().filter(account=account)
    own = rows.filter(kind=SESSION, digest__in=list(digests(SESSION, [session_id])))
    clients = list(own.values_list("client_digest", flat=True))
    is_own = Q(pk__in=list(own.values_list("pk", flat=True)))
    return rows.filter(is_own | Q(kind=CHECK, client_digest__in=clients))


def redact_erased(account: str, errors: Mapping[str, str]) -> dict[str, str]:
    """Return errors by id without erased ids; they are also masked in the reasons of other ids."""
    words = {word for pair in errors.items() for text in pair for word in words_of(text)}
    erased = find(account, clients=words, sessions=words, checks=words)
    if not erased:
        return dict(errors)
    return without_ids(errors, erased.clients | erased.sessions | erased.checks)


def skip_erased(
    account: str, jobs: Iterable[Value], id_of: Callable[[Value], str]
) -> Iterator[Value]:
    """Yield the jobs except those of erased sessions; erasures are looked up shortly before a job begins."""
    for some in chunks(jobs, 50):
        erased = find(account, sessions=map(id_of, some)).sessions
        yield from (job for job in some if id_of(job) not in erased)


def _make_lock_row(account: str, alias: str) -> bool:
    """Create and lock the row on MySQL; return True if there was none, as then the account has no erasure."""
    connection = connections[alias]
    table = connection.ops.quote_name(ErasureGate._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT IGNORE INTO {table} (account) VALUES (%s)", [account])  # noqa: S608 - our own names
        return bool(cursor.rowcount)


def _rows() -> QuerySet[Erasure]:
    return Erasure.objects.using(write_alias())


def _rows_for(account: str) -> QuerySet[Erasure]:
    """Return the hashes that apply to an account."""
    return _rows().filter(account__in=[account, ANY_ACCOUNT])


def _erased(account: str, kind: str, ids: Iterable[str]) -> Iterator[str]:
    for some in chunks(digests(kind, ids).items()):
        by_digest = dict(some)
        rows = _rows_for(account).filter(kind=kind, digest__in=list(by_digest))
        for hashed in rows.values_list("digest", flat=True):
            yield from by_digest[hashed]
