"""
Erasing a person.

An erasure first stores its tombstones, in one short transaction that locks out all writers of the account.
From then on nothing about the person is written. It then deletes the rows in bounded batches, sessions last,
so an erasure that was killed finds the rest when it runs again. Its record counts the removed rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q

from complycube_sessions.api.ids import ID_LENGTH, printable_id
from complycube_sessions.db.batches import chunks
from complycube_sessions.db.connections import (
    ensure_no_open_transaction,
    retry_transient,
    write_alias,
)
from complycube_sessions.exceptions import (
    ComplyCubeClientNotFoundError,
    ComplyCubeInvalidIdError,
    ComplyCubeProtectedError,
)
from complycube_sessions.mirror.accounts import known_accounts
from complycube_sessions.models import (
    Erasure,
    RelatedCheck,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.privacy import tombstones
from complycube_sessions.privacy.digests import CHECK, CLIENT, SESSION, SHORT_DIGEST, digest
from complycube_sessions.privacy.near_ids import clients_like, same_client
from complycube_sessions.privacy.removal import (
    COMMAND,
    Removal,
    Removed,
    Rows,
    clean_errors,
    forget_evidence,
    session_rows,
    traces,
    within,
)
from complycube_sessions.privacy.retention import protection
from complycube_sessions.privacy.tombstones import ANY_ACCOUNT

logger = logging.getLogger("complycube_sessions.privacy")


@dataclass(slots=True)
class Person:
    """All ids of a client in an account, or in all accounts for ``ANY_ACCOUNT``."""

    scope: str
    client_id: str
    # The client's id with and without surrounding spaces, as the vendor wrote it.
    spellings: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)

    @property
    def ids(self) -> frozenset[str]:
        return frozenset({*self.spellings, *self.sessions, *self.checks})


def erase_client(
    client_id: str,
    *,
    account: str | None = None,
    actor: str = COMMAND,
    reason: str = "",
    override: str = "",
    block_unknown: bool = False,
    dry_run: bool = False,
) -> Removed:
    """
    Remove a client from every table, and store tombstones so that the client is not stored again.

    Running it again removes what has been stored since. Call it outside of a transaction.

    Args:
        client_id: The vendor's id of the client.
        account: The client's account; None for all accounts, including those that are configured later.
        actor: Who erases: the id of a user, or ``command``. Not a name, as it is kept forever.
        reason: Why; it is kept forever as well.
        override: Why to override a hold or the minimum retention, or ``""``.
        block_unknown: Store the hash of the client even if nothing about the client is stored.
        dry_run: Only count.

    Returns:
        The removed rows. Sessions that rows of other apps protect are kept, and named in ``left``.

    Raises:
        ComplyCubeInvalidIdError: The id is empty or too long.
        ComplyCubeClientNotFoundError: Nothing about the client is stored, and no earlier erasure either.
        ComplyCubeProtectedError: A session is on hold or too young, and there is no override.
    """
    _check_client_id(client_id)
    ensure_no_open_transaction()
    scope = account or ANY_ACCOUNT
    person = _gather(scope, client_id)
    if not (block_unknown or _is_known(person)):
        raise ComplyCubeClientNotFoundError(
            f"Nothing is stored of a client {printable_id(client_id)}; nobody was erased.",
            near=clients_like(client_id, scope),
        )
    judged = _check_protection(person, override, dry_run=dry_run)
    removal = Removal(dry_run=dry_run)
    while not dry_run:
        removal.record = _store_tombstones(
            person, judged, actor=actor, reason=reason, override=override
        )
        if removal.record is not None:
            break
        person = _gather(scope, client_id)
        judged = _check_protection(person, override, dry_run=dry_run)
    removal.removed.refuse({i: why for i, why in judged.items() if why})
    for rows in _rows_of(person):
        removal.take(rows)
    clean_errors(scope, person.ids, removal)
    forget_evidence(person.sessions, removal)
    for some in chunks(sorted(person.sessions)):
        removal.take_parts(some, str, lambda ids: [session_rows().filter(pk__in=ids)])
    if not dry_run:
        mark = digest(CLIENT, client_id)[:SHORT_DIGEST]
        logger.info("Erased client %s.", mark, extra={"account": scope, "actor": actor})
    return removal.removed


def lift_erasure(
    client_id: str, *, account: str | None = None, actor: str = COMMAND, dry_run: bool = False
) -> int:
    """
    Lift the erasure of a client who has returned, or of one session; return the number of deleted hashes.

    The next full refresh fetches what the API still holds. A session whose client is still erased is
    refused again.

    Args:
        client_id: The vendor's id of the client, or of the session.
        account: The account; None for all. An erasure of all accounts can only be lifted in all.
        actor: Who lifts it, for the log.
        dry_run: Only count.

    Raises:
        ComplyCubeInvalidIdError: The id is empty or too long.
    """
    _check_client_id(client_id)
    ensure_no_open_transaction()
    left = tombstones.of_client(account, client_id)
    if not left.exists():
        left = tombstones.of_session(account, client_id)
    if dry_run:
        return left.count()
    alias = write_alias()

    def lift() -> int:
        with transaction.atomic(using=alias, durable=True):
            _lock_accounts(account or ANY_ACCOUNT, alias)
            return left.delete()[0]

    count = retry_transient(lift, alias=alias)
    mark = digest(CLIENT, client_id)[:SHORT_DIGEST]
    logger.info(
        "Lifted the erasure of %s.", mark, extra={"account": account or ANY_ACCOUNT, "actor": actor}
    )
    return count


# One person


def _check_client_id(client_id: str) -> None:
    if not client_id.strip() or len(client_id) > ID_LENGTH:
        raise ComplyCubeInvalidIdError(
            f"{printable_id(client_id)} is not a possible client id: it must have 1 to {ID_LENGTH} "
            "characters, as the ComplyCube portal shows it."
        )


def _gather(scope: str, client_id: str) -> Person:
    """
    Return all ids that belong to the client according to the stored API answers.

    A webhook event alone does not prove that an id belongs to the client.
    """
    spellings = {client_id, *same_client(client_id, scope)}
    person = Person(scope, client_id, spellings)
    stored = within(scope, WorkflowSession).filter(client_id__in=spellings)
    person.sessions.update(stored.values_list("pk", flat=True))
    for some in chunks(sorted(person.sessions)):
        checks = RelatedCheck.objects.using(write_alias()).filter(session__in=some)
        person.checks.update(checks.order_by().values_list("check_id", flat=True))
    for some in chunks(sorted(person.checks)):
        foreign = RelatedCheck.objects.using(write_alias()).filter(check_id__in=some)
        foreign = foreign.exclude(session__in=stored)
        person.checks.difference_update(foreign.order_by().values_list("check_id", flat=True))
    return person


def _is_known(person: Person) -> bool:
    """Return whether there is anything to erase, or a tombstone of an earlier erasure."""
    events = within(person.scope, WebhookEvent)
    named = Q(client_id__in=person.spellings) | Q(resource_id__in=person.spellings)
    if person.sessions or events.filter(named).exists():
        return True
    if person.scope == ANY_ACCOUNT:
        return tombstones.of_client(None, person.client_id).exists()
    return tombstones.erasure_of(person.scope, person.client_id) is not None


def _check_protection(person: Person, override: str, *, dry_run: bool) -> dict[str, str]:
    """Return why each session is protected, or ``""``; raise if one is protected and there is no override."""
    judged = dict.fromkeys(person.sessions, "")
    for some in chunks(sorted(person.sessions), 100):
        judged |= protection(session_rows().filter(pk__in=some).order_by("pk"))
    reasons = {session_id: why for session_id, why in judged.items() if why}
    if reasons and not override:
        verb = "would be refused" if dry_run else "is refused"
        raise ComplyCubeProtectedError(
            f"The erasure {verb}: {len(reasons)} of {len(judged)} sessions are protected, and nothing was "
            "removed.",
            reasons=reasons,
        )
    return judged


def _store_tombstones(
    person: Person, judged: Iterable[str], *, actor: str, reason: str, override: str
) -> Erasure | None:
    """
    Store the hashes while all writers are locked out.

    Return None if a session has been stored since the protection was checked.
    """
    alias = write_alias()

    def write() -> Erasure | None:
        with transaction.atomic(using=alias, durable=True):
            _lock_accounts(person.scope, alias)
            now = _gather(person.scope, person.client_id)
            if not now.sessions <= set(judged):
                return None
            person.spellings = now.spellings
            person.sessions, person.checks = now.sessions, now.checks
            return tombstones.add_tombstones(
                person.scope,
                person.client_id,
                {SESSION: now.sessions, CHECK: now.checks},
                actor=actor,
                reason=reason,
                override=override,
                alias=alias,
            )

    return retry_transient(write, alias=alias)


def _lock_accounts(scope: str, alias: str) -> None:
    """Lock out all writers of an account, or of every account, in one order to avoid deadlocks."""
    for name in sorted(known_accounts()) if scope == ANY_ACCOUNT else [scope]:
        tombstones.lock_exclusive(name, alias)


def _rows_of(person: Person) -> Iterator[Rows]:
    """Yield all rows that name the person, except the sessions themselves."""
    events = within(person.scope, WebhookEvent)
    yield events.filter(client_id__in=person.spellings)
    for some in chunks(sorted(person.ids)):
        # Exclude the events yielded above, so that they are not counted twice.
        yield events.filter(resource_id__in=some).exclude(client_id__in=person.spellings)
    yield from traces(person.scope, person.sessions, person.checks)
