"""
Exporting evidence: the stored data of one session, as files that can later be checked for changes.

The JSON file is the evidence. Its bytes are canonical (UTF-8, sorted keys, no blanks), so that equal content
has an equal hash. The HTML file shows the same to a reader. The database keeps the hashes of both.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone, translation

from complycube_sessions import __version__
from complycube_sessions.db import keyset
from complycube_sessions.db.connections import beside_transactions, retry_transient, write_alias
from complycube_sessions.evidence.decisions import decisions
from complycube_sessions.evidence.html import render_page
from complycube_sessions.evidence.reviews import review_of
from complycube_sessions.findings.reasons import reasons
from complycube_sessions.models import RelatedCheck, Review, SessionEvidence, WorkflowSession
from complycube_sessions.models.audit import has_decisions
from complycube_sessions.privacy import tombstones

FORMAT: Final = "complycube-sessions-evidence"
FORMAT_VERSION: Final = 1
COMMAND: Final = "command"
ABOUT: Final = (
    "This is a copy of what the ComplyCube API answered about one workflow session. ComplyCube ran the "
    "checks and gave the outcomes; the software named here fetched and stored the answers at the times "
    "given, unchanged but for images and overlong values, which are cut with a mark. The review is what "
    "people decided and noted beside it. All times are UTC."
)
CHECKS_KEPT: Final = 1_000
# A check's result may be large; a session has about ten checks.
CHECKS_AT_ONCE: Final = 250
CHANGES_KEPT: Final = 10_000
# For all check results of a session together; a single response is bounded when it is fetched.
RESULT_BYTES_KEPT: Final = 32 * 1024 * 1024

_SESSION_FIELDS: Final = (
    "id",
    "client_id",
    "entity_name",
    "status",
    "outcome",
    "workflow_template_id",
    "workflow_template_name",
    "workflow_template_description",
    "workflow_id",
    "workflow_version",
    "workflow_description",
    "last_completed_task_id",
    "created_at",
    "completed_at",
    "updated_at",
)
_COPY_FIELDS: Final = (
    "account",
    "environment",
    "first_seen_at",
    "fetched_at",
    "missing_since",
    "needs_review",
)
_CHECK_FIELDS: Final = (
    "check_id",
    "type",
    "task_id",
    "position",
    "status",
    "outcome",
    "document_id",
    "monitored",
    "created_at",
    "updated_at",
    "fetched_at",
    "result_fetched_at",
    "missing_since",
)
_CHANGE_FIELDS: Final = (
    "check_id",
    "field",
    "old",
    "new",
    "changed_at",
    "observed_at",
    "source",
)
_SENSITIVE_FIELDS: Final = ("raw", "tasks")


@dataclass(frozen=True, slots=True)
class Content:
    """
    The parts that the files may contain, according to the permissions of the person who exports them.

    ``sensitive`` covers the answer as received, the results of the checks and the tasks.
    """

    sensitive: bool = True
    history: bool = True
    reviews: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """Exported evidence: its record, and its files."""

    record: SessionEvidence
    stem: str
    json: bytes
    page: bytes

    @property
    def files(self) -> dict[str, bytes]:
        return {f"{self.stem}.json": self.json, f"{self.stem}.html": self.page}

    def as_zip(self) -> bytes:
        """Return both files as one archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
        return buffer.getvalue()


def export_evidence(
    session_id: str,
    *,
    actor: str = COMMAND,
    actor_name: str = "",
    content: Content | None = None,
) -> Evidence:
    """
    Return the evidence of a stored session, and record that it was exported.

    No API request is sent. The record is committed before the files are returned, even if a transaction is open
    around the call; on SQLite it is committed with that transaction.

    Args:
        session_id: The vendor's id.
        actor: ``user:`` and an id, or ``command``; stored in the database.
        actor_name: The person's name for the files; it is not stored in the database.
        content: The parts that the files may contain; all by default.

    Raises:
        WorkflowSession.DoesNotExist: The session is not stored here.
    """
    if "\0" in session_id:  # no row can hold it, and PostgreSQL raises an error of its own
        raise WorkflowSession.DoesNotExist
    alias = write_alias()
    export = partial(
        _export,
        session_id,
        actor=actor,
        actor_name=actor_name,
        content=content or Content(),
        alias=alias,
    )
    return beside_transactions(export, alias=alias)


