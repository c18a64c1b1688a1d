"""Verifying that an evidence file is unchanged since its export."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.db import models

from complycube_sessions.db.connections import write_alias
from complycube_sessions.evidence.build import FORMAT
from complycube_sessions.models import SessionEvidence

MAX_FILE_BYTES: Final = 128 * 1024 * 1024
MAX_FILES: Final = 10
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,  # an unknown compression method
    RuntimeError,  # a password-protected archive
    EOFError,
    ValueError,
    OSError,
)


class EvidenceUnreadableError(Exception):
    """The file cannot be read as evidence: it is too large, or a broken archive."""


@dataclass(frozen=True, slots=True)
class Verification:
    """
    What the database knows about a file.

    ``record`` is the export that the unchanged file came from, or None if it was changed or exported
    elsewhere. ``claimed`` is the session that the file names, and ``known`` the number of its exports.
    """

    sha256: str
    record: SessionEvidence | None
    is_page: bool = False
    claimed: str = ""
    known: int = 0


def verify_evidence(data: bytes) -> list[Verification]:
    """
    Verify a JSON file, an HTML file or an archive of both; return the result for each file.

    Raises:
        EvidenceUnreadableError: It is too large, or an archive that cannot be opened.
    """
    return [_verify(content) for content in _contents(data)]


def is_as_exported(found: Iterable[Verification]) -> bool:
    """Return whether all files are unchanged and come from the same export."""
    records = [verification.record for verification in found]
    return bool(records) and None not in records and len({r.pk for r in records if r}) == 1


def _contents(data: bytes) -> Iterator[bytes]:
    if len(data) > MAX_FILE_BYTES:
        raise EvidenceUnreadableError(f"It is larger than {MAX_FILE_BYTES} bytes.")
    if not data.startswith(b"PK"):
        yield data
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if not 0 < len(entries) <= MAX_FILES:
                raise EvidenceUnreadableError(f"The archive holds {len(entries)} files.")
            for entry in entries:
                with archive.open(entry) as file:
                    content = file.read(MAX_FILE_BYTES + 1)
                if len(content) > MAX_FILE_BYTES:
                    raise EvidenceUnreadableError(
                        f"A file of the archive is larger than {MAX_FILE_BYTES} bytes."
                    )
                yield content
    except _UNREADABLE as error:
        name = type(error).__name__
        raise EvidenceUnreadableError(f"The archive cannot be opened ({name}).") from None


def _verify(content: bytes) -> Verification:
    sha256 = hashlib.sha256(content).hexdigest()
    rows = SessionEvidence.objects.using(write_alias())
    record = rows.filter(models.Q(sha256=sha256) | models.Q(page_sha256=sha256)).first()
    if record is not None:
        return Verification(sha256, record, is_page=record.page_sha256 == sha256)
    claimed = _claimed_session(content)
    known = rows.filter(session_id=claimed).count() if claimed else 0
    return Verification(sha256, None, claimed=claimed, known=known)


def _claimed_session(content: bytes) -> str:
    """Return the session id in a changed or foreign file, if it is JSON of our format, otherwise ``""``."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return ""
    session = document.get("session")
    session_id = session.get("id") if isinstance(session, dict) else None
    if not isinstance(session_id, str) or not re.fullmatch(r"[\x21-\x7e]{1,128}", session_id):
        return ""
    return session_id
