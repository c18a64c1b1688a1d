"""Mirrored rows have one writer: every way that Django offers to write one is refused, or named here as allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader
from django.forms import modelform_factory

from complycube_sessions.exceptions import MirrorWriteError
from complycube_sessions.models import (
    AuditEntry,
    RelatedCheck,
    SessionChange,
    SessionNameWord,
    WorkflowSession,
    allow_mirror_writes,
)
from complycube_sessions.models.mirrored import MirroredManager, MirroredModel, MirroredQuerySet
from tests.admin.builders import make_check, make_session
from tests.privacy.host_rows import host_model

pytestmark = pytest.mark.django_db

Write = Callable[[RelatedCheck], Any]
NEW: Any = {"check_id": "new", "outcome": "clear"}


def rows() -> Any:
    return RelatedCheck.objects


def others(check: RelatedCheck) -> Any:
    """Return the related manager of a session that the check is not of."""
    return WorkflowSession.objects.exclude(pk=check.session_id).get().checks


def fresh(check: RelatedCheck) -> RelatedCheck:
    return RelatedCheck(session_id=check.session_id, **NEW)


def changed(check: RelatedCheck) -> RelatedCheck:
    check.outcome = "clear"
    return check


def by_form(check: RelatedCheck) -> Any:
    form = modelform_factory(RelatedCheck, fields=["outcome"])({"outcome": "clear"}, instance=check)
    assert form.is_valid()
    return form.save()


def run(method: Any, *args: Any, **kwargs: Any) -> Any:
    """Call an asynchronous method to its end."""

    async def wait() -> Any:
        return await method(*args, **kwargs)

    return async_to_sync(wait)()


OF_MODEL: dict[str, Write] = {
    "save": lambda c: changed(c).save(),
    "save_base": lambda c: changed(c).save_base(),
    "delete": lambda c: c.delete(),
    "asave": lambda c: run(changed(c).asave),
    "adelete": lambda c: run(c.adelete),
}
OF_QUERYSET: dict[str, Write] = {
    "create": lambda c: rows().create(session_id=c.session_id, **NEW),
    "bulk_create": lambda c: rows().bulk_create([fresh(c)]),
    "bulk_update": lambda c: rows().bulk_update([changed(c)], ["outcome"]),
    "get_or_create": lambda c: rows().get_or_create(session_id=c.session_id, **NEW),
    "update_or_create": lambda c: rows().update_or_create(pk=c.pk, defaults={"outcome": "clear"}),
    "update": lambda c: rows().filter(pk=c.pk).update(outcome="clear"),
    "delete": lambda c: rows().filter(pk=c.pk).delete(),
    "_raw_delete": lambda c: rows().filter(pk=c.pk)._raw_delete("default"),
    "acreate": lambda c: run(rows().acreate, session_id=c.session_id, **NEW),
    "abulk_create": lambda c: run(rows().abulk_create, [fresh(c)]),
    "abulk_update": lambda c: run(rows().abulk_update, [changed(c)], ["outcome"]),
    "aget_or_create": lambda c: run(rows().aget_or_create, session_id=c.session_id, **NEW),
    "aupdate_or_create": lambda c: run(
        rows().aupdate_or_create, pk=c.pk, defaults={"outcome": "clear"}
    ),
    "aupdate": lambda c: run(rows().aupdate, outcome="clear"),
    "adelete": lambda c: run(rows().filter(pk=c.pk).adelete),
}
OF_RELATED: dict[str, Write] = {
    "add": lambda c: others(c).add(c),
    "set": lambda c: others(c).set([c]),
    "create": lambda c: others(c).create(**NEW),
    "get_or_create": lambda c: others(c).get_or_create(**NEW),
    "update_or_create": lambda c: others(c).update_or_create(**NEW),
    "aadd": lambda c: run(others(c).aadd, c),
    "aset": lambda c: run(others(c).aset, [c]),
    "acreate": lambda c: run(others(c).acreate, **NEW),
    "aget_or_create": lambda c: run(others(c).aget_or_create, **NEW),
    "aupdate_or_create": lambda c: run(others(c).aupdate_or_create, **NEW),
}
BY_OTHERS: dict[str, Write] = {
    "add without bulk": lambda c: others(c).add(c, bulk=False),
    "update of related": lambda c: c.session.checks.update(outcome="clear"),
    "bulk_create of related": lambda c: c.session.checks.bulk_create([fresh(c)]),
    "delete of related": lambda c: c.session.checks.all().delete(),
    "ModelForm": by_form,
    "save of chosen fields": lambda c: changed(c).save(update_fields=["outcome"]),
    "delete of a session": lambda c: WorkflowSession.objects.get(pk=c.session_id).delete(),
    "delete of all sessions": lambda c: WorkflowSession.objects.for_client("x").all().delete(),
}
WAYS = {
    f"{kind}.{name}": write
    for kind, ways in {
        "model": OF_MODEL,
        "queryset": OF_QUERYSET,
        "related": OF_RELATED,
        "other": BY_OTHERS,
    }.items()
    for name, write in ways.items()
}
# What reads, or prepares a question.
QUERYSET_READS = """
aaggregate acontains acount aearliest aexists aexplain afirst aget aggregate ain_bulk aiterator
alast alatest alias all annotate as_manager complex_filter contains count dates datetimes db
defer difference distinct earliest exclude exists explain extra fetch_mode filter first get
in_bulk intersection iterator last latest none only order_by ordered prefetch_related query raw
resolve_expression reverse select_for_update select_related totally_ordered union using values
values_list
"""
MODEL_READS = """
DoesNotExist MultipleObjectsReturned NotUpdated arefresh_from_db check clean clean_fields
date_error_message from_db full_clean get_constraints get_deferred_fields pk
prepare_database_save refresh_from_db serializable_value unique_error_message
validate_constraints validate_unique
"""


def stored() -> list[Any]:
    return [list(m.objects.order_by("pk").values()) for m in (WorkflowSession, RelatedCheck)]


@pytest.fixture
def check() -> RelatedCheck:
    """Return a check of one of two sessions."""
    make_session()
    return make_check(make_session(client_id="x"), outcome="rejected")


def public(of: Any) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


def test_ways__are_all_that_django_offers(check: RelatedCheck) -> None:
    """A method of this version of Django that is neither tried below nor known to read has to be judged."""
    assert public(models.QuerySet) - set(QUERYSET_READS.split()) == public_names(OF_QUERYSET)
    assert public(models.Model) - set(MODEL_READS.split()) == public_names(OF_MODEL)
    related = vars(type(check.session.checks))
    assert {n for n in related if callable(related[n]) and not n.startswith("_")} - {
        "get_queryset",
        "get_prefetch_queryset",
        "get_prefetch_querysets",
    } == public_names(OF_RELATED)


def public_names(ways: dict[str, Write]) -> set[str]:
    return {name for name in ways if not name.startswith("_")}


@pytest.mark.parametrize("way", WAYS)
def test_way__refused(way: str, check: RelatedCheck) -> None:
    """It raises the named error and writes nothing, and writes where that is allowed."""
    before = stored()
    with pytest.raises(MirrorWriteError, match="allow_mirror_writes") as refused:
        WAYS[way](check)
    assert check.check_id not in str(refused.value)
    assert stored() == before
    check.refresh_from_db()
    with allow_mirror_writes():
        WAYS[way](check)
    assert stored() != before


def test_reads__of_methods_that_may_write(check: RelatedCheck) -> None:
    """What finds its row, or has nothing to write, is no write."""
    assert rows().get_or_create(session=check.session, check_id=check.check_id) == (check, False)
    check.save(update_fields=[])


def fixture_of(check: RelatedCheck, path: Path) -> Path:
    file = path / "checks.json"
    file.write_text(serializers.serialize("json", [changed(check)]), encoding="utf-8")
    return file


def historical(name: str) -> Any:
    """Return a model as a migration sees it."""
    state = MigrationLoader(connection).project_state().apps
    return state.get_model("complycube_sessions", name)


ALLOWED: dict[str, Callable[[RelatedCheck, Path], Any]] = {
    "loaddata": lambda c, path: call_command("loaddata", fixture_of(c, path), verbosity=0),
    "save_base of a raw row": lambda c, path: changed(c).save_base(raw=True),
    "migration's update": lambda c, path: historical("RelatedCheck").objects.update(
        outcome="clear"
    ),
    "migration's save": lambda c, path: historical("RelatedCheck")(
        session_id=c.session_id, **NEW
    ).save(),
    "_base_manager": lambda c, path: RelatedCheck._base_manager.update(outcome="clear"),
    "SQL": lambda c, path: connection.cursor().execute(
        f"UPDATE {RelatedCheck._meta.db_table} SET outcome = 'clear'"  # noqa: S608 - our own name
    ),
}


@pytest.mark.parametrize("way", ALLOWED)
def test_way__allowed(way: str, check: RelatedCheck, tmp_path: Path) -> None:
    """What docs/querying.md names as open stays open: tools of Django, and what is written on purpose."""
    before = stored()
    ALLOWED[way](check, tmp_path)
    assert stored() != before


@pytest.mark.django_db(transaction=True)
def test_cascade__of_a_host_keeps_working(check: RelatedCheck) -> None:
    """A host's row that refers to a session goes and comes without a word of the guard."""
    with host_model(models.CASCADE) as invoice:
        row = invoice.objects.create(target=check.session)
        row.delete()
        invoice.objects.create(target=check.session)
        with allow_mirror_writes():
            check.session.delete()
        assert not invoice.objects.exists()


