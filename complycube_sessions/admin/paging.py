"""
Lists of any length: counted up to a bound, and turned over from row to row.

Up to the bound a list is Django's own, with its number of rows and of pages. Beyond it the page says
"more than", and is turned over by positions (``after``, ``before``), which cost the same on every page.
A page asked for by its number (``p``) is found all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from complycube_sessions.db import keyset
from complycube_sessions.models.session_queries import read_plan

COUNTED: Final = 500
AFTER_VAR: Final = "after"
BEFORE_VAR: Final = "before"
# Before the end: the last page.
END: Final = "end"


@dataclass(frozen=True)
class Pages:
    """Where the buttons of a long list lead to; "" where there is nothing."""

    first: str
    previous: str
    next: str
    last: str


class BoundedPaginator(Paginator):
    """A paginator that reads no more keys than it needs to count up to its bound."""

    @cached_property
    def first_keys(self) -> list[Any]:
        """Return the primary keys of the first rows, one more than are counted."""
        keys = self._all_keys
        if read_plan(self.object_list).is_gathered:
            # With a limit PostgreSQL may rather walk all rows in their order than look up these few.
            return list(keys)[: COUNTED + 1]
        return list(keys[: COUNTED + 1])

    @cached_property
    def count(self) -> int:
        is_long = read_plan(self.object_list).is_long
        return COUNTED + 1 if is_long else len(self.first_keys)

    @property
    def is_bounded(self) -> bool:
        """Whether there are more rows than were counted."""
        return self.count > COUNTED

    def keys(self, number: int) -> list[Any]:
        """Return the primary keys of a page and of the row behind it."""
        start = (number - 1) * self.per_page
        end = start + self.per_page + 1
        if not self.is_bounded or ("first_keys" in self.__dict__ and end <= self.count):
            return self.first_keys[start:end]
        return list(self._all_keys[start:end])

    @property
    def _all_keys(self) -> QuerySet[Any]:
        rows: Any = self.object_list
        keys: QuerySet[Any] = rows.values_list("pk", flat=True)
        return keys


class BoundedChangeList(ChangeList):
    """A list of which only one page is read, whatever its length."""

    # For a column that many rows share: what sorts them further, as the index of the column does.
    completions: dict[str, tuple[str, ...]] = {}

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        specs: list[Any] = found[0]
        self.field_names = {name for spec in specs for name in getattr(spec, "parameters", ())}
        for name in self.field_names:
            # A field that was left empty asks for nothing.
            if not self.params.get(name, "").strip():
                self.params.pop(name, None)
                self.filter_params.pop(name, None)
        return found

    @property
    def kept_parameters(self) -> list[tuple[str, str]]:
        """What the form of the search sends along: all of the address but its own fields."""
        own = {SEARCH_VAR, *self.field_names}
        return [(name, value) for name, value in self.params.items() if name not in own]

    def get_queryset(self, request: HttpRequest, *args: Any) -> QuerySet[Any]:
        for name in (AFTER_VAR, BEFORE_VAR):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        if ORDER_VAR in self.params:
            # One column at a time: no index serves an order of several.
            self.params[ORDER_VAR] = self.params[ORDER_VAR].split(".")[0]
        return super().get_queryset(request, *args)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return an order in one direction down to the primary key, as the indexes have it."""
        ordering: list[Any] = super().get_ordering(request, queryset)
        keys = keyset.keys_of(self.model, ordering)
        if not keys:
            return ordering
        # After the first column Django names those that the queryset is already sorted by.
        sign = "-" if keys[0].descending else ""
        paths = [keys[0].path, *self.completions.get(keys[0].path, ())]
        return [f"{sign}{path}" for path in dict.fromkeys([*paths, "pk"])]

    def shape(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return rows with no more of each than the list shows."""
        return rows

    def get_results(self, request: HttpRequest) -> None:
        self.paginator = BoundedPaginator(self.queryset, self.list_per_page)
        self.keys = keyset.keys_of(self.model, self.queryset.query.order_by)
        cursor = _cursor(request) if self.keys else None
        self.is_bounded = cursor is not None or self.paginator.is_bounded
        self.is_numbered = cursor is None
        self.result_count = COUNTED + 1 if cursor else self.paginator.count
        self.can_show_all = self.result_count <= self.list_max_show_all
        self.multi_page = self.result_count > self.list_per_page
        self.show_full_result_count = False
        # A number beside the search would be that of the bound.
        self.full_result_count = self.result_count if self.is_bounded else None
        self.show_admin_actions = True
        self.result_list = self._behind(*cursor) if cursor else self._numbered()
        self.counted = COUNTED

    def _numbered(self) -> list[Any]:
        """Return the rows of a page by its number."""
        number, size = self.page_num, self.list_per_page
        if not self.multi_page or (self.show_all and self.can_show_all):
            number, size = 1, self.list_max_show_all
            keys = self.paginator.first_keys[: max(size, self.list_per_page)]
        else:
            keys = self.paginator.keys(number) if number > 0 else []
            if not keys:
                raise IncorrectLookupParameters
        rows = self.rows(keys[:size])
        self.pages = self._pages(rows, has_previous=number > 1, has_next=len(keys) > size)
        return rows

    def _behind(self, backwards: bool, text: str) -> list[Any]:
        """Return the rows of the page that ends or begins at a position."""
        try:
            after = None if backwards and text == END else keyset.decode(text, self.keys)
        except keyset.CursorError as error:
            raise IncorrectLookupParameters from error
        size = self.list_per_page
        rows = self.queryset.values_list("pk", flat=True)
        keys = keyset.page(
            rows,
            self.keys,
            size=size + 1,
            after=after,
            backwards=backwards,
            is_short=read_plan(self.queryset).is_gathered,
        )
        is_cut = len(keys) > size
        shown = self.rows(keys[-size:] if backwards else keys[:size])
        self.pages = self._pages(
            shown,
            has_previous=is_cut if backwards else True,
            has_next=after is not None if backwards else is_cut,
        )
        return shown

    def rows(self, keys: Sequence[Any]) -> list[Any]:
        """Return rows by their primary keys, in this order."""
        found = {row.pk: row for row in self.shape(self.root_queryset.filter(pk__in=keys))}
        return [found[key] for key in keys if key in found]

    def _pages(self, rows: Sequence[Any], *, has_previous: bool, has_next: bool) -> Pages:
        def address(name: str, value: str) -> str:
            return self.get_query_string({name: value})

        def behind(name: str, row: Any) -> str:
            return address(name, keyset.encode(keyset.position(row, self.keys)))

        has_positions = self.is_bounded and bool(self.keys) and bool(rows)
        return Pages(
            first=self.get_query_string() if has_previous else "",
            previous=behind(BEFORE_VAR, rows[0]) if has_positions and has_previous else "",
            next=behind(AFTER_VAR, rows[-1]) if has_positions and has_next else "",
            last=address(BEFORE_VAR, END) if has_positions and has_next else "",
        )

    @property
    def may_select_all(self) -> bool:
        """Whether an action may run on the rows of all pages: on those of a list that is counted."""
        return not self.is_bounded and self.result_count > len(self.result_list)

    @property
    def exact_count(self) -> int | None:
        """How many rows a long list has, where that is known without counting them."""
        return None

    @property
    def numbers(self) -> list[tuple[int, str, bool]]:
        """The pages that are counted: number, address, whether it is the one that is shown."""
        counted = min(self.result_count, COUNTED)
        last = -(-counted // self.list_per_page) if self.multi_page and not self.show_all else 0
        return [
            (
                number,
                self.get_query_string({PAGE_VAR: str(number)}),
                self.is_numbered and number == self.page_num,
            )
            for number in range(1, last + 1)
        ]


def _cursor(request: HttpRequest) -> tuple[bool, str] | None:
    """Return the position that an address asks for, and whether its page lies before it."""
    for name, backwards in ((AFTER_VAR, False), (BEFORE_VAR, True)):
        if text := request.GET.get(name, ""):
            return backwards, text
    return None
