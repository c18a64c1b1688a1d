"""Queries of sessions for compliance desks and host projects."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from django.apps import apps
from django.db import connections, models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.lookups import In, IsNull
from django.utils import timezone

from complycube_sessions.db.clocks import LEEWAY
from complycube_sessions.models.mirrored import MirroredQuerySet
from complycube_sessions.models.name_words import search_words

if TYPE_CHECKING:
    from complycube_sessions.models import RefreshRun, SessionNameWord, WorkflowSession

from complycube_sessions.models.open_choices import with_word, words_of

ENDED_STATUSES = ("complete", "abandoned", "cancelled")
OPEN_REVIEW_STATES = ("open", "assigned", "awaiting_confirmation")
REFUSALS = ("decline", "rejected", "match_confirmed")
# The environments that the prefix of a key can mean.
_ENVIRONMENTS: Final = ("", "live", "test")
# More than the sessions of one person; above this the query uses the index on the client.
_MANY: Final = 500
# Up to this many sessions are selected by id and sorted; larger sets are read in list order.
MANY: Final = 5_000
LONG: Final = 1_000
# The limits for counting the rows of a word; the second is used if the first does not distinguish the words.
_COUNTED: Final = (5_000, 20_000)
# The vendor's ids have 24 hexadecimal digits; not one in ten thousand million consists of letters only.
_ID_LETTERS: Final = 20


class RowCount(Subquery):
    """The number of rows of a query, as a value in another query."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = models.IntegerField()


class _OneOf(In):
    """``IN`` with a single array parameter on PostgreSQL, as thousands of parameters are slow in Django."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*parameters, list(self.rhs)]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """
    What is known about a queryset before it is read; it does not affect which rows it has.

    Args:
        is_long: It has more than ``LONG`` sessions, from a single filter that matches many.
        is_gathered: It has at most ``MANY`` sessions, which are selected by id.
        expects_one_question: One more filter will be added, and only the first rows in an index's order are read.
    """

    is_long: bool = False
    is_gathered: bool = False
    expects_one_question: bool = False


def read_plan(rows: Any) -> ReadPlan:
    """Return the plan of a queryset; querysets of other models have an empty one."""
    return rows._plan if isinstance(rows, WorkflowSessionQuerySet) else ReadPlan()


def expecting_one_question(rows: WorkflowSessionQuerySet) -> WorkflowSessionQuerySet:
    """Return the same sessions, planned for one more filter and reading the first rows in an index's order."""
    return rows._planned(expects_one_question=True)


