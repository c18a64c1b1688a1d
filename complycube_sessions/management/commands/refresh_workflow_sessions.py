from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any, NoReturn

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    OutputWrapper,
)
from django.db import DatabaseError, InterfaceError
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from tqdm import tqdm

from complycube_sessions.conf import get_account
from complycube_sessions.exceptions import (
    ComplyCubeAPIError,
    ComplyCubeConfigurationError,
    ComplyCubeInvalidIdError,
    ComplyCubeRefreshRunningError,
)
from complycube_sessions.models import RefreshRun
from complycube_sessions.services import refresh_sessions
from complycube_sessions.setting_rules import DEFAULT_BASE_URL
from complycube_sessions.wording import counted, line

SOME_FAILED, COULD_NOT_RUN, LOCKED, INTERRUPTED = 1, 2, 3, 130
AGES = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SECONDS_BETWEEN_LINES = 10
Progress = Callable[[RefreshRun, int], None]
# Only printed if not zero.
REMAINDER = ("remaining", "still_due")
COUNTS = tuple(n for n in RefreshRun.COUNTS if n not in {"kept_out", *REMAINDER})


class Command(BaseCommand):
    help = "Fetch workflow sessions and their checks from ComplyCube and store them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="only these sessions")
        parser.add_argument("--account", default="default", help="a name of COMPLYCUBE_ACCOUNTS")
        parser.add_argument(
            "--full",
            action="store_true",
            help="compare every session at ComplyCube with the mirror, and mark those that are gone",
        )
        parser.add_argument(
            "--since", type=_time_or_age, metavar="WHEN", help="an ISO 8601 time, or an age: 2d, 6h"
        )
        parser.add_argument("--limit", type=_count, metavar="N", help="fetch at most N sessions")
        parser.add_argument(
            "--dry-run", action="store_true", help="only show what would be fetched"
        )
        parser.add_argument(
            "--confirm-missing",
            action="store_true",
            help="with --full: mark missing sessions even when they are more than 5 %% of the mirror",
        )
        parser.add_argument(
            "--retry-failed",
            action=argparse.BooleanOptionalAction,
            help="retry at once what failed before, without waiting for its growing delay "
            "(default: only on a terminal)",
        )
        parser.add_argument("--json", action="store_true", help="print a single JSON object")
        parser.add_argument("--no-progress", action="store_true", help="show no progress")

    def handle(
        self,
        *,
        ids: list[str],
        account: str,
        full: bool,
        since: datetime | None,
        limit: int | None,
        dry_run: bool,
        confirm_missing: bool,
        retry_failed: bool | None,
        no_progress: bool,
        **options: Any,
    ) -> None:
        if ids and (full or since):
            raise CommandError("Name ids, or use --full or --since, not both.", returncode=2)
        if full and since:
            raise CommandError("Use --full or --since, not both.", returncode=2)
        silent = no_progress or options["json"]
        try:
            with _progress(self.stdout, silent=silent) as show, _terminated_as_interrupted():
                run = self._refresh(
                    account,
                    lambda: refresh_sessions(
                        account,
                        full,
                        since,
                        ids or None,
                        limit,
                        dry_run,
                        confirm_missing=confirm_missing,
                        on_progress=show,
                        retry_failed=_is_by_hand() if retry_failed is None else retry_failed,
                    ),
                )
        except CommandError as error:
            if options["json"]:
                self.stdout.write(json.dumps(_refusal(account, error)))
            raise
        self._print(run, as_json=options["json"], dry_run=dry_run)
        if run.error_count:
            # The reasons have been printed already.
            raise CommandError(_failure(run), returncode=SOME_FAILED)

    def _refresh(self, account: str, refresh: Callable[[], RefreshRun]) -> RefreshRun:
        try:
            return refresh()
        except ComplyCubeRefreshRunningError as error:
            raise CommandError(str(error), returncode=LOCKED) from None
        except (ComplyCubeConfigurationError, ComplyCubeInvalidIdError) as error:
            raise CommandError(str(error), returncode=COULD_NOT_RUN) from None
        except ComplyCubeAPIError as error:
            raise CommandError(_refused(error, account), returncode=COULD_NOT_RUN) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. What was fetched is stored.", returncode=INTERRUPTED
            ) from None
        except (DatabaseError, InterfaceError) as error:
            name = type(error).__name__
            raise CommandError(
                f"The database failed ({name}). What was stored is complete; run the command again for the rest.",
                returncode=SOME_FAILED,
            ) from None

    def _print(self, run: RefreshRun, *, as_json: bool, dry_run: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(_as_dict(run, dry_run=dry_run)))
            return
        for subject, reason in run.errors.items():
            self.stderr.write(line(subject, reason))
        for session_id in run.marked_missing:
            self.stdout.write(f"{session_id}: no longer known to the API; marked as missing.")
        self.stdout.write(_summary(run, dry_run=dry_run))
        if run.kept_out:
            self.stdout.write(_kept_out(run.kept_out))


