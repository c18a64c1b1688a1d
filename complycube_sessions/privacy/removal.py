"""
Deleting rows, or counting exactly what would be deleted.

Rows of other apps that refer to them are handled as in Django: they are deleted too, set to NULL, or prevent
the deletion. Deleting and counting use the same collector, so a dry run counts what a real run removes and
fails if that would fail. Each batch is counted in the record by the transaction that removes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import chain
from operator import or_
from typing import Any, Final

from django.apps import apps
from django.db import IntegrityError, connections, models, router, transaction
from django.db.models import DO_NOTHING, Q, QuerySet
from django.db.models.deletion import (
    Collector,
    ProtectedError,
    RestrictedError,
    get_candidate_relations_to_delete,
)
from django.db.models.signals import post_delete, pre_delete

from complycube_sessions.db.batches import chunks, pages
from complycube_sessions.db.connections import retry_transient, write_alias
from complycube_sessions.models import (
    Erasure,
    PendingRefresh,
    PruneRun,
    RefreshRun,
    SessionEvidence,
    WebhookEvent,
    WorkflowSession,
)
from complycube_sessions.privacy import tombstones
from complycube_sessions.privacy.redaction import redact, without_ids
from complycube_sessions.statistics.by_day import mark_changed

COMMAND: Final = "command"
APP: Final = "complycube_sessions"
MAX_NAMED: Final = 1000

Rows = QuerySet[Any]
Gone = Mapping[type[models.Model], Q]


class ReferencedError(Exception):
    """Rows of other apps refer to the rows to remove; the message names their models."""


@dataclass(slots=True)
class Removed:
    """
    The rows that were removed, or would be in a dry run.

    ``rows`` counts rows by model, those of other apps by ``app_label.Model``. ``protected`` maps session ids
    to the reason why a hold or the minimum retention protects them, ``left`` to the reason why rows of other
    apps do. Both hold at most 1,000 entries; ``protected_count`` and ``left_count`` count all.
    """

    rows: Counter[str] = field(default_factory=Counter)
    protected: dict[str, str] = field(default_factory=dict)
    protected_count: int = 0
    left: dict[str, str] = field(default_factory=dict)
    left_count: int = 0

    def counts(self) -> str:
        """Return the number of rows of each model as text, or "no rows"."""
        return ", ".join(f"{self.rows[name]} {name}" for name in sorted(self.rows)) or "no rows"

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Record each protected session once."""
        for session_id, reason in reasons.items():
            if session_id not in self.protected:
                self.protected_count += 1
                if len(self.protected) < MAX_NAMED:
                    self.protected[session_id] = reason

    def leave(self, subject: str, reason: str) -> None:
        """Record a row that is kept because rows of other apps refer to it."""
        if subject not in self.left:
            self.left_count += 1
            if len(self.left) < MAX_NAMED:
                self.left[subject] = reason


class Removal:
    """
    One removal in progress.

    Args:
        dry_run: Whether only to count.
    """

    def __init__(self, *, dry_run: bool) -> None:
        self.removed = Removed()
        self.dry_run = dry_run
        self.record: Erasure | PruneRun | None = None
        # Rows that a real run would have removed by now, so that a dry run does not count them twice.
        self.gone: Gone = {}

    def take(self, rows: Rows) -> None:
        """Remove rows with their dependent rows, a bounded number per transaction."""
        for page in pages(rows.only("pk")):
            self._take_some(rows.model, rows.db, [row.pk for row in page])

    def take_parts(
        self,
        keys: Sequence[Any],
        name: Callable[[Any], str],
        rows_of: Callable[[Any], Iterable[Rows]],
    ) -> None:
        """
        Remove the rows of some keys in one transaction, or in several if some rows must be kept.

        Args:
            keys: The keys of rows that are looked up together.
            name: Returns the name under which to record a key that is kept.
            rows_of: Returns the rows of some of the keys, dependent rows first.
        """
        try:
            self.count_in(lambda: self._sum(rows_of(keys)))
        except (ReferencedError, IntegrityError) as error:
            if len(keys) == 1:
                self.removed.leave(name(keys[0]), why_left(error))
                return
            middle = len(keys) // 2
            for half in (keys[:middle], keys[middle:]):
                self.take_parts(half, name, rows_of)

    def count_in(self, work: Callable[[], Counter[str]]) -> None:
        """
        Remove a batch and add its counts to the record, in one transaction.

        Args:
            work: Removes the batch, or counts it in a dry run. It may be called again after an error.
        """
        alias = write_alias()
        # Inside of a caller's transaction, only the caller can retry.
        is_part = connections[alias].in_atomic_block

        def write() -> Counter[str]:
            with transaction.atomic(using=alias):
                counts = work()
                if counts and self.record is not None and not self.dry_run:
                    _add_to(self.record, counts, alias)
            return counts

        self.removed.rows.update(write() if is_part else retry_transient(write, alias=alias))

    def _take_some(self, model: type[models.Model], alias: str, keys: list[Any]) -> None:
        rows = model._default_manager.using(alias)
        label = label_of(model)
        self.take_parts(keys, lambda pk: f"{label} {pk}", lambda some: [rows.filter(pk__in=some)])

    def _sum(self, parts: Iterable[Rows]) -> Counter[str]:
        remove = partial(count, gone=self.gone) if self.dry_run else delete
        total: Counter[str] = Counter()
        for rows in parts:
            total += remove(rows)
        return total


