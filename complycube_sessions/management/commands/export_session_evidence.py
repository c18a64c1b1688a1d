from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from complycube_sessions.db.connections import write_alias
from complycube_sessions.evidence.build import Content, Evidence, export_evidence
from complycube_sessions.models import WorkflowSession

COULD_NOT_RUN = 2
ONLY_MINE = 0o600


class Command(BaseCommand):
    help = (
        "Write the evidence of a stored session: a JSON file, whose SHA-256 is kept in the database, and "
        "an HTML file that shows it. No request is sent to ComplyCube."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", metavar="ID", help="the session's id")
        parser.add_argument(
            "--output", type=Path, default=Path(), metavar="DIR", help="an existing folder"
        )
        parser.add_argument(
            "--account", help="refuse a session of another account of COMPLYCUBE_ACCOUNTS"
        )
        parser.add_argument(
            "--without-sensitive",
            action="store_true",
            help="leave out the results of the checks, the tasks and the API response",
        )

    def handle(
        self, *, output: Path, account: str | None, without_sensitive: bool, **options: Any
    ) -> None:
        session_id: str = options["id"]
        if not output.is_dir() or not os.access(output, os.W_OK):
            raise _refused(f"{output} is not a writable folder.")
        rows = WorkflowSession.objects.using(write_alias()).filter(pk=session_id)
        owner = rows.values_list("account", flat=True).first()
        if owner is None:
            raise _refused(f"No session {session_id!a} is stored here.")
        if account is not None and account != owner:
            raise _refused(f"Session {session_id!a} belongs to the account {owner!a}.")
        try:
            evidence = export_evidence(session_id, content=Content(sensitive=not without_sensitive))
        except WorkflowSession.DoesNotExist:
            raise _refused(f"No session {session_id!a} is stored here.") from None
        self._write(evidence, output)

    def _write(self, evidence: Evidence, output: Path) -> None:
        for name, content in evidence.files.items():
            path = output / name
            try:
                # Never overwrite a file.
                with open(path, "xb", opener=_for_owner_alone) as file:
                    file.write(content)
            except OSError as error:
                raise _refused(f"{path} could not be written ({error.strerror}).") from None
            self.stdout.write(str(path))
        self.stdout.write(f"SHA-256 of the JSON file: {evidence.record.sha256}")


def _for_owner_alone(path: str, flags: int) -> int:
    return os.open(path, flags, ONLY_MINE)


def _refused(reason: str) -> CommandError:
    return CommandError(reason, returncode=COULD_NOT_RUN)
