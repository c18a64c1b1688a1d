"""References to people of the project, whose table may be swapped and may be in another database."""

from __future__ import annotations

from typing import Any

from django.db import models

from complycube_sessions.conf import conf
from complycube_sessions.db.connections import write_alias


def forget_person(collector: Any, field: Any, rows: Any, using: str) -> None:
    """
    Set a reference to NULL when its person is deleted, and let go of what that person held.

    Django looks for the rows where the person is deleted; they are where this app is.
    """
    own = rows.using(write_alias())
    for name, old, new in getattr(field.model, "left_by_a_person", {}).get(field.name, ()):
        collector.add_field_update(
            field.model._meta.get_field(name), new, own.filter(**{name: old})
        )
    collector.add_field_update(field, None, own)


forget_person.lazy_sub_objs = True  # type: ignore[attr-defined] # Django is not to ask its own database


def person_key(label: Any, *, db_index: bool = True) -> Any:
    """Return a column for somebody of the project: no constraint can reach another database."""
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
