from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from complycube_sessions.models import RefreshRun
from complycube_sessions.operations.problems import Facts, Problem, State, shown
from complycube_sessions.operations.status import AccountStatus, Status, read_status
from complycube_sessions.wording import counted

RUN_FIELDS = ("mode", "state", "started_at", "finished_at")


class Command(BaseCommand):
    help = (
        "Tell how fresh and healthy the mirror is. "
        "Exit code 0: healthy, 1: it needs attention, 2: it is broken."
    )
    # The command itself reports wrong settings, with an exit code of its own.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", help="a name of COMPLYCUBE_ACCOUNTS; all by default")
        parser.add_argument("--json", action="store_true", help="print a single JSON object")

    def handle(self, *, account: str | None, **options: Any) -> None:
        status = read_status([account] if account else None)
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(status)))
        else:
            self.stdout.write("\n".join(_lines(status)))
        if status.state != State.HEALTHY:
            raise CommandError(_summary(status), returncode=int(status.state))


def _lines(status: Status) -> list[str]:
    lines = [_line(problem) for problem in status.problems]
    for account in status.accounts:
        kind = (
            f" ({account.facts.environment})" if account.facts and account.facts.environment else ""
        )
        lines.append(f"{account.account}{kind}: {account.state.name.lower()}")
        lines += [f"  {_line(problem)}" for problem in account.problems]
        if account.facts is not None:
            lines += [f"  {fact}" for fact in _fact_lines(account.facts, status.read_at)]
    return lines


def _line(problem: Problem) -> str:
    return f"{problem.code}: {problem.text}"


def _fact_lines(facts: Facts, now: datetime) -> list[str]:
    webhook = "events have stopped" if facts.is_silent else "no complaint"
    wait = facts.budget_wait / timedelta(seconds=1)
    holder = facts.holder
    return [
        f"last good run: {_ago(facts.last_success_at, now)}",
        f"watermark: {_ago(facts.watermark, now)}",
        f"due: {counted(facts.due, 'session')}{_since(facts.oldest_due_at)}, failing: {facts.failing}",
        f"webhook: {webhook if facts.has_webhook else 'no secret is set'}, "
        f"{counted(facts.events_waiting, 'event')} waiting",
        f"budget: {facts.requests_per_second:g} requests a second, "
        f"{f'the next one waits {wait:.1f} s' if wait else 'free'}",
        f"lock: {f'held by run {holder.pk}{_since(holder.started_at)}' if holder else 'free'}",
    ]


def _ago(time: datetime | None, now: datetime) -> str:
    if time is None:
        return "none"
    minutes = max(0, round((now - time) / timedelta(minutes=1)))
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    age = (
        f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
    )
    return f"{shown(time)}, {age} ago"


def _since(time: datetime | None) -> str:
    return f" since {shown(time)}" if time else ""


def _summary(status: Status) -> str:
    bad = [account.account for account in status.accounts if account.state]
    word = "is broken" if status.state == State.BROKEN else "needs attention"
    return f"The mirror {word}{': ' + ', '.join(bad) if bad else ''}."


def _as_dict(status: Status) -> dict[str, Any]:
    return {
        "state": status.state.name.lower(),
        "read_at": status.read_at.isoformat(),
        "problems": _problems(status.problems),
        "accounts": [_account(account) for account in status.accounts],
    }


def _problems(problems: tuple[Problem, ...]) -> list[dict[str, str]]:
    return [{"code": p.code, "severity": p.severity.name.lower(), "text": p.text} for p in problems]


def _account(account: AccountStatus) -> dict[str, Any]:
    values = {
        "account": account.account,
        "state": account.state.name.lower(),
        "problems": _problems(account.problems),
    }
    return values | _facts(account.facts) if account.facts else values


def _facts(facts: Facts) -> dict[str, Any]:
    return {
        "environment": facts.environment,
        "last_run": _run(facts.last_run),
        "last_success_at": _time(facts.last_success_at),
        "watermark": _time(facts.watermark),
        "due": facts.due,
        "oldest_due_at": _time(facts.oldest_due_at),
        "failing": facts.failing,
        "events_waiting": facts.events_waiting,
        "requests_per_second": facts.requests_per_second,
        "budget_wait_seconds": facts.budget_wait / timedelta(seconds=1),
        "has_webhook": facts.has_webhook,
        "is_silent": facts.is_silent,
        "lease_holder": _run(facts.holder),
    }


def _run(run: RefreshRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    values = {name: getattr(run, name) for name in RUN_FIELDS}
    plain = {n: _time(v) if isinstance(v, datetime) else v for n, v in values.items()}
    return {"run": run.pk, **plain}


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
