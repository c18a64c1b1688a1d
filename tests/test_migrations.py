"""Migrations: in one line, reversible with rows in the tables, repeatable after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any, Final

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from complycube_sessions.db.migration_steps import RepeatableMigration
from tests.builders import by_hand

APP = "complycube_sessions"
TIME = "2026-01-05T10:00:00+00:00"
# What development versions had in place of one migration, and their databases still have on record.
FORMER: Final = (
    "0002_webhook_event_turns",
    "0003_indexes",
    "0004_privacy",
    "0005_session_evidence",
    "0006_day_figures",
    "0007_session_owner",
    "0008_words_and_marks",
    "0009_session_words_index",
    "0010_missing_index",
    "0011_check_answers",
    "0012_still_due",
    "0013_erasure_counts",
)


def names() -> list[str]:
    """Return the migrations of the app in their order."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return [name for app, name in loader.graph.forwards_plan(leaf()) if app == APP]


def leaf() -> tuple[str, str]:
    ((app, name),) = MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes(APP)
    return app, name


def test_migrations__are_linear() -> None:
    """Each migration but the first follows exactly the one before it, without gaps; each can be repeated."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    on_disk = sorted(name for app, name in loader.disk_migrations if app == APP)
    assert names() == on_disk
    assert [name[:4] for name in on_disk] == [f"{n:04}" for n in range(1, len(on_disk) + 1)]
    for previous, name in zip([None, *on_disk], on_disk, strict=False):
        migration = loader.disk_migrations[APP, name]
        own = [needed for app, needed in migration.dependencies if app == APP]
        assert own == ([previous] if previous else [])
        assert not migration.replaces
        assert isinstance(migration, RepeatableMigration)


def test_migrations__are_reversible() -> None:
    """No operation lacks its way back."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    for name in names():
        for operation in loader.disk_migrations[APP, name].operations:
            assert operation.reversible, f"{name}: {operation.describe()}"


@pytest.fixture
def migrated() -> Iterator[None]:
    """Leave the tables as the other tests expect them."""
    yield
    call_command("migrate", APP, verbosity=0)


def migrate_to(name: str | None) -> Any:
    """Migrate to a state, or to nothing, and return its models."""
    executor = MigrationExecutor(connection)
    executor.migrate([(APP, name)])
    if name is None:
        return None
    executor.loader.build_graph()
    return executor.loader.project_state([(APP, name)]).apps


@by_hand()
def fill(state: Any) -> dict[str, int]:
    """Write a row into every table of a state and return how many each of them has."""
    row = {"account": "default", "entity_name": "Łukasz 🙂", "fetched_at": TIME}
    sessions = state.get_model(APP, "WorkflowSession").objects
    session, _ = sessions.get_or_create(id="abc", defaults=row)
    for model in state.get_app_config(APP).get_models():
        if not model.objects.exists():
            model.objects.create(**_values(model, session))
    return counts(state)


def _values(model: Any, session: Any) -> dict[str, Any]:
    """Return a value for every column that has to have one."""
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if field.has_default() or field.null or field.get_internal_type() == "BigAutoField":
            continue
        if field.is_relation:
            if field.related_model is type(session):
                values[field.name] = session
            else:
                values[field.name] = field.related_model.objects.first()
        else:
            values[field.name] = {
                "DateTimeField": TIME,
                "DateField": TIME[:10],
                "JSONField": {},
                "PositiveIntegerField": 1,
                "BigIntegerField": 1,
            }.get(field.get_internal_type(), "x")
    return values


def counts(state: Any) -> dict[str, int]:
    return {m.__name__: m.objects.count() for m in state.get_app_config(APP).get_models()}


def tables() -> set[str]:
    found = connection.introspection.table_names()
    return {name for name in found if name.startswith(f"{APP}_")}


