"""How the API lists: which query parameters it knows, what they mean, and its envelope."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import models
from django.http import QueryDict

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 1000
LONGEST_VALUE: Final = 1000

WINDOWS: Final = {
    "createdAfter": "created_at__gt",
    "createdBefore": "created_at__lt",
    "updatedAfter": "updated_at__gt",
    "updatedBefore": "updated_at__lt",
}
SESSION_FILTERS: Final = {
    "clientId": "client_id",
    "entityName": "entity_name",
    "status": "status",
    "outcome": "outcome",
    "workflowTemplateId": "workflow_template_id",
    "workflowTemplateName": "workflow_template_name",
    "workflowId": "workflow_id",
    "workflowVersion": "workflow_version",
}
CHECK_FILTERS: Final = {
    "clientId": "client_id",
    "type": "type",
    "status": "status",
    "documentId": "document_id",
    "addressId": "address_id",
    "livePhotoId": "live_photo_id",
    "liveVideoId": "live_video_id",
    "result.outcome": "outcome",
}
CLIENT_FILTERS: Final = {"type": "type", "email": "email"}
WEBHOOK_FILTERS: Final = {"url": "url", "enabled": "enabled"}
AUDIT_FILTERS: Final = {
    "memberId": "member_id",
    "resourceType": "resource_type",
    "resourceId": "resource_id",
    "clientId": "client_id",
    "trigger": "trigger",
    "action": "action",
}
# As JSON writes them; the vendor's Python package sends ``True``, and finds nothing.
BOOLEANS: Final = {"true": True, "false": False}


class PagingError(ValueError):
    """A page or a page size that the API refuses; ``param`` names it."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Paging:
    """Which part of a list was asked for."""

    page: int
    page_size: int

    @classmethod
    def from_query(cls, query: QueryDict) -> Paging:
        """
        Return the page and page size of a query.

        Raises:
            PagingError: One of them is no number or out of range (undocumented at the vendor's).
        """
        return cls(
            page=_whole_number(query, "page", 1, None),
            page_size=_whole_number(query, "pageSize", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        )


def list_json(
    rows: models.QuerySet[models.Model],
    paging: Paging,
    query: QueryDict,
    filters: Mapping[str, str],
) -> str:
    """Return the envelope with one page of the rows that match a query, newest first, as JSON text."""
    conditions = _conditions(query, filters)
    matches = rows.none() if conditions is None else rows.filter(**conditions)
    total = matches.count()
    pages = -(-total // paging.page_size)
    items: list[str] = []
    if paging.page <= pages:
        start = (paging.page - 1) * paging.page_size
        newest_first = matches.order_by("-created_at", "-id").values_list("item", flat=True)
        items = list(newest_first[start : start + paging.page_size])
    return (
        f'{{"page":{paging.page},"pageSize":{paging.page_size},"totalItems":{total},'
        f'"pages":{pages},"items":[{",".join(items)}]}}'
    )


def _conditions(query: QueryDict, filters: Mapping[str, str]) -> dict[str, object] | None:
    """Return lookups for a queryset, or None when the vendor would answer with no items."""
    conditions: dict[str, object] = {}
    for name, values in query.lists():
        if name in {"page", "pageSize"}:
            continue
        # A filter given twice can never equal both, and an empty one is malformed.
        value = values[0] if len(set(values)) == 1 else ""
        if not value or "\0" in value or len(value) > LONGEST_VALUE:
            return None
        if name in WINDOWS:
            moment = _parse_time(value)
            if moment is None:
                return None
            conditions[WINDOWS[name]] = moment
        elif name in filters and (typed := _typed(name, value)) is not None:
            conditions[filters[name]] = typed
        else:
            return None
    return conditions


def _typed(name: str, value: str) -> object:
    """Return the value of a filter as its column has it, or None where it can be none."""
    if name == "workflowVersion":
        return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
    return BOOLEANS.get(value) if name == "enabled" else value


def _parse_time(text: str) -> datetime | None:
    """Return a time in UTC, or None for what is no ISO 8601 time with ``Z`` or an offset."""
    if "T" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _whole_number(query: QueryDict, name: str, default: int, highest: int | None) -> int:
    text = query.get(name)
    if text is None:
        return default
    wanted = f"a whole number from 1 to {highest}" if highest else "a whole number of 1 or more"
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < 1 or (highest and int(text) > highest):
        raise PagingError(name, f"'{name}' must be {wanted}")
    return int(text)
