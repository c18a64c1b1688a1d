"""
What keeps the hands of a project off mirrored rows: models, managers and querysets that refuse to write.

The app's own store speaks SQL (``db/bulk.py``) and never meets it. Neither do fixtures, migrations and
Django's deletion of what depends on a row, which use Django's plain base manager.
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
    """What ``allow_mirror_writes`` returns; a decorated function gets one of its own at each call."""

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
    Let the code inside write mirrored rows, which raises ``MirrorWriteError`` anywhere else.

    A context manager, and a decorator of functions and coroutine functions. It holds for this thread or
    asynchronous task and what it awaits, not for threads that it starts. Neither history nor signals,
    reviews or the words that a search finds follow such a write.
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
    """Reads as any, and writes only where that is allowed; what is not here ends in one of these or in ``save()``."""

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
    """The manager of a mirrored model, and by inheritance of the rows that a session has."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Of related rows Django makes a subclass, whose ``add`` writes by the base manager, which refuses nothing.
        if add := vars(cls).get("add"):
            cls.add = _guarded(add)  # type: ignore[attr-defined]


def _guarded(add: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(add)
    def guarded(self: models.Manager[Any], *rows: Any, **kwargs: Any) -> None:
        _refuse(self.model, "add")
        add(self, *rows, **kwargs)

    return guarded


class MirroredModel(models.Model):
    """A row that only the app's store writes: what it says is what ComplyCube said."""

    objects = MirroredManager.from_queryset(MirroredQuerySet)()

    class Meta:
        abstract = True

    def save_base(self, raw: bool = False, *args: Any, **kwargs: Any) -> None:
        if not raw:  # a fixture's row is
            _refuse(type(self), "save")
        super().save_base(raw, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        _refuse(type(self), "delete")
        return super().delete(*args, **kwargs)
