"""The filtered list as CSV or XLSX, written row by row."""

from __future__ import annotations

import csv
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from typing import Any, Final

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.http import (
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.utils import timezone, translation

from complycube_sessions.admin.actions import log
from complycube_sessions.admin.base import ReadOnlyAdmin, allowed, tells_database_faults
from complycube_sessions.admin.check_reasons import (
    REASONS_SHOWN,
    RESULTS_READ,
    reasons_of,
    results_of,
)
from complycube_sessions.admin.paging import COUNTED
from complycube_sessions.admin.review_list import attach_reviews, may_see
from complycube_sessions.admin.streaming import streamed, streamed_file
from complycube_sessions.db import keyset
from complycube_sessions.findings.meanings import check_meaning
from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.reviews.records import name_of

CHUNK: Final = 1_000
LINES_AT_ONCE: Final = 100
ROWS_PER_SHEET: Final = 1_000_000
CELL_LENGTH: Final = 32_000
BYTE_ORDER_MARK: Final = "\ufeff"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS: Final = (
    "id",
    "account",
    "environment",
    "client_id",
    "entity_name",
    "status",
    "outcome",
    "needs_review",
    "workflow_template_id",
    "workflow_template_name",
    "workflow_version",
    "created_at",
    "completed_at",
    "updated_at",
    "fetched_at",
    "missing_since",
)
REVIEW_COLUMNS: Final = (
    *("review_state", "review_decision", "review_reason", "review_opened_at", "review_due_at"),
    *("review_assignee", "review_decided_at", "review_decided_by", "review_confirmed_at"),
    *("review_confirmed_by", "review_notes"),
)
# The signs that begin a formula, and every character that Unicode says is one of them in another form.
_SIGNS: Final = re.compile(
    "[-=+@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\u2a75\u2a76\ufb29"
    "\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
)
# Where a spreadsheet may begin another cell, by the list separator of its language, quoted or not.
_SEPARATORS: Final = frozenset(";,|\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029")
_LINE_STARTS: Final = ("\t", "\r", "\n")
# They print nothing, though Python's `isprintable` says so.
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# What XML 1.0 has no character for.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xlsx_is_there() -> bool:
    """Return whether the extra ``xlsx`` is installed."""
    return find_spec("openpyxl") is not None


def neutral(value: object) -> str:
    """Return a value as text of which no spreadsheet takes a part for a formula, wherever it splits it."""
    text = "" if value is None else str(value)
    found = [_start_of_cell(text, sign.start()) for sign in _SIGNS.finditer(text)]
    starts = {start for start in found if start is not None}
    if text.startswith(_LINE_STARTS):
        starts.add(0)
    for start in sorted(starts, reverse=True):
        text = f"{text[:start]}'{text[start:]}"
    return text


def _start_of_cell(text: str, place: int) -> int | None:
    """Return where a cell would begin of which the character is the first that is seen, if it may be one."""
    while place and text[place - 1] not in _SEPARATORS:
        if not _is_unseen(text[place - 1]):
            return None
        place -= 1
    return place


def _is_unseen(char: str) -> bool:
    """Return whether a spreadsheet may pass over a character: blanks, quotation marks, what prints nothing."""
    return (
        char in _BLANK_LETTERS
        or char == '"'
        or char.isspace()
        or not char.isprintable()
        or unicodedata.category(char).startswith("M")
    )


def export_rows(
    sessions: QuerySet[WorkflowSession],
    keys: Sequence[keyset.Key],
    *,
    sensitive: bool = False,
    with_reviews: bool = False,
) -> Iterator[list[str]]:
    """
    Yield the heading and one row a session, every cell neutralised.

    The sessions are read in short queries, each from where the one before it ended: no driver holds all
    of them, and no transaction stays open for as long as somebody takes to receive them.

    Args:
        sessions: Those to export.
        keys: Their order.
        sensitive: Whether the file tells why checks are not clear, which it does in English.
        with_reviews: Whether it tells where the review of each session stands, with its notes.
    """
    yield [
        *COLUMNS,
        "checks",
        *(["reasons"] if sensitive else []),
        *(REVIEW_COLUMNS if with_reviews else ()),
    ]
    checks_told = RelatedCheck.objects.only("session_id", "type", "status", "outcome")
    in_order = Prefetch("checks", checks_told.order_by("position", "id"))
    rows = sessions.only(*COLUMNS).prefetch_related(in_order)
    for page in _chunks(rows, keys, with_reviews):
        why = _reasons_of_page(page) if sensitive else {}
        for session in page:
            cells = [_cell(getattr(session, column)) for column in COLUMNS]
            reasons = ["; ".join(why.get(session.pk, []))] if sensitive else []
            reviewed = _review_cells(session) if with_reviews else []
            yield [neutral(cell) for cell in [*cells, _checks_cell(session), *reasons, *reviewed]]


def _checks_cell(session: WorkflowSession) -> str:
    return "; ".join(
        f"{check.type or '?'}: {check.outcome or check.status or '?'}"
        for check in session.checks.all()
    )


def _reasons_of_page(page: list[WorkflowSession]) -> dict[str, list[str]]:
    return _reasons(check for session in page for check in session.checks.all())


def _reasons(checks: Iterable[RelatedCheck]) -> dict[str, list[str]]:
    """Return why the checks of each session are not clear, reading a bounded number of results at a time."""
    found: dict[str, list[str]] = {}
    is_open = (check for check in checks if not check_meaning(check.outcome, check.status).is_clear)
    while batch := list(islice(is_open, RESULTS_READ)):
        results = results_of(RelatedCheck.objects.all(), [check.pk for check in batch])
        with translation.override("en"):
            for check in batch:
                text = " | ".join(str(one) for one in reasons_of(check, results)[:REASONS_SHOWN])
                found.setdefault(check.session_id, []).append(f"{check.type or '?'}: {text}")
    return found


def _chunks(
    rows: QuerySet[WorkflowSession], keys: Sequence[keyset.Key], with_reviews: bool
) -> Iterator[list[WorkflowSession]]:
    """Yield the sessions of an export, each with its review where that is asked for."""
    for chunk in keyset.walk(rows, keys, size=CHUNK):
        if with_reviews:
            attach_reviews(chunk, rows.db)
            reviews = [s.review for s in chunk if "review" in s._state.fields_cache]
            prefetch_related_objects(reviews, "notes")
        yield chunk


def _review_cells(session: WorkflowSession) -> list[str]:
    review = session._state.fields_cache.get("review")
    if review is None:
        return [""] * len(REVIEW_COLUMNS)
    people = (review.assignee, review.decided_by, review.confirmed_by)
    assignee, decider, confirmer = (name_of(person) if person else "" for person in people)
    notes = "\n".join(
        f"{_cell(note.created_at)} {note.author_name}: {note.text}" for note in review.notes.all()
    )
    return [
        *(review.state, review.decision, review.reason),
        *(_cell(review.opened_at), _cell(review.due_at), assignee),
        *(_cell(review.decided_at), decider, _cell(review.confirmed_at), confirmer, notes),
    ]


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


class _Line:
    """Where ``csv`` writes a line that is sent at once."""

    def write(self, line: str) -> str:
        return line


def csv_response(request: HttpRequest, rows: Iterator[list[str]], name: str) -> HttpResponseBase:
    """Return rows as CSV that is made while it is sent."""
    response = streamed(request, csv_pieces(rows), "text/csv; charset=utf-8", reads_database=True)
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def csv_pieces(rows: Iterator[list[str]]) -> Iterator[bytes]:
    """Yield the heading, which costs no query, and then some lines at a time."""
    # All of them: an application that splits at another separator than ours keeps to the quotes.
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    lines: Iterator[str] = (writer.writerow(row) for row in rows)
    # Without the mark Excel takes UTF-8 for the code page of its language.
    yield f"{BYTE_ORDER_MARK}{next(lines)}".encode()
    while some := "".join(islice(lines, LINES_AT_ONCE)):
        yield some.encode()


def xlsx_response(request: HttpRequest, rows: Iterable[list[str]], name: str) -> HttpResponseBase:
    """Return rows as a workbook that is built in a temporary file, a sheet a million rows."""
    from openpyxl import Workbook  # an optional extra

    book = Workbook(write_only=True)
    for number, row in enumerate(rows):
        if number % ROWS_PER_SHEET == 0:
            sheet = book.create_sheet(f"sessions {number // ROWS_PER_SHEET + 1}")
        sheet.append([_in_xml(cell) for cell in row])
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    book.save(file)
    file.seek(0)
    return streamed_file(request, file, f"{name}.xlsx", XLSX_TYPE)


def _in_xml(text: str) -> str:
    """Return text that a workbook can hold: as XML, and not longer than a cell, counted in UTF-16."""
    shown = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text[:CELL_LENGTH])
    return shown.encode("utf-16-le")[: 2 * CELL_LENGTH].decode("utf-16-le", "ignore")