def test_guarded__are_all_mirrored_models() -> None:
    """What ComplyCube said is guarded; the app's own records, which are written here, are not."""
    models_of_app = apps.get_app_config("complycube_sessions").get_models()
    mirrored = {m for m in models_of_app if issubclass(m, MirroredModel)}
    assert mirrored == {WorkflowSession, RelatedCheck, SessionChange, AuditEntry, SessionNameWord}
    for model in mirrored:
        assert isinstance(model._default_manager, MirroredManager)
        assert isinstance(model._default_manager.all(), MirroredQuerySet)
        assert type(model._base_manager) is models.Manager


def is_refused() -> bool:
    try:
        WorkflowSession.objects.bulk_create([])
    except MirrorWriteError:
        return True
    return False


def test_allow__ends_with_its_block() -> None:
    """Blocks may be nested, and end with an error as well."""

    def fail() -> None:
        with allow_mirror_writes():
            with allow_mirror_writes():
                assert not is_refused()
            assert not is_refused()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert is_refused()


def test_allow__as_decorator() -> None:
    """It holds for a function and for a coroutine function, and keeps their names and answers."""

    @allow_mirror_writes()
    def mend(depth: int) -> bool:
        return is_refused() if depth == 0 else mend(depth - 1)

    @allow_mirror_writes()
    async def amend() -> bool:
        await asyncio.sleep(0)
        return is_refused()

    assert (mend(2), mend.__name__, is_refused()) == (False, "mend", True)
    assert (async_to_sync(amend)(), amend.__name__, is_refused()) == (False, "amend", True)


def test_allow__is_one_threads() -> None:
    """Another thread is refused meanwhile."""
    with allow_mirror_writes(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(is_refused).result()
        assert not is_refused()


def test_allow__is_one_tasks() -> None:
    """Another asynchronous task is refused meanwhile, even one that runs in between."""

    async def both() -> tuple[bool, bool]:
        allowed, looked = asyncio.Event(), asyncio.Event()

        async def allow() -> bool:
            with allow_mirror_writes():
                allowed.set()
                await looked.wait()
                return is_refused()

        async def look() -> bool:
            await allowed.wait()
            looked.set()
            return is_refused()

        one, other = await asyncio.gather(allow(), look())
        return one, other

    assert asyncio.run(both()) == (False, True)


def test_receivers__are_refused_too() -> None:
    """The store does not open the door to what listens to it."""
    from complycube_sessions.signals import session_outcome_changed
    from complycube_sessions.testing import make_session as store

    told: list[bool] = []

    def listen(**kwargs: Any) -> None:
        told.append(is_refused())

    session_outcome_changed.connect(listen)
    try:
        store(outcome="clear")
    finally:
        session_outcome_changed.disconnect(listen)
    assert told == [True]
