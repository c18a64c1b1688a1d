"""A report of a session, client or check as a small PDF of plain lines, in place of the vendor's designed one."""

from __future__ import annotations

from typing import Any, Final

LINES_PER_PAGE: Final = 48
LINE_LENGTH: Final = 90


def report_pdf(
    subject: dict[str, Any], checks: list[dict[str, Any]], what: str = "workflow session"
) -> bytes:
    """
    Return a report.

    Args:
        subject: The session, client or check, as the API shows it.
        checks: Of the subject.
        what: The kind of thing that it is about, for the heading.
    """
    lines = [
        f"ComplyCube sandbox: {what} report",
        "All persons and results are invented.",
        "",
        *[
            f"{label}: {subject[key]}"
            for label, key in (
                ("Name", "entityName"),
                ("Id", "id"),
                ("Client", "clientId"),
                ("Workflow", "workflowTemplateName"),
                ("Status", "status"),
                ("Outcome", "outcome"),
                ("Created", "createdAt"),
                ("Completed", "completedAt"),
            )
            if key in subject
        ],
        "",
        "Checks",
    ]
    for check in checks:
        outcome = check.get("result", {}).get("outcome", "")
        lines.append(f"{check['type']}  {check['status']}  {outcome}  {check['id']}")
    return _pdf(lines)


def _pdf(lines: list[str]) -> bytes:
    """Return lines of text as pages of A4, in a font that every reader has."""
    starts = range(0, len(lines), LINES_PER_PAGE)
    pages = [lines[start : start + LINES_PER_PAGE] for start in starts]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>".encode()
        )
        shown = b"".join(b"(" + _text(line) + b") Tj T*\n" for line in page)
        stream = b"BT /F1 11 Tf 15 TL 56 780 Td\n" + shown + b"ET"
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
    return _file(objects)


def _text(line: str) -> bytes:
    """Return a line as the inside of a PDF string; the font has no letters beyond Western Europe's."""
    raw = line[:LINE_LENGTH].encode("cp1252", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: list[bytes]) -> bytes:
    content = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    xref = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    content += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, xref)
    return bytes(content)
