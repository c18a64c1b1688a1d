"""Why checks are not clear, on the pages: which results are read for it, and how the reasons look."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Length
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from complycube_sessions.admin import display
from complycube_sessions.findings.matches import Matches
from complycube_sessions.findings.meanings import check_meaning
from complycube_sessions.findings.reasons import Reason, reasons
from complycube_sessions.models import RelatedCheck

REASONS_SHOWN: Final = 5
# A result has some ten thousand characters; one beyond this is read on the page of its check alone.
LONGEST_RESULT: Final = 200_000
RESULTS_READ: Final = 100
_GLYPHS: Final = {
    "refused": "✕",
    "failed": "⚠",
    "attention": "!",
    "unknown": "?",
    "unprocessed": "∅",
    "waiting": "…",
    "dismissed": "○",
}


def results_of(checks: QuerySet[RelatedCheck], keys: Collection[Any]) -> dict[Any, Any]:
    """
    Return the stored results of checks by their primary keys, in one query.

    At most 100 are read, and none that is longer than a page of many checks should wait for.
    """
    asked = sorted(keys)[:RESULTS_READ]
    if not asked:
        return {}
    size = Length(Cast("result", TextField()))
    small = checks.filter(pk__in=asked).alias(size=size).filter(size__lte=LONGEST_RESULT)
    return dict(small.order_by().values_list("pk", "result"))


def reasons_of(check: RelatedCheck | ListedCheck, results: dict[Any, Any]) -> Sequence[Reason]:
    """Return the reasons of a check, or that they stand on its page where its result was not read."""
    if check.pk not in results and check.status == RelatedCheck.Status.COMPLETE:
        return (Reason(_("The page of the check tells why"), "none", (0, 0)),)
    return reasons(check.type, check.outcome, results.get(check.pk), status=check.status)


@dataclass(frozen=True, slots=True)
class ListedCheck:
    """A check as a list of sessions reads it."""

    pk: int
    type: str
    status: str
    outcome: str

    @property
    def gravity(self) -> int:
        """How much it matters among the checks of its session, the worst one least."""
        return display.TONE_GRAVITY[check_meaning(self.outcome, self.status).tone]


def first_reasons(
    checks: QuerySet[RelatedCheck],
    checks_of: Mapping[str, Sequence[ListedCheck]],
    *,
    sensitive: bool,
) -> dict[str, SafeString]:
    """
    Return for each session with a check that is not clear the first reason of the worst one.

    Of a whole page one result a session is read, in one query, and none for one who may not see results:
    that person is told the outcome.

    Args:
        checks: All checks, of the database that the page reads.
        checks_of: The checks of each session by its id, in their order.
        sensitive: Whether the person may see results.
    """
    worst = {pk: min(listed, key=lambda check: check.gravity) for pk, listed in checks_of.items()}
    worst = {
        pk: check
        for pk, check in worst.items()
        if not check_meaning(check.outcome, check.status).is_clear
    }
    results = results_of(checks, [check.pk for check in worst.values()]) if sensitive else {}
    shown = {}
    for session_id, check in worst.items():
        look = check_meaning(check.outcome, check.status)
        reason: Any = reasons_of(check, results)[0].text if sensitive else look.label
        label = display.check_type_label(check.type)
        shown[session_id] = format_html("<bdi>{}</bdi>: <bdi>{}</bdi>", label, reason)
    return shown


def reason_list(shown: Iterable[Reason], *, more: int = 0, url: str = "") -> SafeString:
    """
    Return reasons as a list.

    Args:
        shown: In their order.
        more: How many are left out.
        url: Where all of them stand, or ``""``.
    """
    rows = format_html_join(
        "",
        '<li class="ccs-tone-{}"><span class="ccs-glyph" aria-hidden="true">{}</span> <bdi>{}</bdi></li>',
        ((reason.tone, _GLYPHS.get(reason.tone, display.DASH), reason.text) for reason in shown),
    )
    rest: SafeString | str = ""
    if more:
        text = ngettext("%(count)d more reason", "%(count)d more reasons", more) % {"count": more}
        link = format_html('<a href="{}">{}</a>', url, text) if url else text
        rest = format_html('<li class="ccs-quiet">{}</li>', link)
    return format_html('<ul class="ccs-reasons">{}{}</ul>', rows, rest)


def match_rows(found: Matches) -> list[dict[str, Any]]:
    """Return the possible matches of a screening as rows of their table."""
    return [
        {
            "match": match,
            "mark": display.badge(match.decision),
            "when": display.moment(match.decided_at) if match.decided_at else "",
        }
        for match in found.rows
    ]
