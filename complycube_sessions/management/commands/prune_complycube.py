from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from complycube_sessions.db.connections import fault_of
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.privacy.pruning import prune
from complycube_sessions.privacy.removal import Removed
from complycube_sessions.wording import counted

REFUSED, COULD_NOT_RUN = 1, 2


class Command(BaseCommand):
    help = "Remove what is older than COMPLYCUBE_RETENTION allows. May be stopped and run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only show what would be removed"
        )
        parser.add_argument(
            "--override",
            type=_text,
            metavar="REASON",
            help="prune despite legal holds and the minimum retention; the reason is kept",
        )
        parser.add_argument("--json", action="store_true", help="print a single JSON object")

    def handle(self, *, dry_run: bool, override: str | None, **options: Any) -> None:
        try:
            removed = prune(override=override or "", dry_run=dry_run)
        except ComplyCubeConfigurationError as error:
            raise CommandError(str(error), returncode=COULD_NOT_RUN) from None
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(fault_of(error), returncode=COULD_NOT_RUN) from None
        self._print(removed, dry_run=dry_run, override=bool(override), as_json=options["json"])
        count = removed.left_count + (0 if override else removed.protected_count)
        if count:
            verb = "would be kept" if dry_run else "kept"
            raise CommandError(f"{counted(count, 'protected session')} {verb}.", returncode=REFUSED)

    def _print(self, removed: Removed, *, dry_run: bool, override: bool, as_json: bool) -> None:
        if as_json:
            summary = {
                "dry_run": dry_run,
                "removed": dict(removed.rows),
                "protected": removed.protected,
                "protected_count": removed.protected_count,
                "left": removed.left,
                "left_count": removed.left_count,
                "overridden": override,
            }
            self.stdout.write(json.dumps(summary))
            return
        for subject, why in (*removed.protected.items(), *removed.left.items()):
            self.stderr.write(f"{subject}: {why}")
        prefix = "Dry run, nothing removed; would be: " if dry_run else "Removed: "
        self.stdout.write(f"{prefix}{removed.counts()}.")


def _text(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("give a reason")
    return value.strip()
