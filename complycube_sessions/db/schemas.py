"""
Passing the database schema of a connection from the thread of a request to the threads of this app.

Packages such as django-tenants set a schema on the connection of the thread that handles a request. Connections
of other threads start in the public schema. No such package is imported here: the code only relies on the
attributes ``tenant`` and ``schema_name`` and the method ``set_tenant`` of their connections.
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
    The schemas that the connections of a thread are set to; instances are compared by ``names``.

    ``names`` maps aliases to schemas; it is empty if no connection supports schemas. ``tenants`` has the arguments
    for the package's ``set_tenant``: the tenant, and whether to include the public schema.
    """

    names: tuple[tuple[str, str], ...] = ()
    tenants: tuple[tuple[str, Any, bool], ...] = field(default=(), compare=False)

    @property
    def are_public(self) -> bool:
        """Return whether all schemas are public, as in a thread that sets none."""
        return all(name == PUBLIC for _, name in self.names)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Set the connections of this thread to these schemas, and restore the previous ones afterwards."""
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
    """Return the schemas of this thread's connections, without opening any."""
    in_schemas: list[tuple[str, str, Any]] = [
        (connection.alias, connection.schema_name, connection)  # type: ignore[attr-defined]
        for connection in connections.all()
        if getattr(connection, "tenant", None) is not None and hasattr(connection, "set_tenant")
    ]
    return Schemas(
        tuple((alias, name) for alias, name, _ in in_schemas),
        tuple(
            (alias, connection.tenant, getattr(connection, "include_public_schema", True))
            for alias, _, connection in in_schemas
        ),
    )