def _summary(run: RefreshRun, *, dry_run: bool) -> str:
    names = [*COUNTS[:-1], *(["remaining"] if run.remaining else []), COUNTS[-1]]
    counts = ", ".join(f"{getattr(run, name)} {name}" for name in names)
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at else 0
    prefix = "Dry run, nothing stored; would be: " if dry_run else ""
    summary = f"{prefix}{run.get_mode_display()} refresh of {run.account} {run.state}: {counts} in {seconds:.1f} s."
    return f"{summary} {_still_due(run)}".rstrip()


def _still_due(run: RefreshRun) -> str:
    if not run.still_due:
        return ""
    is_are = "is" if run.still_due == 1 else "are"
    return f"{counted(run.still_due, 'session')} {is_are} still due."


def _kept_out(count: int) -> str:
    kept = (
        "1 session was not stored, as the person was"
        if count == 1
        else (f"{count} sessions were not stored, as the persons were")
    )
    return (
        f"{kept} erased. To store one, run erase_complycube_client --lift with the id of the client or of the "
        "session."
    )


def _failure(run: RefreshRun) -> str:
    if run.state == RefreshRun.State.FAILED:
        return "Nothing was fetched or changed."
    if run.failed:
        kept = "what was fetched is stored" if run.remaining else "all others are stored"
        return f"{counted(run.failed, 'session')} failed; {kept}."
    return f"The run ended as {run.state}; what was fetched is stored."


def _refused(error: ComplyCubeAPIError, account: str) -> str:
    advice = {
        401: f"{_where_the_key_went(account)} Check API_KEY in COMPLYCUBE_ACCOUNTS.",
        402: "Settle the account in the ComplyCube portal.",
        403: "Check in the ComplyCube portal what the key may do.",
    }
    return f"{error} {advice.get(error.status_code, '')}".rstrip()


def _where_the_key_went(name: str) -> str:
    account = get_account(name)
    if account.base_url == DEFAULT_BASE_URL:
        return (
            f"The key went to the real API, {account.host}, as the account has no other BASE_URL."
        )
    return f"The key went to {account.host}, the BASE_URL of the account."


def _refusal(account: str, error: CommandError) -> dict[str, Any]:
    """Return the output of ``--json`` if there is no run."""
    state = "interrupted" if error.returncode == INTERRUPTED else "failed"
    return {
        "run": None,
        "account": account,
        "state": state,
        "errors": {account: str(error)},
        "error_count": 1,
    }


def _as_dict(run: RefreshRun, *, dry_run: bool) -> dict[str, Any]:
    times = {
        name: value.isoformat() if (value := getattr(run, name)) else None
        for name in ("started_at", "finished_at", "watermark")
    }
    return {
        "run": run.pk,
        "account": run.account,
        "environment": run.environment,
        "mode": run.mode,
        "state": run.state,
        "dry_run": dry_run,
        **times,
        **{name: getattr(run, name) for name in (*COUNTS, *REMAINDER)},
        "kept_out": run.kept_out,
        "errors": run.errors,
        "error_count": run.error_count,
        "marked_missing": run.marked_missing,
    }


def _is_by_hand() -> bool:
    """Return whether a person started the command: schedulers provide no terminal."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return any(s is not None and not s.closed and s.isatty() for s in streams)


@contextmanager
def _progress(lines: OutputWrapper, *, silent: bool) -> Iterator[Progress | None]:
    """Show a progress bar on a terminal, and elsewhere a line from time to time."""
    if silent:
        yield None
    elif sys.stderr.isatty():
        with tqdm[NoReturn](
            unit=" sessions", file=sys.stderr, dynamic_ncols=True, leave=False
        ) as bar:
            yield lambda run, total: _move(bar, run, total)
    else:
        last = time.monotonic()

        def write(run: RefreshRun, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                lines.write(
                    f"{_done(run)} of {counted(total, 'session')}, {counted(run.requests, 'request')}"
                )

        yield write


def _move(bar: tqdm[NoReturn], run: RefreshRun, total: int) -> None:
    bar.total = max(total, _done(run))
    bar.n = _done(run)
    bar.refresh()


def _done(run: RefreshRun) -> int:
    return run.created + run.updated + run.unchanged + run.failed + run.missing


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Make a service manager's SIGTERM end a run as cleanly as Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # signal handlers can only be set in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _time_or_age(text: str) -> datetime:
    if match := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        return datetime.now(UTC) - timedelta(**{AGES[match[2]]: int(match[1])})
    try:
        time = parse_datetime(text)
    except ValueError:
        time = None
    if time is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither an ISO 8601 time such as 2026-01-31T08:00:00Z nor an age such as 2d or 6h"
        )
    return time if timezone.is_aware(time) else timezone.make_aware(time)


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
