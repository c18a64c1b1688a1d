"""
The filters of the lists.

None of them lists what it would have to scan a table for: words come from the known ones, templates
from the newest sessions. A value that is not among the choices works all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from complycube_sessions.conf import account_names, conf
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)
from complycube_sessions.models.open_choices import NO_WORD, OTHER_WORDS, with_word, word_is
from complycube_sessions.statistics.by_day import day_bounds

NEWEST_SESSIONS: Final = 500
TEMPLATES_LISTED: Final = 20
YES: Final = "yes"
NO: Final = "no"

Choices = list[tuple[str, Any]]


class ShownListFilter(admin.SimpleListFilter):
    """A filter that says what it is set to, and is a list of links."""

    template = "complycube_sessions/includes/choice_filter.html"

    def chosen_text(self) -> str:
        """Return the label of what is chosen, or ``""``."""
        value = self.value()
        return str(dict(self.lookup_choices).get(value, value)) if value else ""


class WordListFilter(ShownListFilter):
    """One word of an open set: the known ones, none, any other, or one that the address names."""

    field = ""
    known: Choices = []

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        chosen = self.used_parameters.get(self.parameter_name or "")
        words = [
            *self.known,
            (NO_WORD, pgettext("complycube", "None")),
            (OTHER_WORDS, _("Any other word")),
        ]
        if chosen and chosen not in dict(words):
            words.append((chosen, chosen))
        return words

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        word = self.value()
        if not word:
            return queryset
        return with_word(queryset, self.field, word, [known for known, _label in self.known])


class OutcomeListFilter(WordListFilter):
    title = gettext_lazy("outcome")
    parameter_name = field = "outcome"
    known = WorkflowSession.Outcome.choices


class StatusListFilter(WordListFilter):
    title = gettext_lazy("status")
    parameter_name = field = "status"
    known = WorkflowSession.Status.choices


class CheckTypeListFilter(WordListFilter):
    title = gettext_lazy("type")
    parameter_name = field = "type"
    known = RelatedCheck.Type.choices


class CheckOutcomeListFilter(WordListFilter):
    title = gettext_lazy("outcome")
    parameter_name = field = "outcome"
    known = RelatedCheck.Outcome.choices


class CheckStatusListFilter(WordListFilter):
    title = gettext_lazy("status")
    parameter_name = field = "status"
    known = RelatedCheck.Status.choices


class ChangeFieldListFilter(WordListFilter):
    title = gettext_lazy("field")
    parameter_name = field = "field"
    known = SessionChange.Field.choices


class ChangeSourceListFilter(WordListFilter):
    title = gettext_lazy("source")
    parameter_name = field = "source"
    known = SessionChange.Source.choices


class RunStateListFilter(WordListFilter):
    title = gettext_lazy("state")
    parameter_name = field = "state"
    known = RefreshRun.State.choices


class RunModeListFilter(WordListFilter):
    title = gettext_lazy("mode")
    parameter_name = field = "mode"
    known = RefreshRun.Mode.choices


class ChoiceListFilter(ShownListFilter):
    """A few choices, of which a value that is none of them finds nothing."""

    def has_output(self) -> bool:
        return super().has_output() or self.value() is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if not value else self.narrow(queryset, value)

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        """Return the rows that have the value."""
        raise NotImplementedError


class ReviewListFilter(ChoiceListFilter):
    title = gettext_lazy("review")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        return [(YES, _("Needs review"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        sessions: QuerySet[Any] = queryset.needs_review() if value == YES else queryset.none()
        return sessions


class TemplateListFilter(ChoiceListFilter):
    title = gettext_lazy("workflow template")
    parameter_name = "template"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        newest = WorkflowSession.objects.order_by("-created_at", "-pk")[:NEWEST_SESSIONS]
        found: dict[str, str] = {}
        for template_id, name in newest.values_list(
            "workflow_template_id", "workflow_template_name"
        ):
            if template_id:
                found.setdefault(template_id, name or template_id)
        choices = sorted(found.items(), key=lambda choice: choice[1].casefold())
        choices = choices[:TEMPLATES_LISTED]
        chosen = self.used_parameters.get("template")
        if chosen and chosen != NO_WORD and chosen not in dict(choices):
            choices.append((chosen, found.get(chosen, chosen)))
        return [*choices, (NO_WORD, pgettext("complycube", "None"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        sessions: QuerySet[Any] = queryset.filter(word_is("workflow_template_id", value, ()))
        return sessions


class AccountListFilter(ChoiceListFilter):
    title = gettext_lazy("account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        names = account_names()
        return [(name, name) for name in names] if len(names) > 1 else []

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        rows: QuerySet[Any] = queryset.filter(account=value)
        return rows


class EnvironmentListFilter(ChoiceListFilter):
    title = gettext_lazy("environment")
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        return [("live", _("Live")), ("test", _("Test")), (NO_WORD, _("Unknown"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        rows: QuerySet[Any] = queryset.filter(word_is("environment", value, ()))
        return rows


class ChangedListFilter(ChoiceListFilter):
    title = gettext_lazy("recorded change")
    parameter_name = "changed"
    periods: Final = {"24h": timedelta(hours=24), "7d": timedelta(days=7)}

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        return [("24h", _("In the last 24 hours")), ("7d", _("In the last 7 days"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        if value not in self.periods:
            return queryset.none()  # type: ignore[no-any-return]
        since = timezone.now() - self.periods[value]
        return queryset.changed_since(since)  # type: ignore[no-any-return]


class MissingListFilter(ChoiceListFilter):
    title = gettext_lazy("missing upstream")
    parameter_name = "missing"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        return [(YES, _("Missing")), ("no", _("Not missing"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        rows: QuerySet[Any] = queryset.filter(missing_since__isnull=value != YES)
        return rows


class StaleListFilter(ChoiceListFilter):
    title = gettext_lazy("freshness")
    parameter_name = "stale"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        return [(YES, _("Not refreshed for longer than expected"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        older_than = conf.COMPLYCUBE_EXPECTED_REFRESH_INTERVAL
        sessions: QuerySet[Any] = queryset.none()
        if value == YES:
            sessions = queryset.stale_now(older_than=older_than)
        return sessions


class FailingListFilter(ChoiceListFilter):
    title = gettext_lazy("attempts")
    parameter_name = "failing"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Choices:
        return [(YES, _("Failed at least once")), (NO, _("Not tried yet"))]

    def narrow(self, queryset: Any, value: str) -> QuerySet[PendingRefresh]:
        tried = Q(attempts__gt=0) if value == YES else Q(attempts=0)
        rows: QuerySet[PendingRefresh] = queryset.filter(tried)
        return rows


class FormListFilter(admin.ListFilter):
    """
    A filter with fields, which belong to the form of the search by their attribute ``form``.

    So nothing depends on where a theme shows them, and search and filters are sent together.
    """

    parameters: tuple[str, ...] = ()

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: Any,
        model_admin: admin.ModelAdmin,
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1].strip()
        self.clear_query = ""

    def value(self, name: str) -> str:
        return str(self.used_parameters.get(name, ""))

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        if any(self.used_parameters.values()):
            self.clear_query = changelist.get_query_string(remove=list(self.parameters))
        return iter(())


class CreatedListFilter(FormListFilter):
    """The days on which sessions were created, both included, in the site's time zone."""

    title = gettext_lazy("created")
    template = "complycube_sessions/includes/created_filter.html"
    parameters = ("created_from", "created_to")
    path = ""

    def chosen_text(self) -> str:
        """Return the days in words, or ``""``."""
        first, last = (self.value(name) for name in self.parameters)
        if first == NO_WORD:
            return _("unknown")
        if first and last:
            return first if first == last else f"{first} \N{EN DASH} {last}"
        if first:
            return _("from %(day)s") % {"day": first}
        return _("to %(day)s") % {"day": last} if last else ""

    @property
    def error(self) -> str:
        """What is wrong with the days, or ``""``."""
        return "" if self.days is not None else _("That is not a date.")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        field = f"{self.path}created_at"
        if self.value("created_from") == NO_WORD:
            return queryset.filter(**{f"{field}__isnull": True})
        days = self.days
        if days is None:
            return queryset.none()
        start, end = day_bounds(*days)
        if start:
            queryset = queryset.filter(**{f"{field}__gte": start})
        if end:
            queryset = queryset.filter(**{f"{field}__lt": end})
        return queryset

    @property
    def days(self) -> tuple[date | None, date | None] | None:
        """The first and the last day; None where the address names what is no day."""
        typed = [self.value(name) for name in self.parameters]
        if typed[0] == NO_WORD:
            return None, None
        try:
            first, last = (date.fromisoformat(text) if text else None for text in typed)
        except ValueError:
            return None
        # The first and last days of the calendar leave no room for a time zone.
        if any(day is not None and not 1900 <= day.year <= 9000 for day in (first, last)):
            return None
        return first, last


