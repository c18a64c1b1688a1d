from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from complycube_sessions.exceptions import ComplyCubeConfigurationError, ComplyCubeProtectedError
from complycube_sessions.services.privacy import Removed, prune

REFUSED, BAD_ARGUMENTS = 1, 2


class Command(BaseCommand):
    help = "Remove what is older than COMPLYCUBE_RETENTION allows. It can be stopped and run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only tell what would be removed"
        )
        parser.add_argument(
            "--override",
            type=_text,
            metavar="REASON",
            help="prune in spite of legal holds and the minimum retention; the reason is kept",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object, no more")

    def handle(self, *, dry_run: bool, override: str | None, **options: Any) -> None:
        try:
            removed = prune(override=override or "", dry_run=dry_run)
        except ComplyCubeConfigurationError as error:
            raise CommandError(str(error), returncode=BAD_ARGUMENTS) from None
        except ComplyCubeProtectedError as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        self._print(removed, dry_run=dry_run, override=bool(override), as_json=options["json"])
        if removed.protected_count and not override:
            verb = "would be left" if dry_run else "were left"
            raise CommandError(
                f"{removed.protected_count} protected sessions {verb}.", returncode=REFUSED
            )

    def _print(self, removed: Removed, *, dry_run: bool, override: bool, as_json: bool) -> None:
        if as_json:
            said = {
                "dry_run": dry_run,
                "removed": dict(removed.rows),
                "protected": removed.protected,
                "protected_count": removed.protected_count,
                "overridden": override,
            }
            self.stdout.write(json.dumps(said))
            return
        for session_id, why in removed.protected.items():
            self.stderr.write(f"{session_id}: {why}")
        counts = ", ".join(f"{count} {name}" for name, count in removed.rows.items()) or "no rows"
        prefix = "Dry run, nothing removed; would be: " if dry_run else "Removed: "
        self.stdout.write(f"{prefix}{counts}.")


def _text(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("it must say why")
    return value.strip()
