"""
A copy of a given size in believable proportions, written in bulk.

Of a million sessions: two years of them, 3 checks each, 2 or 3 words a name, a change for every third
session, an event for every fifth. Names follow a skew, so that some first names are very frequent.
All is a function of the row's number: two fills of one size hold the same rows.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

DAYS: Final = 730
CHECKS: Final = 3
CHUNK: Final = 20_000

_SYLLABLES: Final = ("mar", "bel", "ko", "ri", "san", "ta", "lu", "per", "no", "vi", "dal", "en")
FIRST_NAMES: Final = (
    "Maria", "Anna", "John", "José", "Mohammed", "Wei", "Elena", "Peter", "Fatima", "Lukas",
    *(f"{a}{b}{c}".title() for a in _SYLLABLES for b in _SYLLABLES[:6] for c in ("a", "o", "el")),
)  # fmt: skip
LAST_NAMES: Final = (
    "García", "Smith", "Müller", "Nguyen", "Silva", "Kowalski", "Ivanov", "Rossi",
    *(f"{a}{b}{c}{d}".title() for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES
      for d in ("ez", "sson", "ov")),
)  # fmt: skip
TEMPLATES: Final = (
    "AML + Liveness + Document", "AML only", "Document + Face", "Proof of address", "Enhanced due diligence",
    "Age estimation", "Business onboarding", "Quick check",
)  # fmt: skip
CHECK_TYPES: Final = (
    "document_check", "identity_check", "extensive_screening_check", "standard_screening_check",
    "proof_of_address_check", "enhanced_identity_check", "face_authentication_check",
    "multi_bureau_check", "age_estimation_check", "email_intelligence_check", "eid_check",
)  # fmt: skip

Row = tuple[Any, ...]


def fill(connection: Any, size: int) -> dict[str, float]:
    """Write ``size`` sessions into empty, migrated tables; return the seconds each table took."""
    writer = {"postgresql": _copy, "mysql": _insert, "sqlite": _insert}[connection.vendor]
    data = Data(size, connection.vendor)
    seconds = {}
    for table, columns, rows in (
        ("workflowsession", _SESSION, data.sessions),
        ("relatedcheck", _CHECK, data.checks),
        ("sessionnameword", ("session_id", "words"), data.words),
        ("sessionchange", _CHANGE, data.changes),
        ("webhookevent", _EVENT, data.events),
        ("refreshrun", _RUN, data.runs),
        ("pendingrefresh", _PENDING, data.pending),
    ):
        began = time.perf_counter()
        writer(connection, f"complycube_sessions_{table}", columns, rows())
        seconds[table] = time.perf_counter() - began
    return seconds


def work_reviews(size: int) -> None:
    """
    Let people have worked on reviews, as they would over the months.

    Of a million sessions 43,000 need one; 57,000 others had one that was decided.
    """
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from complycube_sessions.models import Review, ReviewEvent, ReviewNote
    from complycube_sessions.reviews.upkeep import open_missing

    users = get_user_model().objects
    names = ["benchmark", *(f"reviewer{number}" for number in range(40))]
    users.bulk_create(
        [users.model(username=name, is_staff=True, is_superuser=True) for name in names],
        ignore_conflicts=True,
    )
    people = list(users.values_list("pk", flat=True))
    open_missing("default", "default")
    open_missing("second", "default")
    decided = (session_id(number) for number in range(0, size, 16))
    Review.objects.bulk_create(
        (Review(session_id=pk, opened_at=timezone.now() - timedelta(days=90)) for pk in decided),
        ignore_conflicts=True,
        batch_size=CHUNK // 10,
    )
    now, changed = timezone.now(), []
    rows = Review.objects.select_related("session").order_by("opened_at", "pk")
    for number, review in enumerate(rows.iterator()):
        share, person = number * 7919 % 100, people[number % len(people)]
        if not review.session.needs_review:
            share = 99
        if share < 40:
            continue
        review.assignee_id = person
        review.state = (
            "assigned" if share < 60 else "awaiting_confirmation" if share < 64 else "decided"
        )
        if share >= 60:
            review.decision, review.reason = "approved", "False positive"
            review.decided_by_id = person
            review.decided_at = now - timedelta(minutes=number * 13 % 260_000)
        changed.append(review)
    fields = ["assignee", "state", "decision", "reason", "decided_by", "decided_at"]
    Review.objects.bulk_update(changed, fields, batch_size=CHUNK // 10)
    at = now - timedelta(hours=1)
    ReviewEvent.objects.bulk_create(
        (
            ReviewEvent(review_id=r.pk, actor_name="reviewer1", action="taken", at=at)
            for r in changed
        ),
        batch_size=CHUNK // 10,
    )
    ReviewNote.objects.bulk_create(
        (
            ReviewNote(review_id=r.pk, author_name="reviewer1", text="Looked at.")
            for r in changed[::3]
        ),
        batch_size=CHUNK // 10,
    )


def last_review_page(*, at_most: int) -> int:
    """Return the number of the last page of the open reviews, or ``at_most`` where there are more."""
    from complycube_sessions.admin.sessions import WorkflowSessionAdmin
    from complycube_sessions.models import WorkflowSession

    size: int = WorkflowSessionAdmin.list_per_page
    reviews = WorkflowSession.objects.open_reviews().order_by()[: at_most * size].count()
    return max(1, -(-reviews // size))


def reviewed_id() -> str:
    """Return the id of a session that somebody works on, or of the first one where there is none."""
    from complycube_sessions.models import Review

    pk = Review.objects.filter(state="assigned").order_by("pk").values_list("pk", flat=True).first()
    return pk or session_id(0)


def tidy(connection: Any) -> None:
    """Let the database count its rows, as its own housekeeping does sooner or later."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("SHOW TABLES LIKE 'complycube%%'")
            for (table,) in list(cursor.fetchall()):
                cursor.execute(f"ANALYZE TABLE {table}")
        else:
            cursor.execute(
                {"postgresql": "VACUUM (ANALYZE)", "sqlite": "ANALYZE"}[connection.vendor]
            )


