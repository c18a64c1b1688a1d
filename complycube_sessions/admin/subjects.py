"""Whom and which check the rows of a list are about, where the rows themselves hold ids only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display
from complycube_sessions.admin.base import allowed, column
from complycube_sessions.admin.paging import BoundedChangeList
from complycube_sessions.models import RelatedCheck, WorkflowSession


@dataclass(frozen=True)
class Subject:
    """What a row is about: links for one who may follow them, names for one who may see them."""

    person: SafeString | str
    check: SafeString | str


class SubjectColumns:
    """The columns that show the ``subject`` of a row of a ``SubjectChangeList``."""

    @column(gettext_lazy("who"))
    def person(self, row: Any) -> SafeString | str:
        subject: Subject = row.subject
        return subject.person

    @column(gettext_lazy("check"))
    def of_check(self, row: Any) -> SafeString | str:
        subject: Subject = row.subject
        return subject.check


class SubjectChangeList(BoundedChangeList):
    """A page of rows that name sessions and checks by their ids; two queries tell what they are."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.shows_people = allowed(request, "view_workflowsession")
        self.shows_checks = allowed(request, "view_relatedcheck")
        super().__init__(request, *args, **kwargs)

    def ids_of(self, row: Any) -> tuple[str, str]:
        """Return the ids of the session and of the check that a row names, or ``""``."""
        return row.session_id, row.check_id

    def rows(self, keys: Any) -> list[Any]:
        rows = super().rows(keys)
        named = [self.ids_of(row) for row in rows]
        checks = self._checks({check_id for _session_id, check_id in named if check_id})
        sessions = {session for session, _check in named} | {check.session_id for check in checks}
        names = self._names(sessions - {""})
        by_session = {(check.session_id, check.check_id): check for check in checks}
        by_id = {check.check_id: check for check in checks}
        for row, (session_id, check_id) in zip(rows, named, strict=True):
            check = by_session.get((session_id, check_id)) if session_id else by_id.get(check_id)
            found_id = session_id or (check.session_id if check else "")
            row.subject = Subject(self._person(found_id, names), self._check(check_id, check))
        return rows

    def _checks(self, ids: Collection[str]) -> Iterable[RelatedCheck]:
        checks = RelatedCheck.objects.using(self.root_queryset.db).filter(check_id__in=ids)
        fields = ("check_id", "session_id", "type")
        return list(checks.only(*fields).order_by("pk")) if ids and self.shows_checks else []

    def _names(self, ids: Collection[str]) -> dict[str, str]:
        sessions = WorkflowSession.objects.using(self.root_queryset.db).filter(pk__in=ids)
        found = sessions.order_by().values_list("pk", "entity_name")
        return dict(found) if ids and self.shows_people else {}

    def _person(self, session_id: str, names: dict[str, str]) -> SafeString | str:
        if session_id not in names:
            return display.short_id(session_id)
        page: Any = self.model_admin
        return format_html(
            '<a href="{}" title="{}"><bdi class="ccs-who">{}</bdi></a>',
            page.url("change", session_id, model=WorkflowSession),
            session_id,
            names[session_id] or f"({session_id})",
        )

    def _check(self, check_id: str, check: RelatedCheck | None) -> SafeString | str:
        if check is None:
            return display.short_id(check_id)
        page: Any = self.model_admin
        return format_html(
            '<a href="{}" title="{}"><bdi>{}</bdi></a>',
            page.row_url(check),
            check_id,
            display.check_type_label(check.type),
        )
