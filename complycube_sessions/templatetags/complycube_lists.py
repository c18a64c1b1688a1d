"""The table of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from django import template
from django.contrib.admin.templatetags.admin_list import result_headers, result_list
from django.contrib.admin.utils import display_for_value
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

register = template.Library()


@dataclass(frozen=True)
class Column:
    """A column whose values a method of the admin class tells."""

    value_of: Callable[[Any], Any]
    css_class: str
    empty: Any
    is_link: bool
    tag: str
    label: str


class Row(list[SafeString]):
    """A row as Django's template takes it; its cells are one text."""

    form = None


@register.inclusion_tag("complycube_sessions/includes/result_table.html")
def complycube_result_list(cl: ChangeList) -> dict[str, Any]:
    """
    Return what Django's ``result_list`` returns, without asking the same for every cell.

    Django finds out for each cell what its column is, and for each row where its address leads. Where
    methods of the admin class are all columns, the answer is the same for every row. Any other list
    is Django's own, as is one that another page opens to choose a row from.
    """
    methods = [_method(cl, name) for name in cl.list_display]
    if cl.is_popup or cl.formset or None in methods:
        shown: dict[str, Any] = result_list(cl)
        return {**shown, "result_headers": _headers(cl, shown["result_headers"])}
    headers = _headers(cl, result_headers(cl))
    columns = _columns(cl, methods, headers)
    return {
        "cl": cl,
        "result_headers": headers,
        "results": [Row([_cells(columns, row, _address(cl, row))]) for row in cl.result_list],
    }


def _headers(cl: ChangeList, headers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the headings; the box that takes all rows has no id by which a theme could hide it."""
    box = format_html(
        '<input type="checkbox" class="ccs-all" aria-label="{}">', _("Select all rows of this page")
    )
    return [
        {**header, "text": box} if name == "action_checkbox" else header
        for name, header in zip(cl.list_display, headers, strict=True)
    ]


def _method(cl: ChangeList, name: Any) -> Callable[[Any], Any] | None:
    """Return the method of the admin class that a column is, if it is one that returns what is shown."""
    if not isinstance(name, str) or name == "__str__":
        return None
    try:
        cl.lookup_opts.get_field(name)
    except FieldDoesNotExist:
        method = getattr(cl.model_admin, name, None)
        return None if getattr(method, "boolean", False) else method
    return None


def _columns(cl: ChangeList, methods: Sequence[Any], headers: Sequence[Any]) -> list[Column]:
    links = [name for name in cl.list_display if name in (cl.list_display_links or ())]
    empty = cl.model_admin.get_empty_value_display()
    return [
        Column(
            value_of=method,
            css_class="action-checkbox" if name == "action_checkbox" else f"field-{name}",
            empty=getattr(method, "empty_value_display", empty),
            is_link=name in links,
            tag="th" if name in links[:1] else "td",
            label="" if name == "action_checkbox" else capfirst(str(header["text"])),
        )
        for name, method, header in zip(cl.list_display, methods, headers, strict=True)
    ]


def _address(cl: ChangeList, row: Any) -> SafeString:
    """Return the address of a row's page, which leads back to the list as it is."""
    filters = f"?{cl.preserved_filters}" if cl.preserved_filters else ""
    return conditional_escape(f"{cl.url_for_result(row)}{filters}")


def _cells(columns: Sequence[Column], row: Any, address: str) -> SafeString:
    return SafeString("".join(_cell(column, column.value_of(row), address) for column in columns))


def _cell(column: Column, value: Any, address: str) -> str:
    css_class, shown = column.css_class, value
    if not isinstance(value, str) or not value.strip():
        shown = display_for_value("" if isinstance(value, str) else value, column.empty)
        css_class += " nowrap" if isinstance(value, (date, time)) else ""
    html: str = conditional_escape(shown)
    if column.is_link:
        html = f'<a href="{address}">{html}</a>'
    label = f' data-label="{escape(column.label)}"' if column.label else ""
    return f'<{column.tag} class="{css_class}"{label}>{html}</{column.tag}>'