@pytest.mark.django_db(transaction=True)
def test_migrations__run_on_rows_forwards_and_backwards(migrated: None) -> None:
    """From the first state on, rows survive every step to the newest and back; at the end no table is left."""
    first, *later = names()
    migrate_to(None)
    assert tables() == set()
    filled = fill(migrate_to(first))
    assert filled["WorkflowSession"] == 1
    for name in later:
        assert counts(migrate_to(name)).items() >= filled.items(), name
    newest = migrate_to(names()[-1])
    filled_last = fill(newest)
    session = newest.get_model(APP, "WorkflowSession").objects.get()
    assert (session.pk, session.entity_name) == ("abc", "Łukasz 🙂")
    assert tables() == {m._meta.db_table for m in apps.get_app_config(APP).get_models()}
    for name in reversed(names()[:-1]):
        assert counts(migrate_to(name)).items() <= filled_last.items(), name
    assert counts(migrate_to(first)) == filled
    migrate_to(None)
    assert tables() == set()


@pytest.mark.django_db(transaction=True)
def test_migrations__database_of_a_development_version() -> None:
    """Records of migrations that are one now are ignored: nothing runs, and rows stay."""
    recorder = MigrationRecorder(connection)
    filled = fill(apps)
    for name in FORMER:
        recorder.record_applied(APP, name)
    try:
        out = StringIO()
        call_command("migrate", APP, stdout=out)
        assert "No migrations to apply." in out.getvalue()
        call_command("check", databases=["default"])
        assert counts(apps) == filled
    finally:
        for name in FORMER:
            recorder.record_unapplied(APP, name)


class KilledError(BaseException):
    """What nothing catches, as nothing catches a kill."""


def kill_after_next_statement(monkeypatch: pytest.MonkeyPatch, done: set[tuple[str, str]]) -> None:
    """End a migration that no transaction takes back, after the first statement not ended at before."""
    real = BaseDatabaseSchemaEditor.execute

    def execute(self: Any, sql: Any, params: Any = ()) -> Any:
        result = real(self, sql, params)
        statement = (str(sql), str(params))
        if statement not in done and not connection.in_atomic_block:
            done.add(statement)
            raise KilledError
        return result

    monkeypatch.setattr(BaseDatabaseSchemaEditor, "execute", execute)


def columns_and_indexes() -> dict[str, Any]:
    """Return what the database says of each table of the app."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables():
            columns = connection.introspection.get_table_description(cursor, table)
            constraints = connection.introspection.get_constraints(cursor, table)
            found[table] = (
                {(c.name, c.type_code, c.null_ok, c.default) for c in columns},
                {name: (c["columns"], c["unique"], c["index"]) for name, c in constraints.items()},
            )
    return found


@pytest.mark.vendors("mysql")  # the others take a schema statement back
@pytest.mark.django_db(transaction=True)
def test_migrations__killed_after_each_statement(
    migrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever schema statement a migration is killed after, the next run ends in the same tables."""
    migrate_to(names()[-1])
    whole = columns_and_indexes()
    for target in (None, names()[-1]):
        done: set[tuple[str, str]] = set()
        kills = 0
        while True:
            with monkeypatch.context() as patch:
                kill_after_next_statement(patch, done)
                try:
                    migrate_to(target)
                except KilledError:
                    kills += 1
                else:
                    break
        assert kills == len(done) >= len(whole)
        assert columns_and_indexes() == (whole if target else {})


@pytest.mark.vendors("sqlite", "postgresql")
@pytest.mark.django_db(transaction=True)
def test_migrations__are_recorded_with_what_they_do(
    migrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before the record takes back all that was done, where schema statements can be taken back."""

    def killed(*args: Any) -> None:
        raise KilledError

    migrate_to(None)
    with monkeypatch.context() as patch:
        patch.setattr(MigrationRecorder, "record_applied", killed)
        with pytest.raises(KilledError):
            migrate_to(names()[0])
    assert tables() == set()


@pytest.mark.vendors("mysql")
@pytest.mark.django_db(transaction=True)
def test_migrations__killed_before_they_are_recorded(migrated: None) -> None:
    """A migration that was killed when all was done but its record can be run again, both ways."""
    recorder = MigrationRecorder(connection)
    *_, before, newest = names()
    migrate_to(newest)
    whole = columns_and_indexes()
    recorder.record_unapplied(APP, newest)
    migrate_to(newest)
    assert columns_and_indexes() == whole
    migrate_to(before)
    recorder.record_applied(APP, newest)
    migrate_to(None)
    assert columns_and_indexes() == {}