def delete(rows: Rows) -> Counter[str]:
    """
    Delete rows with their dependent rows, and return the counts by model; call it in a transaction.

    The stored figures of the days on which deleted sessions were created are marked as outdated.

    Raises:
        ReferencedError: Other rows refer to them and prevent the deletion.
        IntegrityError: The database rejects it for a reason that no model declares.
    """
    alias = rows.db
    if rows.model is WorkflowSession:
        mark_changed(rows.values_list("created_at", flat=True), alias=alias)
    with transaction.atomic(using=alias):
        collector = _collect(rows)
        referring = list(_referring(collector))
        try:
            with transaction.atomic(using=alias):
                _, by_label = collector.delete()
        except IntegrityError:
            _refuse(referring, rows.model)
            raise
        # Some databases check constraints only at the end of the transaction, so check here too.
        _refuse(referring, rows.model)
    counts: Counter[str] = Counter()
    for label, number in by_label.items():
        counts[label_of(apps.get_model(label))] += number
    return +counts


def count(rows: Rows, *, gone: Gone | None = None) -> Counter[str]:
    """
    Return what ``delete`` would delete.

    Args:
        rows: What would be deleted.
        gone: Conditions by model for rows that would have been deleted before.

    Raises:
        ReferencedError: Other rows refer to them and prevent the deletion.
    """
    collector = _collect(rows)
    _refuse(list(_referring(collector)), rows.model)
    counts: Counter[str] = Counter()
    for model, targets in _collected(collector):
        parts = [part for part in targets if isinstance(part, QuerySet)]
        counts[label_of(model)] += sum(len(p) for p in targets if not isinstance(p, QuerySet))
        # A row that refers twice is collected twice, but counts once.
        named = reduce(
            or_, (Q(pk__in=part.order_by().values("pk")) for part in parts), Q(pk__in=[])
        )
        fast = parts[0] if len(parts) == 1 else model._base_manager.using(rows.db).filter(named)
        if gone and model in gone:
            fast = fast.exclude(gone[model])
        counts[label_of(model)] += fast.count()
    return +counts


def label_of(model: type[models.Model]) -> str:
    """Return the name of a model, with the app label if it belongs to another app."""
    meta = model._meta
    return model.__name__ if meta.app_label == APP else meta.label


def traces(scope: str, sessions: Collection[str], checks: Collection[str]) -> Iterator[Rows]:
    """
    Yield the pending work and the entries of the admin's log that name sessions or checks.

    Args:
        scope: The account of the pending work, or ``ANY_ACCOUNT``.
        sessions: Ids of sessions.
        checks: Ids of checks.
    """
    for some in chunks(sorted(sessions)):
        yield within(scope, PendingRefresh).filter(session_id__in=some)
    if apps.is_installed("django.contrib.admin"):
        log: Any = apps.get_model("admin", "LogEntry")
        lines = log.objects.using(router.db_for_write(log))
        lines = lines.filter(content_type__app_label=APP)
        for some in chunks([*sorted(sessions), *sorted(checks)]):
            yield lines.filter(Q(object_id__in=some) | Q(object_repr__in=some))


def clean_errors(scope: str, ids: frozenset[str], removal: Removal) -> None:
    """Remove ids from the errors of runs, events and pending work."""
    alias = write_alias()
    runs = within(scope, RefreshRun).filter(error_count__gt=0).only("pk", "errors")
    for run in chain.from_iterable(pages(runs)):
        errors = run.errors if isinstance(run.errors, dict) else {}
        if without_ids(errors, ids) != errors:
            clean = partial(_clean_run, run.pk, ids, alias, dry_run=removal.dry_run)
            removal.count_in(clean)
    with_error: tuple[type[models.Model], ...] = (WebhookEvent, PendingRefresh)
    for model in with_error:
        rows = within(scope, model)
        for row in chain.from_iterable(pages(rows.exclude(error="").only("pk", "error"))):
            text = redact(row.error, ids)
            if text != row.error and not removal.dry_run:
                rows.filter(pk=row.pk, error=row.error).update(error=text)


