"""A model of a host project that refers to rows of the app, made for one test and forgotten after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, models

from complycube_sessions.models import WorkflowSession

APP = "sandbox"


@contextmanager
def host_model(
    on_delete: Any,
    *,
    name: str = "Invoice",
    to: type[models.Model] = WorkflowSession,
    **options: Any,
) -> Iterator[Any]:
    """
    Yield a model with a foreign key ``target``, whose table is there meanwhile.

    SQLite makes no table in a transaction, so the test needs ``django_db(transaction=True)``.
    """
    target: Any = models.ForeignKey(to, on_delete, related_name="+", **options)
    meta = type("Meta", (), {"app_label": APP})
    model: Any = type(
        name, (models.Model,), {"__module__": __name__, "Meta": meta, "target": target}
    )
    try:
        with connection.schema_editor() as editor:
            editor.create_model(model)
        try:
            yield model
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(model)
    finally:
        del apps.all_models[APP][name.lower()]
        apps.clear_cache()
