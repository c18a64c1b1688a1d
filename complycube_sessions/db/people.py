"""References to users of the project, whose model may be swapped and whose table may be in another database."""

from __future__ import annotations

from typing import Any

from django.db import models

from complycube_sessions.conf import conf
from complycube_sessions.db.connections import write_alias


def forget_person(collector: Any, field: Any, rows: Any, using: str) -> None:
    """
    Set a reference to NULL when its user is deleted, and release the rows that the user held.

    Django would look for the rows in the user's database; they are in the database of this app.
    """
    own = rows.using(write_alias())
    for name, old, new in getattr(field.model, "left_by_a_person", {}).get(field.name, ()):
        collector.add_field_update(
            field.model._meta.get_field(name), new, own.filter(**{name: old})
        )
    collector.add_field_update(field, None, own)


forget_person.lazy_sub_objs = True  # type: ignore[attr-defined] # keeps Django from querying the user's database


def person_key(label: Any, *, db_index: bool = True) -> Any:
    """Return a foreign key to a user without a constraint, which could not reach another database."""
    return models.ForeignKey(
        conf.AUTH_USER_MODEL,
        forget_person,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=db_index,
        verbose_name=label,
    )
