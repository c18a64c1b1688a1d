from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, close_old_connections

from complycube_sessions.conf import account_names, get_account
from complycube_sessions.db.connections import fault_of
from complycube_sessions.exceptions import ComplyCubeConfigurationError, ComplyCubeError
from complycube_sessions.webhooks.processing import Processed, process_webhook_events
from complycube_sessions.wording import counted, line

logger = logging.getLogger("complycube_sessions.webhook")

SOME_FAILED, COULD_NOT_RUN, INTERRUPTED = 1, 2, 130
SECONDS_AFTER_ERROR = 10.0


class Command(BaseCommand):
    help = "Process the stored webhook events: fetch the sessions that they are about."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", help="a name of COMPLYCUBE_ACCOUNTS; all by default")
        parser.add_argument(
            "--follow", action="store_true", help="keep processing new events until Ctrl-C"
        )
        parser.add_argument(
            "--interval",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help="with --follow: how often to look for events (default: 1)",
        )

    def handle(self, *, account: str | None, follow: bool, interval: float, **options: Any) -> None:
        accounts = [account] if account else account_names()
        with _stopped() as stop:
            if follow:
                accounts = self._usable(accounts)
                while not stop.is_set():
                    stop.wait(max(interval, self._follow(accounts, lambda: not stop.is_set())))
                return
            failed, refused = 0, []
            for name in accounts:
                try:
                    done = process_webhook_events(name, go_on=lambda: not stop.is_set())
                except (DatabaseError, InterfaceError) as error:
                    # All accounts are in the same database.
                    raise CommandError(fault_of(error), returncode=COULD_NOT_RUN) from None
                except (ComplyCubeConfigurationError, ComplyCubeError) as error:
                    # Continue with the other accounts.
                    refused.append(str(error) if account else f"{name}: {error}")
                else:
                    self._print(name, done)
                    failed += len(done.errors)
            if stop.is_set():
                raise CommandError("Interrupted. The other events wait.", returncode=INTERRUPTED)
            if refused:
                raise CommandError("\n".join(refused), returncode=COULD_NOT_RUN)
            if failed:
                raise CommandError(
                    f"{counted(failed, 'session')} failed and will be retried.",
                    returncode=SOME_FAILED,
                )

    def _usable(self, accounts: list[str]) -> list[str]:
        """Return the accounts with valid settings, and print the faults of the others."""
        faults: dict[str, str] = {}
        for name in accounts:
            try:
                get_account(name)
            except ComplyCubeConfigurationError as error:
                faults[name] = str(error)
        if faults and len(faults) == len(accounts):
            raise CommandError("\n".join(faults.values()), returncode=COULD_NOT_RUN)
        for fault in faults.values():
            self.stderr.write(fault)
        return [name for name in accounts if name not in faults]

    def _follow(self, accounts: list[str], go_on: Callable[[], bool]) -> float:
        """Process all accounts once, print the results, and return how long to wait after an error."""
        wait = 0.0
        for name in accounts:
            close_old_connections()
            try:
                done = process_webhook_events(name, go_on=go_on)
            except (ComplyCubeError, DatabaseError, InterfaceError) as error:
                reason_text = (
                    str(error) if isinstance(error, ComplyCubeError) else "the database failed"
                )
                kind = type(error).__name__
                logger.warning(
                    "%s: the inbox waits: %s (%s)",
                    name,
                    reason_text,
                    kind,
                    extra={"account": name, "error": kind},
                )
                wait = SECONDS_AFTER_ERROR
            else:
                if done.taken:
                    self._print(name, done)
        return wait

    def _print(self, name: str, done: Processed) -> None:
        for subject, reason in done.errors.items():
            self.stderr.write(line(subject, reason))
        waiting = f" {counted(done.waiting, 'event')} still waiting." if done.waiting else ""
        self.stdout.write(
            f"{name}: {counted(done.taken, 'event')} taken, {counted(done.stored, 'session')} stored, {done.missing} missing, "
            f"{len(done.errors)} failed, {counted(done.requests, 'request')}.{waiting}"
        )


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and a service manager's SIGTERM set, so that the current step can finish."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