class Data:
    """The rows of every table, in the order of their numbers."""

    def __init__(self, size: int, vendor: str) -> None:
        self.size = size
        self.is_postgres = vendor == "postgresql"
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.begin = self.now - timedelta(days=DAYS)
        self.step = DAYS * 86400 / size

    def created(self, number: int) -> datetime:
        return self.begin + timedelta(seconds=round(number * self.step, 3))

    def session_id(self, number: int) -> str:
        return session_id(number)

    def time(self, when: datetime) -> str:
        text = when.isoformat(" ", "milliseconds")
        return text if self.is_postgres else text[:23]

    def flag(self, value: bool) -> Any:
        return ("f", "t")[value] if self.is_postgres else int(value)

    def verdict(self, number: int) -> tuple[str, str]:
        """Return status and outcome of a session."""
        part = number * 7919 % 10_000
        is_young = number > self.size * 0.998
        if is_young and part % 3:
            return ("started", "processing")[part % 2], ""
        if part < 700:
            return ("abandoned", "cancelled")[part < 100], ""
        return "complete", _by_share(part, _OUTCOMES)

    def name(self, number: int) -> str:
        pick = random.Random(number)  # noqa: S311 - guards nothing
        first = FIRST_NAMES[int(len(FIRST_NAMES) * pick.random() ** 2)]
        last = LAST_NAMES[int(len(LAST_NAMES) * pick.random() ** 2)]
        return f"{first} {last}" if number % 4 else f"{first} {last} {LAST_NAMES[number % 97]}"

    def sessions(self) -> Iterator[Row]:
        for number in range(self.size):
            created = self.created(number)
            status, outcome = self.verdict(number)
            completed = created + timedelta(seconds=60 + number * 31 % 900)
            is_complete = status == "complete"
            updated = completed + timedelta(seconds=number * 17 % 86_400)
            template = int(len(TEMPLATES) * ((number * 613 % 1000) / 1000) ** 2)
            name, pk = self.name(number), self.session_id(number)
            client = f"c{number * 10 // 13:023x}"
            is_review = is_complete and outcome not in _ENDS
            raw = {"id": pk, "clientId": client, "entityName": name, "status": status,
                   "workflowTemplateName": TEMPLATES[template], "outcome": outcome,
                   "tasks": [{"id": f"task_{n}", "type": "capture"} for n in range(6)]}  # fmt: skip
            is_missing = number % 211 == 0
            yield (
                pk, "second" if number % 20 == 0 else "default", "test" if number % 20 == 0 else "live",
                client, name, status, outcome, f"{template:024x}", TEMPLATES[template], "", f"{template:024x}",
                "1", "", "[]", "[]", "[]", "", self.time(created),
                self.time(completed) if is_complete else None, self.time(updated),
                json.dumps(raw, ensure_ascii=False), self.time(created), self.time(updated),
                self.time(self.now - timedelta(hours=number % 5000)) if is_missing else None,
                self.flag(is_review), outcome,
            )  # fmt: skip

    def checks(self) -> Iterator[Row]:
        for number in range(self.size):
            created = self.created(number)
            _status, verdict = self.verdict(number)
            pk = self.session_id(number)
            for position in range(CHECKS):
                serial = number * CHECKS + position
                part = serial * 7907 % 10_000
                outcome = verdict if position == 1 and verdict in _CHECK_WORDS else "clear"
                status = "complete"
                if part < 40:
                    status, outcome = ("failed", "pending")[part < 10], ""
                elif part < 48:
                    outcome = "not_processed"
                kind = CHECK_TYPES[int(len(CHECK_TYPES) * ((serial * 617 % 1000) / 1000) ** 3)]
                updated = self.time(created + timedelta(seconds=90 + serial % 600))
                yield (
                    pk, f"{_CHECK_BASE + serial:024x}", kind, f"task_{position}", str(position), status, outcome,
                    json.dumps({"outcome": outcome, "breakdown": {"contentAnalysis": outcome}}),
                    self.time(created), updated, updated, None, None, "", None,
                    json.dumps({"type": kind, "status": status, "result": {"outcome": outcome}}),
                )  # fmt: skip

    def words(self) -> Iterator[Row]:
        from complycube_sessions.models.name_words import name_rotations

        for number in range(self.size):
            pk = self.session_id(number)
            for words in name_rotations(self.name(number)):
                yield pk, words

    def changes(self) -> Iterator[Row]:
        for number in range(0, self.size, 3):
            field, old, new = _CHANGES[number // 3 % len(_CHANGES)]
            at = self.created(number) + timedelta(minutes=20)
            observed = self.time(min(at, self.now))
            source = "webhook" if number % 5 else "refresh"
            source = "admin" if number % 1000 == 0 else source
            yield self.session_id(number), "", field, old, new, observed, observed, source

    def events(self) -> Iterator[Row]:
        for number in range(0, self.size, 5):
            at = self.time(min(self.created(number) + timedelta(minutes=15), self.now))
            is_open = number > self.size * 0.9999
            error = "ComplyCubeNotFoundError: 404" if number % 2000 == 0 else ""
            yield (
                "default", f"evt_{number:020x}", "workflow.session.completed", self.session_id(number),
                f"c{number * 10 // 13:023x}", "complete", "clear", at, at, None if is_open else at, "1", None, error,
            )  # fmt: skip

    def runs(self) -> Iterator[Row]:
        count = min(self.size // 20, 50_000)
        for number in range(count):
            at = self.now - timedelta(minutes=15 * (count - number))
            state = "failed" if number % 97 == 0 else "succeeded"
            account = "second" if number % 2 else "default"
            mode = "full" if number % 96 == 0 else "incremental"
            end = self.time(at + timedelta(seconds=30))
            counts = ("20", "20", "5", "15", "0", "0", "0", "0", "0", "0", "25")
            environment = "test" if number % 2 else "live"
            yield account, environment, mode, state, self.time(at), end, end, *counts, "{}", "0"

    def pending(self) -> Iterator[Row]:
        for number in range(0, self.size, max(self.size // 2000, 1)):
            at = self.time(self.now + timedelta(seconds=number % 3600))
            tried = str(number // 500 % 3)
            yield (
                "default",
                self.session_id(number),
                "failed",
                at,
                tried,
                at,
                "503" * (tried != "0"),
            )


def session_id(number: int) -> str:
    """Return the id of a session of the copy: like the vendor's, they rise with time."""
    return f"{0x5EB2B61E:08x}{number:016x}"


def check_id(number: int) -> str:
    """Return the id of the first check of a session of the copy."""
    return f"{_CHECK_BASE + number * CHECKS:024x}"


def _by_share(part: int, shares: Sequence[tuple[int, str]]) -> str:
    return next(word for least, word in shares if part >= least)


def _copy(connection: Any, table: str, columns: Sequence[str], rows: Iterator[Row]) -> None:
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while chunk := list(islice(rows, CHUNK)):
            lines = ["\t".join(["\\N" if v is None else v for v in row]) for row in chunk]
            copy.write("\n".join(lines) + "\n")


def _insert(connection: Any, table: str, columns: Sequence[str], rows: Iterator[Row]) -> None:
    from django.db import transaction

    marks = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
    while chunk := list(islice(rows, CHUNK)):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(statement, chunk)


_CHECK_BASE: Final = 0x689C78F6 << 64
_ENDS: Final = ("clear", "decline", "rejected", "match_confirmed")
_CHECK_WORDS: Final = ("attention", "rejected", "match_confirmed", "not_processed")
_OUTCOMES: Final = (
    (1400, "clear"), (1050, "attention"), (1000, "review"), (900, "rejected"), (850, "decline"),
    (830, "match_confirmed"), (801, "not_processed"), (800, "a new word"), (0, "clear"),
)  # fmt: skip
_CHANGES: Final = (
    ("status", "started", "complete"), ("outcome", "attention", "clear"), ("status", "started", "abandoned"),
    ("check", "added", "gone"), ("outcome", "clear", "attention"),
)  # fmt: skip
_SESSION: Final = (
    "id", "account", "environment", "client_id", "entity_name", "status", "outcome", "workflow_template_id",
    "workflow_template_name", "workflow_template_description", "workflow_id", "workflow_version",
    "workflow_description", "compliance_policies", "policy_assurance", "tasks", "last_completed_task_id",
    "created_at", "completed_at", "updated_at", "raw", "first_seen_at", "fetched_at", "missing_since",
    "needs_review", "announced_outcome",
)  # fmt: skip
_CHECK: Final = (
    "session_id", "check_id", "type", "task_id", "position", "status", "outcome", "result", "created_at",
    "updated_at", "fetched_at", "result_fetched_at", "missing_since", "document_id", "monitored", "raw",
)  # fmt: skip
_CHANGE: Final = (
    "session_id", "check_id", "field", "old", "new", "changed_at", "observed_at", "source",
)  # fmt: skip
_EVENT: Final = (
    "account", "event_id", "type", "resource_id", "client_id", "status", "outcome", "occurred_at", "received_at",
    "processed_at", "attempts", "next_try_at", "error",
)  # fmt: skip
_RUN: Final = (
    "account", "environment", "mode", "state", "started_at", "finished_at", "watermark", "listed", "fetched",
    "created", "updated", "unchanged", "missing", "failed", "kept_out", "remaining", "still_due", "requests", "errors", "error_count",
)  # fmt: skip
_PENDING: Final = (
    "account", "session_id", "reason", "requested_at", "attempts", "next_try_at", "error",
)  # fmt: skip
