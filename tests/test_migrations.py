"""The way of the tables: one line, forwards and backwards, with rows in them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from complycube_sessions.models.name_words import name_rotations, name_words

APP = "complycube_sessions"
TIME = "2026-01-05T10:00:00+00:00"


def names() -> list[str]:
    """Return the migrations of the app in their order."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return [name for app, name in loader.graph.forwards_plan(leaf()) if app == APP]


def leaf() -> tuple[str, str]:
    ((app, name),) = MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes(APP)
    return app, name


def test_migrations__are_linear() -> None:
    """Each migration but the first follows exactly the one before it, and numbers have no gap."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    on_disk = sorted(name for app, name in loader.disk_migrations if app == APP)
    assert names() == on_disk
    assert [name[:4] for name in on_disk] == [f"{n:04}" for n in range(1, len(on_disk) + 1)]
    for previous, name in zip([None, *on_disk], on_disk, strict=False):
        migration = loader.disk_migrations[APP, name]
        own = [needed for app, needed in migration.dependencies if app == APP]
        assert own == ([previous] if previous else [])
        assert not migration.replaces


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
    """From the first state on, rows survive every step to the newest, back to the first, and again."""
    first, *later = names()
    migrate_to(None)
    assert tables() == set()
    filled = fill(migrate_to(first))
    assert filled["WorkflowSession"] == 1
    for name in later:
        assert counts(migrate_to(name)).items() >= filled.items(), name
    filled_last = fill(migrate_to(later[-1]))
    for name in reversed([first, *later[:-1]]):
        found = counts(migrate_to(name))
        assert found.items() <= filled_last.items(), name
    assert counts(migrate_to(first)) == filled
    newest = migrate_to(later[-1])
    session = newest.get_model(APP, "WorkflowSession").objects.get()
    assert (session.pk, session.entity_name) == ("abc", "Łukasz 🙂")
    assert tables() == {m._meta.db_table for m in apps.get_app_config(APP).get_models()}


@pytest.mark.django_db(transaction=True)
def test_migrations__end_in_nothing(migrated: None) -> None:
    """All the way back, with rows, no table is left."""
    fill(migrate_to(names()[-1]))
    migrate_to(None)
    assert tables() == set()


@pytest.mark.django_db(transaction=True)
def test_migrations__words_are_followed_by_the_others(
    migrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of names that were stored before are rewritten, batch by batch, and back again."""
    rebuild = import_module(f"{APP}.migrations.0009_session_words_index")
    monkeypatch.setattr(rebuild, "BATCH", 2)
    state = migrate_to("0007_session_owner")
    words = {"a": "Ana García", "b": "", "c": "Li", "d": "José María Ruiz", "e": "Bo Ek"}
    for pk, name in words.items():
        row = {"account": "default", "entity_name": name, "fetched_at": TIME}
        session = state.get_model(APP, "WorkflowSession").objects.create(id=pk, **row)
        for word in name_words(name):
            state.get_model(APP, "SessionNameWord").objects.create(session=session, word=word)

    rows = migrate_to(names()[-1]).get_model(APP, "SessionNameWord").objects
    found = list(rows.order_by("session", "id").values_list("session", "words"))
    assert found == [(pk, w) for pk, name in words.items() for w in name_rotations(name)]

    rows = migrate_to("0007_session_owner").get_model(APP, "SessionNameWord").objects
    found = list(rows.order_by("session", "id").values_list("session", "word"))
    assert found == [(pk, w) for pk, name in words.items() for w in name_words(name)]


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
        assert kills == len(done) > 50
        assert columns_and_indexes() == (whole if target else {})


@pytest.mark.vendors("mysql")  # the others take a schema statement back
@pytest.mark.django_db(transaction=True)
def test_migrations__killed_before_they_are_noted(migrated: None) -> None:
    """Whoever is killed when all is done but the note of it may do it again."""
    recorder = MigrationRecorder(connection)
    before, newest = names()[-2:]
    migrate_to(newest)
    whole = columns_and_indexes()
    recorder.record_unapplied(APP, newest)
    migrate_to(newest)
    assert columns_and_indexes() == whole
    migrate_to(before)
    without = columns_and_indexes()
    recorder.record_applied(APP, newest)
    migrate_to(before)
    assert columns_and_indexes() == without != whole


@pytest.mark.django_db(transaction=True)
def test_migrations__images_of_stored_rows_are_cut(
    migrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored whole before is cut, batch by batch, and a second time changes nothing."""
    cutting = import_module(f"{APP}.migrations.0011_check_answers")
    monkeypatch.setattr(cutting, "BATCH", 2)
    image = "/9j/4AAQSkZJRgABAQ" + "A" * 400
    mark = f"[cut: base64 data, {len(image)} characters]"
    state = migrate_to("0010_missing_index")
    session_model, check_model = (
        state.get_model(APP, name) for name in ("WorkflowSession", "RelatedCheck")
    )
    for number in range(5):
        tasks = [{"id": "t", "data": {"images": [{"data": image if number else "none"}]}}]
        session = session_model.objects.create(
            id=f"s{number}", account="default", fetched_at=TIME, tasks=tasks, raw={"tasks": tasks}
        )
        result = {"outcome": "clear", "breakdown": {"image": image}}
        check_model.objects.create(session=session, check_id=f"c{number}", result=result)

    state = migrate_to(names()[-1])
    expected = [{"id": "t", "data": {"images": [{"data": mark}]}}]
    for session in state.get_model(APP, "WorkflowSession").objects.exclude(pk="s0"):
        assert (session.tasks, session.raw) == (expected, {"tasks": expected})
    untouched = state.get_model(APP, "WorkflowSession").objects.get(pk="s0")
    assert untouched.tasks[0]["data"]["images"] == [{"data": "none"}]
    checks = state.get_model(APP, "RelatedCheck").objects
    assert {check.result["breakdown"]["image"] for check in checks.all()} == {mark}
    assert {(check.document_id, check.monitored) for check in checks.all()} == {("", None)}
    assert not cutting.cut_row(checks.first(), ("result",))
