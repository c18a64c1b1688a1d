"""Text that compares exactly on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    CharField = models.CharField[Any, Any]
else:
    CharField = models.CharField


class ExactCharField(CharField):
    """
    Text that is compared byte by byte on every database.

    SQLite and PostgreSQL do so by themselves. MySQL and MariaDB fold case, accents and trailing
    spaces unless the column has a binary collation without padding, whose name differs between them.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin"
        return parameters