def forget_evidence(sessions: Collection[str], removal: Removal) -> None:
    """Remove ids from the records of evidence; the hashes of the files stay."""
    for some in chunks(sorted(sessions)):
        rows = SessionEvidence.objects.using(write_alias()).filter(session_id__in=some)

        def forget(rows: QuerySet[SessionEvidence] = rows) -> Counter[str]:
            number = rows.count() if removal.dry_run else rows.update(session_id="")
            return +Counter({"SessionEvidence.session_id": number})

        removal.count_in(forget)


def within(scope: str, model: type[models.Model]) -> Rows:
    """Return the rows of a model that belong to an account, or all rows for ``ANY_ACCOUNT``."""
    rows = model._default_manager.using(write_alias())
    return rows if scope == tombstones.ANY_ACCOUNT else rows.filter(account=scope)


def _clean_run(pk: int, ids: frozenset[str], alias: str, *, dry_run: bool) -> Counter[str]:
    found = Counter({"RefreshRun.errors": 1})
    if dry_run:
        return found
    run = RefreshRun.objects.using(alias).select_for_update().only("errors").filter(pk=pk).first()
    if run is None:
        return Counter()
    run.errors = without_ids(run.errors, ids)
    run.save(using=alias, update_fields=["errors"])
    return found


def _add_to(record: Erasure | PruneRun, counts: Counter[str], alias: str) -> None:
    rows: Rows = type(record)._default_manager.using(alias)
    kept = rows.select_for_update().only("removed").get(pk=record.pk)
    kept.removed = dict(Counter(kept.removed) + counts)
    kept.save(using=alias, update_fields=["removed"])


def _collect(rows: Rows) -> Collector:
    collector = Collector(using=rows.db, origin=rows)
    if not (pre_delete.has_listeners(rows.model) or post_delete.has_listeners(rows.model)):
        rows = rows.only("pk")  # no receiver needs the other columns, which may be large
    try:
        # A plain queryset: the rows may be mirrored ones, and receivers of a host stay refused.
        collector.collect(QuerySet(rows.model, rows.query.chain(), rows.db).order_by())
    except (ProtectedError, RestrictedError) as error:
        raise ReferencedError(_reason({type(row) for row in error.args[1]}, rows.model)) from None
    return collector


def _referring(collector: Collector) -> Iterator[Rows]:
    """Yield the rows of relations with ``DO_NOTHING`` that the database enforces all the same."""
    for model, targets in _collected(collector):
        relation: Any
        for relation in get_candidate_relations_to_delete(model._meta):
            if relation.on_delete is not DO_NOTHING or not relation.field.db_constraint:
                continue
            name = relation.field.target_field.attname
            values = [value for rows in targets for value in _values(rows, name)]
            manager = relation.related_model._base_manager.using(collector.using)
            yield manager.filter(**{f"{relation.field.name}__in": values})


def _collected(collector: Collector) -> Iterator[tuple[type[models.Model], list[Any]]]:
    found: dict[type[models.Model], list[Any]] = {}
    for model, instances in collector.data.items():
        found.setdefault(model, []).append(instances)
    for rows in collector.fast_deletes:
        found.setdefault(rows.model, []).append(rows)
    yield from found.items()


def _values(rows: Any, name: str) -> list[Any]:
    if isinstance(rows, QuerySet):
        return list(rows.values_list(name, flat=True))
    return [getattr(row, name) for row in rows]


def _refuse(referring: list[Rows], model: type[models.Model]) -> None:
    holding = {rows.model for rows in referring if rows.exists()}
    if holding:
        raise ReferencedError(_reason(holding, model))


def _reason(holding: Iterable[type[models.Model]], model: type[models.Model]) -> str:
    names = ", ".join(sorted(label_of(protecting) for protecting in holding))
    return f"Rows of {names} protect rows of {label_of(model)}: remove those first, and run this again."


def why_left(error: ReferencedError | IntegrityError) -> str:
    """Return the reason without the database's message, which may quote a row."""
    if isinstance(error, ReferencedError):
        return str(error)
    return (
        f"The database forbids to remove it ({type(error).__name__}): rows of its own refer to it."
    )


def session_rows() -> Rows:
    return WorkflowSession.objects.using(write_alias())
