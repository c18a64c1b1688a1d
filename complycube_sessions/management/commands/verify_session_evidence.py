from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from complycube_sessions.evidence.verify import (
    MAX_FILE_BYTES,
    EvidenceUnreadableError,
    Verification,
    is_as_exported,
    verify_evidence,
)
from complycube_sessions.models import SessionEvidence

CHANGED, UNREADABLE = 1, 2


class Command(BaseCommand):
    help = (
        "Tell whether an evidence file (the JSON, the HTML, or the archive of both) is as it was "
        "exported. Exit code 0: it is; 1: it was changed or exported elsewhere; 2: it cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *, file: Path, **options: Any) -> None:
        try:
            with file.open("rb") as opened:
                found = verify_evidence(opened.read(MAX_FILE_BYTES + 1))
        except OSError as error:
            raise CommandError(
                f"{file} cannot be read ({error.strerror}).", returncode=UNREADABLE
            ) from None
        except EvidenceUnreadableError as error:
            raise CommandError(f"{file} cannot be read. {error}", returncode=UNREADABLE) from None
        if not is_as_exported(found):
            raise CommandError(f"{file} is NOT as exported. {_why(found)}", returncode=CHANGED)
        record = found[0].record
        assert record is not None  # noqa: S101 - for the type checker
        self.stdout.write(f"{file} is as exported. {_description(record)}")


def _description(record: SessionEvidence) -> str:
    about = f"session {record.session_id}" if record.session_id else "a session that was erased"
    when = record.created_at.astimezone(UTC)
    return (
        f"It is evidence of {about}, exported {when:%Y-%m-%d %H:%M:%S} UTC by {_actor(record.actor)} "
        f"with version {record.app_version}; SHA-256 of the JSON file {record.sha256}."
    )


def _actor(actor: str) -> str:
    """Return who exported, with the name if the user account still exists."""
    kind, _, pk = actor.partition(":")
    if kind != "user":
        return "the command" if actor == "command" else actor
    users = get_user_model()._default_manager
    try:
        user = users.filter(pk=pk).first()
    except (ValueError, ValidationError):
        user = None
    return (
        f"{user.get_username()} ({actor})" if user else f"{actor}, an account that no longer exists"
    )


def _why(found: list[Verification]) -> str:
    """Return a sentence about the first file that is not as exported."""
    wrong = next((result for result in found if result.record is None), None)
    if wrong is None:
        return "Its files are from different exports."
    hashed = f"No export with its SHA-256 ({wrong.sha256}) is known in this database."
    if not wrong.claimed:
        return f"{hashed} It was changed, or was not exported here."
    if not wrong.known:
        return (
            f"{hashed} The file names session {wrong.claimed}, "
            "of which nothing was exported from this database."
        )
    times = "once" if wrong.known == 1 else f"{wrong.known} times"
    return (
        f"{hashed} Evidence of session {wrong.claimed} was exported here {times}, "
        "and this file has been changed since, or was made elsewhere."
    )
