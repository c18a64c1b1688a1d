"""
The schema that a connection works in, carried from the thread of a request to the threads of this app.

Packages such as django-tenants choose a schema on the connection of the thread that answers a request. The
connection of another thread begins in the public one. No such package is imported here: what is relied on
are the attributes ``tenant`` and ``schema_name`` and the method ``set_tenant`` of their connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections

PUBLIC: Final = "public"


@dataclass(frozen=True, slots=True)
class Schemas:
    """
    The schema that each connection of a thread was set to; equal where their names are.

    ``names`` maps aliases to schemas; it is empty where no connection has a choice. ``tenants`` are what the
    package's ``set_tenant`` takes, with whether the public schema is looked into after the tenant's.
    """

    names: tuple[tuple[str, str], ...] = ()
    tenants: tuple[tuple[str, Any, bool], ...] = field(default=(), compare=False)

    @property
    def are_public(self) -> bool:
        """Return whether a thread that sets nothing works in the same schemas."""
        return all(name == PUBLIC for _, name in self.names)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Work in these schemas on the connections of this thread, and in its own ones after it."""
        before = current_schemas()
        self._set()
        try:
            yield
        finally:
            before._set()

    def _set(self) -> None:
        for alias, tenant, with_public in self.tenants:
            connection: Any = connections[alias]
            connection.set_tenant(tenant, include_public=with_public)


def current_schemas() -> Schemas:
    """Return the schemas of this thread's connections; it opens none."""
    found: list[tuple[str, str, Any]] = [
        (connection.alias, connection.schema_name, connection)  # type: ignore[attr-defined]
        for connection in connections.all()
        if getattr(connection, "tenant", None) is not None and hasattr(connection, "set_tenant")
    ]
    return Schemas(
        tuple((alias, name) for alias, name, _ in found),
        tuple(
            (alias, one.tenant, getattr(one, "include_public_schema", True))
            for alias, _, one in found
        ),
    )