class WorkflowSessionQuerySet(MirroredQuerySet["WorkflowSession"]):
    """Queries of sessions for compliance desks and host projects."""

    _plan: ReadPlan = ReadPlan()

    def _planned(self, **known: bool) -> Self:
        clone = self._clone()
        clone._plan = replace(self._plan, **known)
        return clone

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]
        clone._plan = self._plan
        return clone  # type: ignore[no-any-return]

    def _filter_or_exclude(self, negate: bool, args: Any, kwargs: Any) -> Self:
        narrowed = super()._filter_or_exclude(negate, args, kwargs)  # type: ignore[misc]
        if any(args) or kwargs:
            narrowed._plan = replace(self._plan, is_long=False)
        return narrowed  # type: ignore[no-any-return]

    def _of(self, rows: models.QuerySet[Any], others: Sequence[models.QuerySet[Any]]) -> Self:
        """
        Return the sessions that rows of another table belong to.

        Few sessions are selected by id. Many are found soon enough by walking the sessions in list order, while
        collecting and sorting them would take time for each. With further filters the choice is left to the
        database.

        Args:
            rows: The rows, each with its ``session``, found by an index.
            others: Querysets that a session must have a row in each of; together they mean the same as ``rows``.
        """
        is_all = not self.query.where
        ids = list(rows.using(self.db).order_by().values_list("session_id", flat=True)[: MANY + 1])
        if len(ids) <= MANY:
            return self._gathered(ids)
        if is_all and self._plan.expects_one_question:
            found = self.filter(*(_has(other) for other in others))
        else:
            found = self.filter(*(Exists(o.filter(session=OuterRef("pk"))) for o in others))
        return found._planned(is_long=is_all and len(set(ids)) > LONG)

    def _gathered(self, ids: Iterable[str]) -> Self:
        return self.filter(_OneOf(F("pk"), sorted(set(ids))))._planned(is_gathered=True)

    def for_client(self, client_id: str) -> WorkflowSessionQuerySet:
        """Return the sessions of one client, by the vendor's client id."""
        return self.filter(client_id=client_id)

    def open(self) -> WorkflowSessionQuerySet:
        """Return the sessions that have not ended; unknown statuses count as open."""
        return self.exclude(status__in=ENDED_STATUSES).filter(missing_since=None)

    def needs_review(self) -> WorkflowSessionQuerySet:
        """Return the sessions that wait for a human decision."""
        return self.filter(needs_review=True)

    def open_reviews(self) -> WorkflowSessionQuerySet:
        """Return the sessions whose review is not decided yet, or whose decision is not confirmed."""
        return self.filter(review__state__in=OPEN_REVIEW_STATES)

    def unassigned(self) -> WorkflowSessionQuerySet:
        """Return the sessions whose review is open and unassigned."""
        return self.filter(review__state="open")

    def assigned_to(self, user: Any) -> WorkflowSessionQuerySet:
        """Return the sessions whose review a user is working on."""
        return self.filter(review__state="assigned", review__assignee=user.pk)

    def overdue(self) -> WorkflowSessionQuerySet:
        """Return the sessions whose review has been open for longer than ``COMPLYCUBE_REVIEW_DUE`` allowed."""
        return self.open_reviews().filter(review__due_at__lt=timezone.now())

    def declined(self) -> WorkflowSessionQuerySet:
        """Return the sessions that ended with a final refusal."""
        return self.filter(status="complete", outcome__in=REFUSALS)

    def stale(self, *, older_than: timedelta) -> WorkflowSessionQuerySet:
        """
        Return the sessions whose state has not been confirmed for longer than ``older_than``.

        A session is confirmed when it is fetched, or when a sweep over its whole account succeeds and finds
        nothing new in it. A session whose refresh is pending is not confirmed.
        """
        cutoff = timezone.now() - older_than
        swept = _sweeps_since(cutoff).filter(
            # A key without an environment in its prefix covers all environments of its account.
            Q(environment=OuterRef("environment")) | Q(environment=""),
            account=OuterRef("account"),
        )
        return self._unconfirmed(cutoff).filter(~Exists(swept) | _is_due())

    def stale_now(self, *, older_than: timedelta) -> WorkflowSessionQuerySet:
        """
        Return the same as ``stale``, with a query planned from the sweeps at the time of this call.

        If everything was swept, the query starts at the few sessions that are due instead of at all sessions.
        """
        cutoff = timezone.now() - older_than
        sweeps = _sweeps_since(cutoff).using(self.db).order_by()
        swept = set(sweeps.values_list("account", "environment").distinct())
        accounts = words_of(self, "account")
        if accounts is None:
            return self.stale(older_than=older_than)
        pairs = [(account, environment) for account in accounts for environment in _ENVIRONMENTS]
        missed = [p for p in pairs if not swept & {p, (p[0], "")}]
        unswept = Q()
        for account, environment in _there(self, missed):
            unswept |= Q(account=account, environment=environment)
        unconfirmed = self._unconfirmed(cutoff)
        if unswept:
            longest = (
                _model("WorkflowSession").objects.using(self.db).filter(_not_fetched_since(cutoff))
            )
            ids = list(longest.order_by().values_list("pk", flat=True)[: MANY + 1])
            if len(ids) <= MANY:
                unconfirmed = unconfirmed._gathered(ids)
            return unconfirmed.filter(unswept | _is_due())
        pending = _model("PendingRefresh").objects.filter(account__in=accounts)
        return unconfirmed.filter(_is_due())._of(pending, [])

    def _unconfirmed(self, cutoff: datetime) -> WorkflowSessionQuerySet:
        return self.filter(_not_fetched_since(cutoff), missing_since=None)

    def latest_for_client(self, client_id: str) -> WorkflowSession | None:
        """Return the client's newest session by the vendor's creation time, or None."""
        newest_first = (F("created_at").desc(nulls_last=True), "-first_seen_at", "-pk")
        return self.for_client(client_id).order_by(*newest_first).first()

    def created_between(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> WorkflowSessionQuerySet:
        """Return the sessions created from ``start`` on and before ``end``, in the vendor's time."""
        sessions = self
        if start is not None:
            sessions = sessions.filter(created_at__gte=start)
        if end is not None:
            sessions = sessions.filter(created_at__lt=end)
        return sessions

    def changed_since(self, when: datetime) -> WorkflowSessionQuerySet:
        """Return the sessions with a change in their history that was observed since then."""
        changes = _model("SessionChange").objects.filter(observed_at__gte=when)
        return self._of(changes, [changes])

    def with_check(self, check_type: str = "", outcome: str = "") -> WorkflowSessionQuerySet:
        """
        Return the sessions with a check of that type and outcome.

        Args:
            check_type: The vendor's word, or ``""`` for any.
            outcome: A word as ``word_is`` takes it, or ``""`` for any outcome.
        """
        checks = _model("RelatedCheck").objects.order_by()
        if check_type:
            checks = checks.filter(type=check_type)
        if outcome:
            checks = with_word(checks, "outcome", outcome, _model("RelatedCheck").Outcome.values)
        return self._of(checks, [checks])

    def search(self, text: str) -> WorkflowSessionQuerySet:
        """
        Return the sessions that match a search text.

        A single word that is the id of a session, a client or a check finds exactly those. Any other text is
        split into words, each of which must be the beginning of a word of the session's name, ignoring case and
        accents. Fewer than 20 letters without a digit are never an id.
        """
        typed = text.strip()
        if not typed or "\0" in typed:
            return self if not typed else self.none()
        if len(typed.split()) == 1 and not (typed.isalpha() and len(typed) < _ID_LETTERS):
            sessions = _model("WorkflowSession").objects.using(self.db)
            checks = _model("RelatedCheck").objects.using(self.db).filter(check_id=typed).order_by()
            # Three separate lookups: combined with OR, the search could not use its indexes.
            by_id = sessions.filter(pk=typed).values_list("pk")
            by_client = sessions.filter(client_id=typed).values_list("pk")
            matches = by_id.union(by_client, checks.values_list("session_id"))[: _MANY + 1]
            ids = [row[0] for row in matches]
            if len(ids) > _MANY:
                return self.for_client(typed)
            if ids:
                return self._gathered(ids)
        words = search_words(typed)
        if not words:
            return self.none()
        names = _model("SessionNameWord").objects.using(self.db)
        first, *others = words if len(words) == 1 else _rarest_first(names, words)
        rows = _beginning(names, first)
        for word in others:
            rows = rows.filter(words__contains=f" {word}")
        return self._of(rows, [rows])


def _beginning(
    names: models.QuerySet[SessionNameWord], word: str
) -> models.QuerySet[SessionNameWord]:
    """Return the rows whose words begin with ``word``, in a form that uses the index."""
    if connections[names.db].vendor == "postgresql":
        return names.filter(words__startswith=word)
    # SQLite and MariaDB order this column by code point, and use the index for a range but not for a pattern.
    return names.filter(words__gte=word, words__lt=word + chr(sys.maxunicode))


def _has(rows: models.QuerySet[Any]) -> Q:
    """
    Return the condition that a session has such a row, in a form that is evaluated session by session.

    A database may turn ``EXISTS`` into a join. Then it may start at the other table, or use parallel workers that
    each read more sessions than a page needs.
    """
    own = rows.filter(session=OuterRef("pk")).order_by().values("session_id")[:1]
    return Q(IsNull(Subquery(own), False))


def _rarest_first(names: models.QuerySet[SessionNameWord], words: Sequence[str]) -> list[str]:
    """
    Return the words with the rarest first; among equally frequent words the longest is probably the rarest.

    They are counted up to a limit, and up to a higher one if neither count nor length distinguishes them.
    """
    ranks: dict[str, tuple[int, int]] = {}
    for bound in _COUNTED:
        counts = _counted(names, words, bound)
        ranks = {word: (count, -len(word)) for word, count in zip(words, counts, strict=True)}
        first, second = sorted(ranks.values())[:2]
        if first != second or first[0] < bound:
            break
    return sorted(words, key=ranks.__getitem__)


def _counted(
    names: models.QuerySet[SessionNameWord], words: Sequence[str], bound: int
) -> list[int]:
    """Return how many rows each word has, counting up to a limit, in one query."""
    columns = {
        f"count_{number}": RowCount(_beginning(names, word).order_by().values("session_id")[:bound])
        for number, word in enumerate(words)
    }
    counts = names.order_by("pk").annotate(**columns).values_list(*columns).first()
    return list(counts or [0] * len(words))


def _there(rows: models.QuerySet[Any], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of account and environment that have sessions, in one query."""
    sessions = rows.model._default_manager.using(rows.db).order_by()
    columns = {
        f"pair_{number}": Exists(sessions.filter(account=account, environment=environment))
        for number, (account, environment) in enumerate(pairs)
    }
    first = sessions.order_by("pk").annotate(**columns).values_list(*columns)[:1]
    exists = next(iter(first), ()) if columns else ()
    return [pair for pair, has_sessions in zip(pairs, exists, strict=False) if has_sessions]


def _sweeps_since(cutoff: datetime) -> models.QuerySet[RefreshRun]:
    run = _model("RefreshRun")
    sweeps: models.QuerySet[RefreshRun] = run.objects.filter(
        mode__in=run.SWEEPING_MODES,
        state=run.State.SUCCEEDED,
        started_at__range=(cutoff, timezone.now() + LEEWAY),
    )
    return sweeps


def _not_fetched_since(cutoff: datetime) -> Q:
    """Return the condition for sessions not fetched since then; a fetch time in the future does not count."""
    return Q(fetched_at__lt=cutoff) | Q(fetched_at__gt=timezone.now() + LEEWAY)


def _is_due() -> Q:
    """Return the condition that a session's refresh is pending."""
    due = _model("PendingRefresh").objects.filter(
        account=OuterRef("account"), session_id=OuterRef("pk")
    )
    return Q(Exists(due))


def _model(name: str) -> Any:
    """Return a model that cannot be imported here, as it is defined after the sessions."""
    return apps.get_model("complycube_sessions", name)
