from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from complycube_sessions.api.ids import printable_id
from complycube_sessions.db.connections import fault_of
from complycube_sessions.exceptions import (
    ComplyCubeClientNotFoundError,
    ComplyCubeConfigurationError,
    ComplyCubeInvalidIdError,
    ComplyCubeProtectedError,
)
from complycube_sessions.mirror.accounts import known_accounts
from complycube_sessions.privacy.erase import erase_client, lift_erasure
from complycube_sessions.privacy.removal import Removed
from complycube_sessions.wording import counted

REFUSED, COULD_NOT_RUN = 1, 2


class Command(BaseCommand):
    help = "Remove a client from every table, and keep keyed hashes so that nothing about the client comes back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "client_id",
            metavar="CLIENT_ID",
            help="as the ComplyCube portal shows it; with --lift also the id of one session",
        )
        parser.add_argument(
            "--account",
            metavar="NAME",
            help="only this account; by default every account that is configured or has rows",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only show what would be removed"
        )
        parser.add_argument(
            "--reason", default="", help="the reason; it is kept, so do not name anyone"
        )
        parser.add_argument(
            "--override",
            type=_text,
            metavar="REASON",
            help="erase despite a legal hold or the minimum retention; the reason is kept",
        )
        parser.add_argument(
            "--block-unknown",
            action="store_true",
            help="keep hashes even if nothing is stored about the client, so that nothing ever will be",
        )
        parser.add_argument(
            "--lift",
            action="store_true",
            help="lift the erasure of a client who has returned, or of one session",
        )
        parser.add_argument("--json", action="store_true", help="print a single JSON object")

    def handle(
        self, *, client_id: str, account: str | None, lift: bool, dry_run: bool, **options: Any
    ) -> None:
        as_json = options["json"]
        chosen: dict[str, Any] = {
            "reason": options["reason"],
            "override": options["override"] or "",
            "block_unknown": options["block_unknown"],
        }
        if lift and any(chosen.values()):
            raise CommandError(
                "Use --lift without --reason, --override and --block-unknown.",
                returncode=COULD_NOT_RUN,
            )
        try:
            _check_account(account)
            if lift:
                count = lift_erasure(client_id, account=account, dry_run=dry_run)
                self._print_lifted(count, dry_run=dry_run, as_json=as_json)
            else:
                removed = erase_client(client_id, account=account, dry_run=dry_run, **chosen)
                self._report(removed, dry_run=dry_run, as_json=as_json)
        except (ComplyCubeInvalidIdError, ComplyCubeConfigurationError) as error:
            raise CommandError(str(error), returncode=COULD_NOT_RUN) from None
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(fault_of(error), returncode=COULD_NOT_RUN) from None
        except (ComplyCubeClientNotFoundError, ComplyCubeProtectedError) as error:
            raise self._refused(error, as_json=as_json) from None

    def _refused(
        self, error: ComplyCubeClientNotFoundError | ComplyCubeProtectedError, *, as_json: bool
    ) -> CommandError:
        """Print the details of a refused erasure, and return the error to raise."""
        if isinstance(error, ComplyCubeClientNotFoundError):
            answer: dict[str, Any] = {"erased": False, "found": False, "near": error.near}
            advice, lines = _advice(error.near), []
        else:
            answer = {"erased": False, "protected": error.reasons}
            advice = " Use --override REASON to erase anyway."
            lines = [f"{session_id}: {why}" for session_id, why in error.reasons.items()]
        if as_json:
            self.stdout.write(json.dumps(answer))
        else:
            for line in lines:
                self.stderr.write(line)
        return CommandError(f"{error}{advice}", returncode=REFUSED)

    def _report(self, removed: Removed, *, dry_run: bool, as_json: bool) -> None:
        """Print what was removed; raise if sessions were kept."""
        self._print_removed(removed, dry_run=dry_run, as_json=as_json)
        if removed.left_count:
            verb = "would be kept" if dry_run else "kept"
            raise CommandError(
                f"{counted(removed.left_count, 'session')} {verb}.", returncode=REFUSED
            )

    def _print_removed(self, removed: Removed, *, dry_run: bool, as_json: bool) -> None:
        if as_json:
            summary = {
                "erased": not (dry_run or removed.left_count),
                "dry_run": dry_run,
                "removed": dict(removed.rows),
                "overridden": removed.protected,
                "left": removed.left,
                "left_count": removed.left_count,
            }
            self.stdout.write(json.dumps(summary))
            return
        for subject, why in removed.left.items():
            self.stderr.write(f"{subject}: {why}")
        done = "Erased. Removed: " if not removed.left_count else "Erased in part. Removed: "
        prefix = "Dry run, nothing removed; would be: " if dry_run else done
        self.stdout.write(f"{prefix}{removed.counts()}.")
        if not dry_run:
            self.stdout.write(
                "Keyed hashes are kept, so that nothing about this client is stored again."
            )

    def _print_lifted(self, count: int, *, dry_run: bool, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"lifted": count, "dry_run": dry_run}))
        elif not count:
            self.stdout.write("This client was not erased. Nothing was changed.")
        elif dry_run:
            self.stdout.write(
                f"Dry run, nothing changed; would remove {counted(count, 'hash', 'hashes')}."
            )
        else:
            self.stdout.write(
                f"Lifted: {counted(count, 'hash', 'hashes')} removed. Run refresh_workflow_sessions --full to fetch what the "
                "API holds."
            )


def _check_account(account: str | None) -> None:
    """Raise if the account is neither configured nor has rows."""
    if account is None:
        return
    known = known_accounts()
    if account not in known:
        raise CommandError(
            f"No account {account!r} is in COMPLYCUBE_ACCOUNTS or has rows (known: "
            f"{', '.join(sorted(known)) or 'none'}).",
            returncode=COULD_NOT_RUN,
        )


def _advice(near: list[str]) -> str:
    if near:
        return f" Did you mean {' or '.join(printable_id(client_id) for client_id in near)}?"
    return (
        " Use --block-unknown to keep hashes anyway, so that nothing about such a client is stored."
    )


def _text(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("give a reason")
    return value.strip()
