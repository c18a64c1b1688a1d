"""Questions that a compliance desk or a host project asks of its sessions."""

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
# What the prefix of a key tells.
_ENVIRONMENTS: Final = ("", "live", "test")
# More than one person's sessions; from here on the index of the clients is the better list.
_MANY: Final = 500
# Up to so many sessions are gathered and sorted; of more the newest are met on the way.
MANY: Final = 5_000
LONG: Final = 1_000
# Of a word of a name no more rows are counted to tell how frequent it is; the second time, where the first told nothing.
_COUNTED: Final = (5_000, 20_000)
# Of the vendor's ids, 24 hexadecimal digits, not one in ten thousand million is letters alone.
_ID_LETTERS: Final = 20


class RowCount(Subquery):
    """How many rows a query has, as a value in another query."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = models.IntegerField()


class _OneOf(In):
    """``IN``, whose thousands of values PostgreSQL takes as one: each of its own costs Django as much as the look-up."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*parameters, list(self.rhs)]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """
    What is known of a queryset before it is read; which rows it has does not depend on it.

    Args:
        is_long: It has more than ``LONG`` sessions: nothing but one frequent word was asked.
        is_gathered: It has at most ``MANY`` sessions, which are named by their ids.
        expects_one_question: One more question is asked of it, and the first rows in an index's order.
    """

    is_long: bool = False
    is_gathered: bool = False
    expects_one_question: bool = False


def read_plan(rows: Any) -> ReadPlan:
    """Return what is known of a queryset of any model; of others than sessions that is nothing."""
    return rows._plan if isinstance(rows, WorkflowSessionQuerySet) else ReadPlan()


def expecting_one_question(rows: WorkflowSessionQuerySet) -> WorkflowSessionQuerySet:
    """Return the same sessions, of which one more is asked and then the first rows in an index's order."""
    return rows._planned(expects_one_question=True)