def canonical(document: Any) -> bytes:
    """Return JSON as canonical bytes, to be hashed."""
    text = json.dumps(
        document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    # A lone surrogate cannot be encoded as UTF-8; the JSON escape means the same.
    return text.encode("utf-8", "backslashreplace")


def _export(
    session_id: str, *, actor: str, actor_name: str, content: Content, alias: str
) -> Evidence:
    document = retry_transient(lambda: _read(session_id, content, alias), alias=alias)
    now = timezone.now()
    document["export"] = {
        "exported_at": _text(now),
        "actor": actor,
        "actor_name": actor_name,
        "app": "django-complycube-sessions",
        "app_version": __version__,
    }
    written = canonical(document)
    sha256 = hashlib.sha256(written).hexdigest()
    stem = _stem(session_id, now, sha256)
    page = render_page(document, sha256=sha256, json_name=f"{stem}.json")
    record = SessionEvidence(
        session_id=session_id,
        sha256=sha256,
        page_sha256=hashlib.sha256(page).hexdigest(),
        created_at=now,
        actor=actor,
        app_version=__version__,
    )
    account = document["copy"]["account"]
    retry_transient(lambda: _save(record, account, alias), alias=alias)
    return Evidence(record, stem, written, page)


def _read(session_id: str, content: Content, alias: str) -> dict[str, Any]:
    """Return the document without its ``export`` part, reading the session under a row lock."""
    with transaction.atomic(using=alias):
        # Writers lock the row before they write checks or changes.
        rows = WorkflowSession.objects.using(alias).select_for_update()
        reviews = Review.objects.filter(session=OuterRef("pk"))
        rows = rows.annotate(has_decisions=has_decisions(), has_review=Exists(reviews))
        if not content.sensitive:
            rows = rows.defer(*_SENSITIVE_FIELDS)
        session = rows.get(pk=session_id)
        checks, left_out = _checks(session, content)
        history, more_left_out = _history(session, content)
        decided: list[dict[str, Any]] = []
        if content.history and session.has_decisions:  # type: ignore[attr-defined] # annotated above
            decided, without = decisions(session, sensitive=content.sensitive, as_text=_text)
            more_left_out += without
        review, reviews_left_out = _review(session, content)
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "about": ABOUT,
        "session": _values(session, _SESSION_FIELDS),
        "copy": _values(session, _COPY_FIELDS),
        "compliance_policies": session.compliance_policies,
        "policy_assurance": session.policy_assurance,
        "checks": checks,
        "history": history,
        "decisions": decided,
        "review": review,
        "timeline": _timeline(session, checks, history),
        "left_out": [*left_out, *more_left_out, *reviews_left_out],
    }
    if content.sensitive:
        document |= {"tasks": session.tasks, "answer_as_received": session.raw}
    return document


def _checks(
    session: WorkflowSession, content: Content
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = session.checks.all() if content.sensitive else session.checks.defer("result", "raw")
    kept: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    if not content.sensitive:
        left_out.append({"what": "sensitive", "why": "permission"})
    size = cut = 0
    in_order = keyset.keys_of(RelatedCheck, ["position", "id"])
    read = chain.from_iterable(keyset.walk(rows, in_order, size=CHECKS_AT_ONCE))
    for check in islice(read, CHECKS_KEPT):
        shown = _values(check, _CHECK_FIELDS)
        if content.sensitive:
            shown["reasons"] = _reasons(check)
            size += len(canonical(check.result)) + len(canonical(check.raw))
            if size <= RESULT_BYTES_KEPT:
                shown |= {"result": check.result, "answer_as_received": check.raw}
            else:
                cut += 1
        kept.append(shown)
    if cut:
        left_out.append({"what": "check_results", "why": "size", "count": cut})
    if len(kept) == CHECKS_KEPT and (more := session.checks.count() - len(kept)) > 0:
        left_out.append({"what": "checks", "why": "size", "count": more})
    return kept, left_out


def _reasons(check: RelatedCheck) -> list[str]:
    """Return why a check is not clear, in English like the rest of the document."""
    with translation.override("en"):
        texts = reasons(check.type, check.outcome, check.result, status=check.status)
        return [str(reason) for reason in texts]


def _history(
    session: WorkflowSession, content: Content
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if not content.history:
        return [], [{"what": "history", "why": "permission"}]
    # Keep the newest changes, in the order in which they were observed.
    rows = list(session.changes.order_by("-observed_at", "-pk")[: CHANGES_KEPT + 1])
    kept = [_values(change, _CHANGE_FIELDS) for change in reversed(rows[:CHANGES_KEPT])]
    if len(rows) <= CHANGES_KEPT:
        return kept, []
    more = session.changes.count() - len(kept)
    return kept, [{"what": "history", "why": "size", "count": more}]


def _review(
    session: WorkflowSession, content: Content
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    if not session.has_review:  # type: ignore[attr-defined] # annotated where it is read
        return None, []
    if not content.reviews:
        return None, [{"what": "review", "why": "permission"}]
    return review_of(session, _values)


def _timeline(
    session: WorkflowSession, checks: list[dict[str, Any]], history: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the events in order, oldest first, each with the source of its time."""
    events = [
        {"at": _text(when), "what": what, "by": by}
        for when, what, by in (
            (session.created_at, "session_created", "vendor"),
            (session.completed_at, "session_completed", "vendor"),
            (session.updated_at, "session_updated", "vendor"),
            (session.first_seen_at, "first_stored", "copy"),
            (session.fetched_at, "last_fetched", "copy"),
            (session.missing_since, "missing_upstream", "copy"),
        )
    ]
    for check in checks:
        about = {key: check[key] for key in ("check_id", "type", "status", "outcome")}
        events.append({"at": check["created_at"], "what": "check_created", "by": "vendor"} | about)
        events.append({"at": check["updated_at"], "what": "check_updated", "by": "vendor"} | about)
    for change in history:
        about = {key: change[key] for key in ("check_id", "field", "old", "new")}
        is_vendors = bool(change["changed_at"])
        at = change["changed_at"] or change["observed_at"]
        events.append(
            {"at": at, "what": "change", "by": "vendor" if is_vendors else "copy"} | about
        )
    return sorted((event for event in events if event["at"]), key=lambda event: str(event["at"]))


def _values(row: models.Model, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: _text(value) if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _text(when: datetime | None) -> str | None:
    """Return a time as text that sorts chronologically."""
    if when is None:
        return None
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _stem(session_id: str, when: datetime, sha256: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", session_id)[:64]
    return f"evidence-{safe}-{when.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256[:8]}"


def _save(record: SessionEvidence, account: str, alias: str) -> None:
    with transaction.atomic(using=alias):
        tombstones.lock_shared(account, alias)
        # The person may have been erased since the session was read.
        if tombstones.find(account, sessions=[record.session_id]):
            record.session_id = ""
        record.save(using=alias, force_insert=True)
