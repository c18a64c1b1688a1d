"""What was removed and why: erasures, shown by the hash that was kept, and retention runs."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from complycube_sessions.admin import display, filters
from complycube_sessions.admin.base import ReadOnlyAdmin, column, time_column
from complycube_sessions.models import Erasure, PruneRun
from complycube_sessions.privacy.digests import SHORT_DIGEST
from complycube_sessions.privacy.tombstones import ANY_ACCOUNT


class ErasureKindListFilter(filters.WordListFilter):
    title = gettext_lazy("kind")
    parameter_name = field = "kind"
    known = Erasure.Kind.choices


class CountsInAccountListFilter(filters.AccountListFilter):
    def narrow(self, queryset: Any, value: str) -> QuerySet[Any]:
        rows: QuerySet[Any] = queryset.filter(account__in=[value, ANY_ACCOUNT])
        return rows


class ErasureAdmin(ReadOnlyAdmin):
    list_display = ["mark", "kind_label", "scope", "erased", "actor", "why", "override_text"]
    list_filter = [ErasureKindListFilter, CountsInAccountListFilter]
    ordering = ["-erased_at", "-id"]
    search_fields = ["digest__startswith"]
    # An id in an address would come back in the logs of the web server.
    search_help_text = gettext_lazy("The beginning of a hash.")
    page_template = "record.html"

    @column(gettext_lazy("Hash"))
    def mark(self, erasure: Erasure) -> SafeString | str:
        return shortened(erasure.digest)

    @column(gettext_lazy("kind"), ordering="kind")
    def kind_label(self, erasure: Erasure) -> str:
        return str(erasure.get_kind_display())

    @column(gettext_lazy("account"), ordering="account")
    def scope(self, erasure: Erasure) -> str:
        return _("all accounts") if erasure.account == ANY_ACCOUNT else erasure.account

    erased = time_column("erased_at", gettext_lazy("erased"), ordering="erased_at")

    @column(gettext_lazy("reason"))
    def why(self, erasure: Erasure) -> str:
        return erasure.reason[:200] or display.DASH

    @column(gettext_lazy("override"))
    def override_text(self, erasure: Erasure) -> str:
        return erasure.override[:200] or display.DASH

    def page_context(self, request: HttpRequest, row: Erasure) -> dict[str, Any]:
        return {
            "subtitle": str(row),
            "heading": _("Erasure"),
            "fields": [
                (_("Hash"), format_html("<code>{}</code>", row.digest)),
                (_("Kind"), self.kind_label(row)),
                (_("Hash of the client"), shortened(row.client_digest)),
                (_("Account"), self.scope(row)),
                (_("Erased"), display.moment(row.erased_at)),
                (_("Erased by"), row.actor),
                (_("Reason"), row.reason or display.DASH),
                (_("Reason for the override"), row.override or display.DASH),
                (_("Key fingerprint"), shortened(row.key_fingerprint)),
            ],
            "counts": counts_of(row),
        }


class PruneRunAdmin(ReadOnlyAdmin):
    list_display = ["started", "actor", "rows", "protected", "override_text", "took"]
    ordering = ["-started_at", "-id"]
    page_template = "record.html"

    started = time_column("started_at", gettext_lazy("started"), ordering="started_at")

    @column(gettext_lazy("rows removed"))
    def rows(self, run: PruneRun) -> int:
        return sum(count for _name, count in counts_of(run))

    @column(gettext_lazy("override"))
    def override_text(self, run: PruneRun) -> str:
        return run.override[:200] or display.DASH

    @column(gettext_lazy("duration"))
    def took(self, run: PruneRun) -> str:
        return display.duration(display.between(run.started_at, run.finished_at))

    def page_context(self, request: HttpRequest, row: PruneRun) -> dict[str, Any]:
        return {
            "subtitle": _("Run %(id)s") % {"id": row.pk},
            "heading": _("Retention run"),
            "fields": [
                (_("Started"), display.moment(row.started_at)),
                (_("Finished"), display.moment(row.finished_at)),
                (_("Started by"), row.actor),
                (_("Protected sessions"), row.protected),
                (_("Reason for the override"), row.override or display.DASH),
            ],
            "counts": counts_of(row),
        }


def shortened(hashed: str) -> SafeString | str:
    """Return the beginning of a hash, which is enough to tell it from others."""
    return format_html("<code>{}</code>", hashed[:SHORT_DIGEST]) if hashed else display.DASH


def counts_of(record: PruneRun | Erasure) -> list[tuple[str, int]]:
    """Return what a run or an erasure removed by name."""
    found = record.removed if isinstance(record.removed, dict) else {}
    return [(name, count) for name, count in found.items() if isinstance(count, int)]