class WorkflowSessionQuerySet(MirroredQuerySet["WorkflowSession"]):
    """Questions that a compliance desk or a host project asks of its sessions."""

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

        Few are named by their ids. Many are met soon enough when the sessions are walked in their order,
        while to gather and sort them would cost time for each. Only where more is asked of a session the
        database has to guess which it is.

        Args:
            rows: The rows, each with its ``session``, found by an index.
            others: Rows of which each session has one, which together mean the same.
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
        """Return the sessions that have not ended; a status never seen before counts as open."""
        return self.exclude(status__in=ENDED_STATUSES).filter(missing_since=None)

    def needs_review(self) -> WorkflowSessionQuerySet:
        """Return the sessions that wait for a human decision."""
        return self.filter(needs_review=True)

    def open_reviews(self) -> WorkflowSessionQuerySet:
        """Return the sessions whose review is not decided yet, or whose decision is not confirmed."""
        return self.filter(review__state__in=OPEN_REVIEW_STATES)

    def unassigned(self) -> WorkflowSessionQuerySet:
        """Return the sessions whose review is open and nobody's."""
        return self.filter(review__state="open")

    def assigned_to(self, user: Any) -> WorkflowSessionQuerySet:
        """Return the sessions whose review a user is working on."""
        return self.filter(review__state="assigned", review__assignee=user.pk)

    def overdue(self) -> WorkflowSessionQuerySet:
        """Return the sessions whose review is open for longer than ``COMPLYCUBE_REVIEW_DUE`` allowed."""
        return self.open_reviews().filter(review__due_at__lt=timezone.now())

    def declined(self) -> WorkflowSessionQuerySet:
        """Return the sessions that ended with a final refusal."""
        return self.filter(status="complete", outcome__in=REFUSALS)

    def stale(self, *, older_than: timedelta) -> WorkflowSessionQuerySet:
        """
        Return the sessions of which nothing was heard for longer than ``older_than``.

        A session was heard of when it was fetched, or when a sweep over its whole account succeeded
        and found nothing new in it. A session whose refresh is pending was not heard of.
        """
        cutoff = timezone.now() - older_than
        swept = _sweeps_since(cutoff).filter(
            # A key whose prefix tells no environment sees whatever its account holds.
            Q(environment=OuterRef("environment")) | Q(environment=""),
            account=OuterRef("account"),
        )
        return self._unheard(cutoff).filter(~Exists(swept) | _is_due())

    def stale_now(self, *, older_than: timedelta) -> WorkflowSessionQuerySet:
        """
        Return what ``stale`` returns, planned from what was swept when this is called.

        Where all was, it begins at the few sessions that are due instead of at every session.
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
        unheard = self._unheard(cutoff)
        if unswept:
            longest = (
                _model("WorkflowSession").objects.using(self.db).filter(_not_fetched_since(cutoff))
            )
            ids = list(longest.order_by().values_list("pk", flat=True)[: MANY + 1])
            if len(ids) <= MANY:
                unheard = unheard._gathered(ids)
            return unheard.filter(unswept | _is_due())
        pending = _model("PendingRefresh").objects.filter(account__in=accounts)
        return unheard.filter(_is_due())._of(pending, [])

    def _unheard(self, cutoff: datetime) -> WorkflowSessionQuerySet:
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
        """Return the sessions with a change of meaning that was observed since then."""
        changes = _model("SessionChange").objects.filter(observed_at__gte=when)
        return self._of(changes, [changes])

    def with_check(self, check_type: str = "", outcome: str = "") -> WorkflowSessionQuerySet:
        """
        Return the sessions with a check of that type, of that outcome, or of both at once.

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
        Return the sessions that a person means who types this text.

        One word that is the id of a session, a client or a check finds exactly those; anything else
        is read as words of a name, each of which must begin a word of the session's name, without
        regard to case and accents. Less than 20 letters without a digit are no id, but a name.
        """
        typed = text.strip()
        if not typed or "\0" in typed:
            return self if not typed else self.none()
        if len(typed.split()) == 1 and not (typed.isalpha() and len(typed) < _ID_LETTERS):
            sessions = _model("WorkflowSession").objects.using(self.db)
            checks = _model("RelatedCheck").objects.using(self.db).filter(check_id=typed).order_by()
            # Three exact look-ups; OR-ed into the search they would cost it its indexes.
            by_id = sessions.filter(pk=typed).values_list("pk")
            by_client = sessions.filter(client_id=typed).values_list("pk")
            found = by_id.union(by_client, checks.values_list("session_id"))[: _MANY + 1]
            ids = [row[0] for row in found]
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
    """Return the rows of words that begin so, by the index."""
    if connections[names.db].vendor == "postgresql":
        return names.filter(words__startswith=word)
    # SQLite and MariaDB order these by code point and look a range up, but not a pattern.
    return names.filter(words__gte=word, words__lt=word + chr(sys.maxunicode))


def _has(rows: models.QuerySet[Any]) -> Q:
    """
    Return the condition that there is such a row of a session, asked of each session as it is met.

    As a join, which ``EXISTS`` may become, a database may begin at the other table, or with several
    processes that each read more sessions than one page needs.
    """
    own = rows.filter(session=OuterRef("pk")).order_by().values("session_id")[:1]
    return Q(IsNull(Subquery(own), False))


def _rarest_first(names: models.QuerySet[SessionNameWord], words: Sequence[str]) -> list[str]:
    """
    Return the words with the rarest first; of equally frequent ones the longest is likely the rarer.

    They are counted up to a bound, and up to a higher one where neither count nor length tells which it is.
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
    """Return up to a bound how many rows each word has, in one query that reads no more of the index."""
    asked = {
        f"count_{number}": RowCount(_beginning(names, word).order_by().values("session_id")[:bound])
        for number, word in enumerate(words)
    }
    found = names.order_by("pk").annotate(**asked).values_list(*asked).first()
    return list(found or [0] * len(words))


def _there(rows: models.QuerySet[Any], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those pairs of account and environment that have sessions, in one query."""
    sessions = rows.model._default_manager.using(rows.db).order_by()
    asked = {
        f"pair_{number}": Exists(sessions.filter(account=account, environment=environment))
        for number, (account, environment) in enumerate(pairs)
    }
    first = sessions.order_by("pk").annotate(**asked).values_list(*asked)[:1]
    found = next(iter(first), ()) if asked else ()
    return [pair for pair, is_there in zip(pairs, found, strict=False) if is_there]


def _sweeps_since(cutoff: datetime) -> models.QuerySet[RefreshRun]:
    run = _model("RefreshRun")
    sweeps: models.QuerySet[RefreshRun] = run.objects.filter(
        mode__in=run.SWEEPING_MODES,
        state=run.State.SUCCEEDED,
        started_at__range=(cutoff, timezone.now() + LEEWAY),
    )
    return sweeps


def _not_fetched_since(cutoff: datetime) -> Q:
    """Return the condition that nothing proves a fetch since then; a time that is still to come does not."""
    return Q(fetched_at__lt=cutoff) | Q(fetched_at__gt=timezone.now() + LEEWAY)


def _is_due() -> Q:
    """Return the condition that a session's refresh is pending."""
    due = _model("PendingRefresh").objects.filter(
        account=OuterRef("account"), session_id=OuterRef("pk")
    )
    return Q(Exists(due))


def _model(name: str) -> Any:
    """Return a model that is defined after the sessions, which these queries are of."""
    return apps.get_model("complycube_sessions", name)
