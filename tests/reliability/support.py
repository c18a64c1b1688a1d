"""What the tests of the engine share: a run of the command, and the copy compared with its source."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import StringIO
from typing import Any

from django.conf import settings
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db.models import Model

from complycube_sessions import models
from tests.fake_api import FakeAPI

COLUMNS = {
    "client_id": "clientId",
    "entity_name": "entityName",
    "status": "status",
    "outcome": "outcome",
    "workflow_template_id": "workflowTemplateId",
    "workflow_template_name": "workflowTemplateName",
    "workflow_id": "workflowId",
    "workflow_version": "workflowVersion",
}
TIMES = {"created_at": "createdAt", "completed_at": "completedAt", "updated_at": "updatedAt"}
MIRRORED: tuple[type[Model], ...] = (
    models.WorkflowSession,
    models.RelatedCheck,
    models.SessionChange,
)


@dataclass
class Ended:
    """How a call of the command ended, with all that it said."""

    code: int
    out: str
    err: str
    log: str
    run: models.RefreshRun | None = field(default=None)

    @property
    def errors(self) -> dict[str, str]:
        assert self.run is not None
        errors: dict[str, str] = self.run.errors
        return errors

    @property
    def said(self) -> str:
        """All that anyone can read of it: the output, the log and the record of the run."""
        return "\n".join([self.out, self.err, self.log, json.dumps(self.errors)])


def refresh(*arguments: str) -> Ended:
    """Call the command in this process; anything but its own error escapes."""
    out, err = StringIO(), StringIO()
    code = 0
    with _logged() as log:
        try:
            call_command(
                "refresh_workflow_sessions", "--no-progress", *arguments, stdout=out, stderr=err
            )
        except CommandError as error:
            code = error.returncode
            err.write(str(error))
    run = models.RefreshRun.objects.order_by("-pk").first()
    return Ended(code, out.getvalue(), err.getvalue(), log.getvalue(), run)


def configure(settings_fixture: Any, **account: Any) -> None:
    """Change values of the default account for a test; faults need no patience there."""
    default = {
        **settings.COMPLYCUBE_ACCOUNTS["default"],
        "MAX_RETRIES": 0,
        "REQUESTS_PER_SECOND": 2000,
    }
    settings_fixture.COMPLYCUBE_ACCOUNTS = {"default": {**default, **account}}


def assert_equals_source(
    api: FakeAPI, *, without: Collection[str] = (), using: str = "default"
) -> None:
    """Compare each stored session and check with the source, field by field."""
    stored = {row.pk: row for row in models.WorkflowSession.objects.using(using).all()}
    expected = {pk: source for pk, source in api.sessions.items() if pk not in without}
    assert stored.keys() - set(without) == expected.keys()
    checks: dict[str, list[models.RelatedCheck]] = {}
    for check in models.RelatedCheck.objects.using(using).order_by("position", "pk"):
        checks.setdefault(check.session_id, []).append(check)
    for pk, source in expected.items():
        assert_session_equals(stored[pk], checks.get(pk, []), source, api)


def assert_session_equals(
    row: models.WorkflowSession,
    checks: list[models.RelatedCheck],
    source: dict[str, Any],
    api: FakeAPI,
) -> None:
    """Compare one stored session, its raw answer and its checks with the source."""
    assert row.raw == source
    assert (row.account, row.environment) == ("default", "test")
    assert row.missing_since is None
    for column, name in COLUMNS.items():
        assert getattr(row, column) == source[name], (row.pk, column)
    for column, name in TIMES.items():
        assert getattr(row, column) == as_time(source[name]), (row.pk, column)
    named = source["allRelatedChecks"]
    assert [(c.check_id, c.type, c.task_id, c.position) for c in checks] == [
        (c["checkId"], c["type"], c["taskId"], i) for i, c in enumerate(named)
    ]
    for check in checks:
        told = api.checks[check.check_id]
        assert check.status == told["status"]
        assert check.outcome == told["result"]["outcome"]
        assert check.created_at == as_time(told["createdAt"])
        assert check.updated_at == as_time(told["updatedAt"])
        assert check.missing_since is None
        if check.outcome != "clear":
            assert check.result == told["result"]


def assert_key_is_nowhere(api: FakeAPI, ended: Ended) -> None:
    """Look for the key in the output, the log and every row of the app."""
    assert api.key not in ended.said
    others: tuple[type[Model], ...] = (
        models.RefreshRun,
        models.PendingRefresh,
        models.RequestBudget,
    )
    for model in (*MIRRORED, *others):
        assert api.key not in serializers.serialize("json", model._default_manager.all())


def as_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def summary(ended: Ended) -> dict[str, int]:
    assert ended.run is not None
    return {
        name: getattr(ended.run, name)
        for name in ("created", "updated", "unchanged", "missing", "failed")
    }


def once(reply: Any) -> Callable[[int], Any]:
    """Return a fault that only the first request meets."""
    return lambda count: reply if count == 1 else None


@contextmanager
def _logged() -> Iterator[StringIO]:
    """Collect what the app logs, tracebacks included."""
    text = StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("complycube_sessions")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
