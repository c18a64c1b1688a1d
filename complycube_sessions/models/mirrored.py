"""
Protecting mirrored rows from writes of the project: models, managers and querysets that refuse to write.

The app itself writes with SQL (``db/bulk.py``) and is not affected. Neither are fixtures, migrations and Django's
cascading deletes, which use Django's plain base manager.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar, Token
from inspect import iscoroutinefunction
from typing import Any, Final, ParamSpec, TypeVar

from django.db import models

from complycube_sessions.exceptions import MirrorWriteError

P = ParamSpec("P")
R = TypeVar("R")
Row = TypeVar("Row", bound=models.Model)

_is_allowed: Final = ContextVar("complycube_sessions.mirror_writes", default=False)


class _Allowance:
    """The result of ``allow_mirror_writes``; each call of a decorated function uses an instance of its own."""

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(_is_allowed.set(True))

    def __exit__(self, *error: object) -> None:
        _is_allowed.reset(self._tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with _Allowance():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with _Allowance():
                return function(*args, **kwargs)

        return called


def allow_mirror_writes() -> _Allowance:
    """
    Allow writes to mirrored rows, which raise ``MirrorWriteError`` otherwise.

    Use it as a context manager, or as a decorator of functions and coroutine functions. It applies to the current
    thread or asynchronous task and to what it awaits, but not to threads that it starts. Such a write updates
    neither the history, the reviews nor the words of the search, and sends no signals.
    """
    return _Allowance()


def _refuse(model: type[models.Model], action: str) -> None:
    if not _is_allowed.get():
        raise MirrorWriteError(
            f"{model.__name__}.{action}() was refused: the row mirrors ComplyCube, and only a refresh writes it."
            " Call complycube_sessions.services.refresh_session() for news,"
            " complycube_sessions.testing.make_session() in a test,"
            " and for a deliberate repair write inside of complycube_sessions.models.allow_mirror_writes()."
        )


class MirroredQuerySet(models.QuerySet[Row]):
    """A queryset that refuses to write unless it is allowed; all other methods call one of these or ``save()``."""

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Row]:
        _refuse(self.model, "bulk_create")
        return super().bulk_create(*args, **kwargs)

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        _refuse(self.model, "bulk_update")
        return super().bulk_update(*args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        _refuse(self.model, "update")
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        _refuse(self.model, "delete")
        return super().delete()

    delete.queryset_only = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        _refuse(self.model, "_raw_delete")
        deleted: int = super()._raw_delete(using)
        return deleted


class MirroredManager(models.Manager[Row]):
    """The manager of a mirrored model; Django derives the managers of related rows from it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Django's subclasses for related rows have an ``add`` that writes through the unprotected base manager.
        if add := vars(cls).get("add"):
            cls.add = _guarded(add)  # type: ignore[attr-defined]


def _guarded(add: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(add)
    def guarded(self: models.Manager[Any], *rows: Any, **kwargs: Any) -> None:
        _refuse(self.model, "add")
        add(self, *rows, **kwargs)

    return guarded


class MirroredModel(models.Model):
    """A row that only the app itself writes, so that it always shows what ComplyCube answered."""

    objects = MirroredManager.from_queryset(MirroredQuerySet)()

    class Meta:
        abstract = True

    def save_base(self, raw: bool = False, *args: Any, **kwargs: Any) -> None:
        if not raw:  # fixtures are loaded with `raw`
            _refuse(type(self), "save")
        super().save_base(raw, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        _refuse(type(self), "delete")
        return super().delete(*args, **kwargs)
