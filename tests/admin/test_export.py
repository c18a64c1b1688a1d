from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.test import AsyncClient, Client
from django.urls import reverse

from complycube_sessions.admin import export, streaming
from tests.admin.builders import make_check, make_session, make_staff
from tests.admin.conftest import SENSITIVE, VIEWS, SignIn
from tests.examples import parameters

ADDRESS = "admin:complycube_sessions_workflowsession_export"
FORMULAS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\u200b=1", "\n=1", "＝1", '"=1'),
    *(
        f"{sign}1"
        for sign in "\u207a\u207b\u207c\u208a\u2212\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff20"
    ),
    *(f"{unseen}=1" for unseen in "\u00a0\u034f\u180e\u2800\u3164\ufe0f\ufeff\u2066"),
)
SEPARATORS = ";,|\t\n\r\v\f\x1e\x85\u2028\u2029"


@pytest.fixture
def lead(sign_in: SignIn) -> Client:
    return sign_in(*VIEWS, "export_workflowsession")


def exported(client: Client, query: str = "", file_format: str = "csv") -> Any:
    response = client.post(f"{reverse(ADDRESS)}?{query}", {"format": file_format})
    assert response.status_code == 200
    assert response.streaming
    return response


def csv_rows(client: Client, query: str = "") -> list[dict[str, str]]:
    text = exported(client, query).getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def xlsx_rows(client: Client, query: str = "") -> list[tuple[Any, ...]]:
    openpyxl = pytest.importorskip("openpyxl", reason="the extra xlsx is not installed")
    file = io.BytesIO(exported(client, query, "xlsx").getvalue())
    return list(openpyxl.load_workbook(file).active.iter_rows())


def test_csv__all_of_the_filtered_list(lead: Client) -> None:
    """The file has every session that the filters let through, on all pages, with its checks."""
    for _ in range(120):
        make_session(outcome="attention")
    make_session(outcome="clear")
    named = make_session(outcome="attention", entity_name="Ñandú, Łukasz")
    make_check(named, outcome="", status="failed")
    rows = csv_rows(lead, "outcome=attention")
    assert len(rows) == 121
    row = next(row for row in rows if row["id"] == named.pk)
    assert row["entity_name"] == "Ñandú, Łukasz"
    assert row["created_at"].startswith("2026-11-01T12:")
    assert row["checks"] == "document_check: failed"


def test_csv__is_streamed_with_few_queries(
    lead: Client, django_assert_max_num_queries: Any
) -> None:
    """A file of a hundred rows takes no more queries than a page, and loads no large column."""
    for _ in range(100):
        make_check(make_session())
    with django_assert_max_num_queries(12) as queries:
        assert len(csv_rows(lead)) == 100
    for query in queries.captured_queries:
        assert '"raw"' not in query["sql"]
        assert '"result"' not in query["sql"]


