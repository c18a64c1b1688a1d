"""The schema of a connection, as packages for tenants choose it; a real one is in tests/installed_wheel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from complycube_sessions import tasks
from complycube_sessions.db.schemas import current_schemas


@pytest.fixture
def tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every connection the attributes and the method of django-tenants."""

    def set_tenant(self: Any, tenant: Any, include_public: bool = True) -> None:
        self.tenant, self.schema_name = tenant, tenant.schema_name
        self.include_public_schema = include_public

    patched: Any = BaseDatabaseWrapper
    public = SimpleNamespace(schema_name="public")
    monkeypatch.setattr(patched, "set_tenant", set_tenant, raising=False)
    monkeypatch.setattr(patched, "tenant", public, raising=False)
    monkeypatch.setattr(patched, "schema_name", "public", raising=False)


def test_schemas__in_another_thread(tenants: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread works in the schemas that were current here, and in its own ones after it."""
    here: Any = connection
    for name in ("tenant", "schema_name", "include_public_schema"):
        monkeypatch.setattr(here, name, None, raising=False)  # what is set below is undone
    here.set_tenant(SimpleNamespace(schema_name="one"), include_public=False)
    schemas = current_schemas()

    def seen() -> list[Any]:
        there: Any = connection
        with schemas.in_use():
            during = (there.schema_name, there.include_public_schema)
        return [during, there.schema_name]

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(seen).result() == [("one", False), "public"]
    assert dict(schemas.names)["default"] == "one"
    assert not schemas.are_public
    assert not tasks.has_task_engine()


def test_schemas__none() -> None:
    """A connection without schemas has none, and nothing is set."""
    schemas = current_schemas()
    assert schemas.names == ()
    assert schemas.are_public
