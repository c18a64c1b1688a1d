from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from complycube_sessions.conf import account_names
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubeInvalidIdError,
    ComplyCubeProtectedError,
)
from complycube_sessions.services.privacy import Removed, erase_client, lift_erasure

REFUSED, BAD_ARGUMENTS = 1, 2


class Command(BaseCommand):
    help = "Remove a client from every table, and keep a hash so that nothing of the client comes back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "client_id", metavar="CLIENT_ID", help="as the ComplyCube portal shows it"
        )
        parser.add_argument("--account", default="default", help="a name of COMPLYCUBE_ACCOUNTS")
        parser.add_argument(
            "--dry-run", action="store_true", help="only tell what would be removed"
        )
        parser.add_argument("--reason", default="", help="why; it is kept, so name nobody")
        parser.add_argument(
            "--override",
            type=_text,
            metavar="REASON",
            help="erase in spite of a legal hold or the minimum retention; the reason is kept",
        )
        parser.add_argument(
            "--lift", action="store_true", help="end the erasure of a client who has returned"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object, no more")

    def handle(
        self,
        *,
        client_id: str,
        account: str,
        dry_run: bool,
        reason: str,
        override: str | None,
        lift: bool,
        **options: Any,
    ) -> None:
        if account not in account_names():
            raise CommandError(
                f"COMPLYCUBE_ACCOUNTS has no account {account!r} (known: "
                f"{', '.join(account_names()) or 'none'}).",
                returncode=BAD_ARGUMENTS,
            )
        if lift and (override or reason):
            raise CommandError(
                "Use --lift without --reason and --override.", returncode=BAD_ARGUMENTS
            )
        try:
            if lift:
                count = lift_erasure(client_id, account=account, dry_run=dry_run)
                self._print_lifted(count, dry_run=dry_run, as_json=options["json"])
                return
            removed = erase_client(
                client_id,
                account=account,
                reason=reason,
                override=override or "",
                dry_run=dry_run,
            )
        except (ComplyCubeInvalidIdError, ComplyCubeConfigurationError) as error:
            raise CommandError(str(error), returncode=BAD_ARGUMENTS) from None
        except ComplyCubeProtectedError as error:
            if options["json"]:
                self.stdout.write(json.dumps({"erased": False, "protected": error.reasons}))
            else:
                for session_id, why in error.reasons.items():
                    self.stderr.write(f"{session_id}: {why}")
            advice = " Use --override REASON to erase all the same." if error.reasons else ""
            raise CommandError(f"{error}{advice}", returncode=REFUSED) from None
        self._print(removed, dry_run=dry_run, as_json=options["json"])

    def _print(self, removed: Removed, *, dry_run: bool, as_json: bool) -> None:
        if as_json:
            said = {"erased": not dry_run, "dry_run": dry_run, "removed": dict(removed.rows)}
            self.stdout.write(json.dumps(said | {"overridden": removed.protected}))
            return
        prefix = "Dry run, nothing removed; would be: " if dry_run else "Erased. Removed: "
        self.stdout.write(f"{prefix}{counted(removed)}.")
        if not dry_run:
            self.stdout.write("A hash stays, so that nothing of this client is stored again.")

    def _print_lifted(self, count: int, *, dry_run: bool, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"lifted": count, "dry_run": dry_run}))
        elif not count:
            self.stdout.write("This client is not erased; nothing was done.")
        elif dry_run:
            self.stdout.write(f"Dry run, nothing done; would remove {count} hashes.")
        else:
            self.stdout.write(
                f"Lifted: {count} hashes removed. Run refresh_workflow_sessions --full to fetch what the "
                "API holds of the client."
            )


def counted(removed: Removed) -> str:
    """Return how many rows of which model, or that there were none."""
    return ", ".join(f"{count} {name}" for name, count in removed.rows.items()) or "no rows"


def _text(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("it must say why")
    return value.strip()