def test_csv__excel_reads_its_accents(lead: Client) -> None:
    """The file begins with the mark by which Excel knows UTF-8."""
    make_session(entity_name="Ñandú")
    assert exported(lead).getvalue().startswith(b"\xef\xbb\xbf")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_export__under_asgi(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An asynchronous server gets the same file in pieces, and Django has nothing to warn of."""
    monkeypatch.setattr(export, "LINES_AT_ONCE", 2)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 1_000)
    for number in range(5):
        make_session(entity_name=f"Person {number} Ñandú")
    user = make_staff(*VIEWS, "export_workflowsession")

    async def ask() -> tuple[list[bytes], Any]:
        client = AsyncClient()
        await client.aforce_login(user)
        response: Any = await client.post(reverse(ADDRESS), {"format": file_format})
        assert response.is_async
        pieces = [piece async for piece in response]
        return pieces, response

    pieces, response = async_to_sync(ask)()
    assert len(pieces) > 3
    assert f'.{file_format}"' in response["Content-Disposition"]
    if file_format == "csv":
        client = Client()
        client.force_login(user)
        assert b"".join(pieces) == exported(client).getvalue()
    else:
        book = pytest.importorskip("openpyxl").load_workbook(io.BytesIO(b"".join(pieces)))
        assert len(list(book.active.iter_rows())) == 6
        assert int(response["Content-Length"]) == sum(map(len, pieces))


EXPIRED = {"breakdown": {"contentAnalysis": {"expiry": "attention", "issuer": "clear"}}}


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_reasons__for_one_who_may_see_results(
    lead: Client, sign_in: SignIn, file_format: str
) -> None:
    """Both files tell why checks are not clear, to those alone who may see results."""
    session = make_session(outcome="attention")
    make_check(session, outcome="attention", result=EXPIRED)
    make_check(session, type="identity_check", status="failed", outcome="")
    make_check(session, type="eid_check")
    may_see = sign_in(*VIEWS, "export_workflowsession", SENSITIVE)
    files = {}
    for name, client in (("may", may_see), ("may not", lead)):
        if file_format == "csv":
            (files[name],) = csv_rows(client)
        else:
            heading, row = xlsx_rows(client, "")
            files[name] = {h.value: cell.value for h, cell in zip(heading, row, strict=True)}
    assert files["may"]["reasons"] == (
        "document_check: Document has expired; "
        "identity_check: The check failed to run. It has no outcome, and none will come."
    )
    assert "reasons" not in files["may not"]
    assert "expired" not in str(files["may not"])


def test_reasons__results_are_read_a_few_at_a_time(
    sign_in: SignIn, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many checks no more results are in memory than the bound, and of clear ones none is read."""
    monkeypatch.setattr(export, "RESULTS_READ", 10)
    for _ in range(25):
        session = make_session(outcome="attention")
        make_check(session, outcome="attention", result=EXPIRED)
        make_check(session)
    client = sign_in(*VIEWS, "export_workflowsession", SENSITIVE)
    with django_assert_max_num_queries(15) as queries:
        rows = csv_rows(client)
    assert [row["reasons"] for row in rows] == ["document_check: Document has expired"] * 25
    asked = [query["sql"] for query in queries.captured_queries]
    read = [sql for sql in asked if re.search('[`"]result[`"]', sql)]
    assert len(read) == 3
    assert all(sql.split(" IN (")[1].split(")")[0].count(",") < 10 for sql in read)


@pytest.mark.parametrize("name", parameters(FORMULAS, quick=FORMULAS[::4]))
def test_cells__no_formula(lead: Client, name: str) -> None:
    """A name that a spreadsheet would run is text in both formats."""
    make_session(entity_name=name, status=name, workflow_template_name=name)
    row = csv_rows(lead)[0]
    for column in ("entity_name", "status", "workflow_template_name"):
        assert row[column].startswith("'")
    cells = xlsx_rows(lead)[1]
    assert all(cell.data_type != "f" for cell in cells)
    assert str(cells[4].value).startswith("'")


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("between", ["", " ", "\u200b", '"', ' " '])
def test_cells__no_formula_after_a_separator(separator: str, between: str) -> None:
    """A part that a spreadsheet may split off begins with no sign, whatever stands before the sign."""
    text = f"Bob{separator}{between}=1+1{separator}x"
    assert export.neutral(text) == f"Bob{separator}'{between}=1+1{separator}x"


def test_csv__in_a_spreadsheet_with_another_separator(lead: Client) -> None:
    """Read with `;`, `|` or a tab between cells, as other languages have it, no cell is a formula."""
    make_session(entity_name='Bob;=1+1;x|"+2\t@3', workflow_template_name="A\n-4;＝5")
    text = exported(lead).getvalue().decode("utf-8-sig")
    assert all(line.startswith('"') for line in text.split("\r\n") if line)
    for separator in ";|\t,":
        cells = [
            cell
            for row in csv.reader(io.StringIO(text), delimiter=separator)
            for cell in [*row, *(part for field in row for part in re.split(r"[;|\t\n]", field))]
        ]
        assert not [cell for cell in cells if cell.lstrip(' "')[:1] in set("=+-@＝")]


def test_cells__plain_text_stays() -> None:
    """A name with a hyphen, a number or a quotation mark is not changed."""
    for text in ("Jean-Luc", "'t Hooft", "42", "a=b", "", "AML + Liveness", "a; b"):
        assert export.neutral(text) == text


@pytest.mark.parametrize("char", ["\x01", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_xlsx__text_that_no_workbook_takes(lead: Client, char: str) -> None:
    """What XML has no character for does not end the export, nor make a file that nothing opens."""
    make_session(entity_name=f"A{char}B", outcome=f"odd{char}")
    cells = [cell.value for cell in xlsx_rows(lead)[1]]
    assert "A\N{REPLACEMENT CHARACTER}B" in cells


def test_xlsx__all_that_xml_can_carry(lead: Client) -> None:
    """Characters at the edges of what XML can carry come through, and a cell is bounded in UTF-16."""
    edges = "\t\n\x20\x7f\x85\ud7ff\ue000\ufffd\U00010000\U0010ffff"
    make_session(entity_name=f"A{edges}B", status="\N{GRINNING FACE}" * 60)
    assert f"A{edges}B" in [cell.value for cell in xlsx_rows(lead)[1]]
    long = export._in_xml("\N{GRINNING FACE}" * 40_000)
    assert long == "\N{GRINNING FACE}" * 16_000


def test_xlsx__sheets_have_an_end(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than a sheet goes on in the next."""
    openpyxl = pytest.importorskip("openpyxl", reason="the extra xlsx is not installed")
    monkeypatch.setattr(export, "ROWS_PER_SHEET", 2)
    for _ in range(4):
        make_session()
    book = openpyxl.load_workbook(io.BytesIO(exported(lead, "", "xlsx").getvalue()))
    assert [len(list(sheet.iter_rows())) for sheet in book] == [2, 2, 1]


def test_xlsx__only_with_the_extra(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra there is no button, and who asks all the same gets CSV."""
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    address = reverse("admin:complycube_sessions_workflowsession_changelist")
    html = lead.get(address).content.decode()
    assert "Export as CSV" in html
    assert "XLSX" not in html
    assert exported(lead, "", "xlsx")["Content-Type"].startswith("text/csv")


def test_log__what_was_exported_but_nobody_s_name(lead: Client) -> None:
    """The log says how many sessions left and by which filters, not what was searched for."""
    make_session(entity_name="Ann Secret")
    csv_rows(lead, "q=secret&outcome=clear")
    entry = LogEntry.objects.get()
    assert entry.change_message == "Exported 1 session as CSV (filters: outcome; search: yes)."
    assert (entry.object_id, entry.object_repr) == (None, "Exported 1 session as CSV")


def test_wrong_filter__exports_nothing(lead: Client) -> None:
    """An address that the list refuses exports nothing."""
    make_session()
    response = lead.post(f"{reverse(ADDRESS)}?nonsense=1", {"format": "csv"})
    assert response.status_code == 400
    assert not LogEntry.objects.exists()
