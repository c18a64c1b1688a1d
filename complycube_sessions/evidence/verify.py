"""Telling whether a file of evidence is as it was exported."""

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
    NotImplementedError,  # a compression that this Python does not know
    RuntimeError,  # a password
    EOFError,
    ValueError,
    OSError,
)


class EvidenceUnreadableError(Exception):
    """The file cannot be read as evidence at all: too large, or a broken archive."""


@dataclass(frozen=True, slots=True)
class Verification:
    """
    What the database knows of a file.

    ``record`` is the export that the file came from as it is, or None when it was changed or is not
    from here. ``claimed`` is the session that the file says it is about, and ``known`` are the exports
    of that session.
    """

    sha256: str
    record: SessionEvidence | None
    is_page: bool = False
    claimed: str = ""
    known: int = 0


def verify_evidence(data: bytes) -> list[Verification]:
    """
    Return what is known of each file in the bytes of a JSON file, an HTML file or an archive of both.

    Raises:
        EvidenceUnreadableError: It is larger than any evidence, or an archive that cannot be opened.
    """
    return [_verify(content) for content in _contents(data)]


def is_as_exported(found: Iterable[Verification]) -> bool:
    """Return whether the files are one export, each as it was, and nothing besides."""
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
    """Return the id that a changed or foreign file names as its session, if it is JSON of our format."""
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
