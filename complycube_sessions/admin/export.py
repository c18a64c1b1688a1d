"""The filtered list as CSV or XLSX, written row by row."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import chain
from typing import Any, Final

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils import timezone

from complycube_sessions import keyset
from complycube_sessions.admin.actions import log
from complycube_sessions.admin.base import ReadOnlyAdmin, tells_database_faults
from complycube_sessions.admin.paging import COUNTED
from complycube_sessions.models import RelatedCheck, WorkflowSession

CHUNK: Final = 1_000
ROWS_PER_SHEET: Final = 1_000_000
CELL_LENGTH: Final = 32_000
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
# The last two are the full-width forms, which some spreadsheets read as the plain ones.
_FORMULA_STARTS: Final = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


def xlsx_is_there() -> bool:
    """Return whether the extra ``xlsx`` is installed."""
    return find_spec("openpyxl") is not None


def neutral(value: object) -> str:
    """Return a value as the text of a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    # Blanks and invisible characters before the sign do not stop every spreadsheet.
    seen = "".join(char for char in text if char.isprintable()).lstrip()
    if text[:1] in {"\t", "\r", "\n"} or seen.startswith(_FORMULA_STARTS):
        return f"'{text}"
    return text


def export_rows(
    sessions: QuerySet[WorkflowSession], keys: Sequence[keyset.Key]
) -> Iterator[list[str]]:
    """
    Yield the heading and one row a session, every cell neutralised.

    The sessions are read in short queries, each from where the one before it ended: no driver holds all
    of them, and no transaction stays open for as long as somebody takes to receive them.
    """
    yield [*COLUMNS, "checks"]
    checks_told = RelatedCheck.objects.only("session_id", "type", "status", "outcome")
    in_order = Prefetch("checks", checks_told.order_by("position", "id"))
    rows = sessions.only(*COLUMNS).prefetch_related(in_order)
    for session in chain.from_iterable(keyset.walk(rows, keys, size=CHUNK)):
        checks = "; ".join(
            f"{check.type or '?'}: {check.outcome or check.status or '?'}"
            for check in session.checks.all()
        )
        cells = [_cell(getattr(session, column)) for column in COLUMNS]
        yield [neutral(cell) for cell in [*cells, checks]]


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


def csv_response(rows: Iterable[list[str]], name: str) -> HttpResponseBase:
    """Return rows as CSV that is made while it is sent."""
    writer = csv.writer(_Line())
    lines = (writer.writerow(row) for row in rows)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def xlsx_response(rows: Iterable[list[str]], name: str) -> HttpResponseBase:
    """Return rows as a workbook that is built in a temporary file, a sheet a million rows."""
    from openpyxl import Workbook  # an optional extra
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    for number, row in enumerate(rows):
        if number % ROWS_PER_SHEET == 0:
            sheet = book.create_sheet(f"sessions {number // ROWS_PER_SHEET + 1}")
        sheet.append(
            [
                ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", cell)[:CELL_LENGTH]
                for cell in row
            ]
        )
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    book.save(file)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx", content_type=XLSX_TYPE)


class ExportActions(ReadOnlyAdmin):
    """The part of the session admin that gives the filtered list away as a file."""

    @tells_database_faults
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Send the sessions that the list shows at this address, on all of its pages."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_export_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        try:
            changelist: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(self.url("changelist"))
        wants_xlsx = request.POST.get("format") == "xlsx" and xlsx_is_there()
        # Of a search only that there was one: what was typed may be a name.
        filters = sorted(key for key in changelist.params if key != SEARCH_VAR)
        count = f"{'more than ' * changelist.is_bounded}{min(changelist.result_count, COUNTED)}"
        log(
            request,
            f"Exported {count} sessions as {'XLSX' if wants_xlsx else 'CSV'} "
            f"(filters: {', '.join(filters) or 'none'}; search: {'yes' if changelist.query else 'no'}).",
        )
        name = f"sessions-{timezone.localtime():%Y-%m-%d-%H%M}"
        rows = export_rows(changelist.queryset, changelist.keys)
        return xlsx_response(rows, name) if wants_xlsx else csv_response(rows, name)