class SessionCreatedListFilter(CreatedListFilter):
    title = gettext_lazy("session created")
    path = "session__"


class WithCheckListFilter(FormListFilter):
    """The sessions with a check of a type, of an outcome, or of both at once."""

    title = gettext_lazy("check")
    template = "complycube_sessions/includes/check_filter.html"
    parameters = ("check_type", "check_outcome")

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        check_type, outcome = (self.value(name) for name in self.parameters)
        if not check_type and not outcome:
            return queryset  # type: ignore[no-any-return]
        return queryset.with_check(check_type, outcome)  # type: ignore[no-any-return]

    def chosen_text(self) -> str:
        """Return the type and the outcome in words, or ``""``."""
        chosen = [label for _word, label, on in [*self.types, *self.outcomes] if on]
        return " · ".join(map(str, chosen))

    @property
    def types(self) -> Iterable[tuple[str, Any, bool]]:
        """The types to choose from: word, label, whether it is chosen."""
        return self._options("check_type", RelatedCheck.Type.choices)

    @property
    def outcomes(self) -> Iterable[tuple[str, Any, bool]]:
        """The outcomes to choose from: word, label, whether it is chosen."""
        others = [(NO_WORD, pgettext("complycube", "None")), (OTHER_WORDS, _("Any other word"))]
        return self._options("check_outcome", [*RelatedCheck.Outcome.choices, *others])

    def _options(self, name: str, known: Choices) -> list[tuple[str, Any, bool]]:
        chosen = self.value(name)
        if chosen and chosen not in dict(known):
            known = [*known, (chosen, chosen)]
        return [(word, label, word == chosen) for word, label in known]
