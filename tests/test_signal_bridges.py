"""The bridges of ``docs/signals.md``: what ``post_save`` does not tell, the app's own signals do."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import signals as django_signals
from simple_history import register

from complycube_sessions.exceptions import MirrorWriteError
from complycube_sessions.models import RelatedCheck, WorkflowSession
from complycube_sessions.services import erase_client, refresh_sessions
from complycube_sessions.signals import session_changed, session_outcome_changed
from tests.fake_api import FakeAPI

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).parent.parent / "docs" / "signals.md"
OWN = (session_changed, session_outcome_changed)
OF_SAVING = (django_signals.pre_save, django_signals.post_save)
OF_MODELS = (*OF_SAVING, django_signals.post_delete, django_signals.post_init)


@pytest.fixture(autouse=True)
def receivers() -> Iterator[None]:
    """Forget the receivers of a test after it."""
    every = (*OWN, *OF_MODELS, django_signals.pre_delete, django_signals.m2m_changed)
    kept = {signal: list(signal.receivers) for signal in every}
    yield
    for signal, before in kept.items():
        signal.receivers = before
        signal.sender_receivers_cache.clear()


def use_bridge(name: str, **names: Any) -> None:
    """Run the block of the page that has this name, as a host project would."""
    (code,) = re.findall(
        rf"<!-- {name} -->\n```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document


def test_post_save__never_comes(api: FakeAPI) -> None:
    """Django's signals of saving are silent when rows are stored and changed; those of deletion are not, and open no door."""
    saved: list[Any] = []
    deleted: list[Any] = []
    for model in (WorkflowSession, RelatedCheck):
        for signal in OF_SAVING:
            signal.connect(lambda instance, **kwargs: saved.append(instance), model, weak=False)

    def hear(instance: WorkflowSession, **kwargs: Any) -> None:
        with pytest.raises(MirrorWriteError):
            WorkflowSession.objects.update(outcome="clear")
        deleted.append(instance.pk)

    django_signals.post_delete.connect(hear, WorkflowSession)
    session_id = api.add_session(1)
    refresh_sessions()
    api.touch(session_id, outcome="attention")
    assert refresh_sessions().updated == 1
    assert saved == []
    erase_client(api.sessions[session_id]["clientId"])
    assert deleted == [session_id]


def test_feed__puts_what_is_new_and_what_changed(api: FakeAPI) -> None:
    """A session with an outcome is put when it is first seen, and each time that it changes its meaning."""
    put: list[tuple[str, str, str]] = []

    class Index:
        @staticmethod
        def put(key: str, row: dict[str, str]) -> None:
            put.append((key, row["status"], row["outcome"]))

    use_bridge("feed", Index=Index)
    first = api.add_session(1)
    silent = api.add_session(2, outcome="", status="started")
    refresh_sessions()
    assert put == [(first, "complete", "clear")]
    api.touch(first, outcome="attention")
    api.touch(silent, status="processing")
    refresh_sessions()
    assert set(put[1:]) == {(first, "complete", "attention"), (silent, "processing", "")}
    put.clear()
    refresh_sessions()
    assert put == []


@pytest.fixture
def history(transactional_db: None) -> Iterator[Any]:
    """Register the model as the page says, with a table that is there for one test."""
    apart, owner = "project.sandbox", "sandbox"
    names = set(vars(WorkflowSession))
    register(WorkflowSession, app=apart, excluded_fields=["raw", "tasks", "entity_name"])
    model: type[models.Model] = WorkflowSession.history.model  # type: ignore[attr-defined]
    for field in model._meta.fields:
        vars(field).pop("cached_col", None)  # copied from a model that was asked before
    with connection.schema_editor() as editor:
        editor.create_model(model)
    yield WorkflowSession.history  # type: ignore[attr-defined]
    with connection.schema_editor() as editor:
        editor.delete_model(model)
    for name in set(vars(WorkflowSession)) - names:
        delattr(WorkflowSession, name)
    del WorkflowSession._meta.simple_history_manager_attribute  # type: ignore[attr-defined]
    delattr(importlib.import_module(f"{apart}.models"), model.__name__)
    del apps.all_models[owner][model._meta.model_name or ""]
    apps.clear_cache()


def test_history__records_each_change(history: Any, api: FakeAPI) -> None:
    """django-simple-history has one record of a first outcome and one of each change, with why."""
    use_bridge("history")
    session_id = api.add_session(1)
    refresh_sessions()
    api.touch(session_id, outcome="attention")
    refresh_sessions()
    told = history.order_by("history_id").values_list(
        "id", "outcome", "history_type", "history_change_reason"
    )
    assert list(told) == [
        (session_id, "clear", "+", "refresh"),
        (session_id, "attention", "~", "refresh: outcome: clear → attention"),
    ]
    assert not {"raw", "tasks", "entity_name"} & {f.name for f in history.model._meta.fields}
    assert {row.instance.pk for row in history.all()} == {session_id}