def may_export_list(request: HttpRequest) -> bool:
    """Return whether the user may; a mixin of another package may have replaced the method of the page."""
    return allowed(request, "export_workflowsession")


@tells_database_faults
def export_view(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponseBase:
    """Send the sessions that the list shows at this address, on all of its pages."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not (may_export_list(request) and page.has_view_permission(request)):
        raise PermissionDenied
    try:
        changelist: Any = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(page.url("changelist"))
    wants_xlsx = request.POST.get("format") == "xlsx" and xlsx_is_there()
    # Of a search only that there was one: what was typed may be a name.
    filters = sorted(key for key in changelist.params if key != SEARCH_VAR)
    count = f"{'more than ' * changelist.is_bounded}{min(changelist.result_count, COUNTED)}"
    log(
        request,
        f"Exported {count} {'session' if count == '1' else 'sessions'} as {'XLSX' if wants_xlsx else 'CSV'} "
        f"(filters: {', '.join(filters) or 'none'}; search: {'yes' if changelist.query else 'no'}).",
    )
    name = f"sessions-{timezone.localtime():%Y-%m-%d-%H%M}"
    rows = export_rows(
        changelist.queryset,
        changelist.keys,
        sensitive=page.has_sensitive_permission(request),
        with_reviews=may_see(request),
    )
    make = xlsx_response if wants_xlsx else csv_response
    return make(request, rows, name)
