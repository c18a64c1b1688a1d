"""How the vendor's words, times and durations look on a page; every text from outside is escaped."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy, ngettext, ngettext_lazy
from django.utils.translation import gettext as _

from complycube_sessions.findings.labels import word_in_words
from complycube_sessions.findings.meanings import (
    Meaning,
    check_meaning,
    session_meaning,
)
from complycube_sessions.models import (
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WorkflowSession,
)

# In the order of a table's columns.
TONES: Final = (
    "clear",
    "attention",
    "refused",
    "failed",
    "unprocessed",
    "unknown",
    "undocumented",
    "waiting",
    "none",
    "dismissed",
)
# In what order checks are shown: what is worst to miss comes first.
TONE_GRAVITY: Final = {
    tone: place
    for place, tone in enumerate(
        (
            *("refused", "failed", "attention", "unknown", "unprocessed", "none", "undocumented"),
            *("waiting", "dismissed", "clear"),
        )
    )
}
# A text that is longer is folded; so much of it is seen.
FOLDED_LENGTH: Final = 400
BEGINNING_LENGTH: Final = 120
DASH: Final = "\N{EN DASH}"


class Appearance(Meaning):
    """What a word means, as a page shows it."""

    @property
    def badge(self) -> SafeString:
        return badge(self)


# In minutes.
_AGES: Final = (
    (ngettext_lazy("%(count)d day ago", "%(count)d days ago", "count"), 24 * 60),
    (ngettext_lazy("%(count)d hour ago", "%(count)d hours ago", "count"), 60),
    (ngettext_lazy("%(count)d minute ago", "%(count)d minutes ago", "count"), 1),
)
_SESSION_STATUSES: Final = dict(WorkflowSession.Status.choices)
_CHECK_STATUSES: Final = dict(RelatedCheck.Status.choices)
_CHECK_TYPES: Final = dict(RelatedCheck.Type.choices)
_CHANGE_FIELDS: Final = dict(SessionChange.Field.choices)
_RUN_STATES: Final = {
    RefreshRun.State.RUNNING: ("waiting", "…"),
    RefreshRun.State.SUCCEEDED: ("clear", "✓"),
    RefreshRun.State.PARTIAL: ("attention", "!"),
    RefreshRun.State.FAILED: ("refused", "✕"),
    RefreshRun.State.INTERRUPTED: ("attention", "!"),
}


def appearance(meaning: Meaning) -> Appearance:
    """Return how the meaning of a word looks."""
    return Appearance(meaning.tone, meaning.glyph, meaning.label, meaning.note)


def outcome_appearance(outcome: str, status: str = "complete") -> Appearance:
    """Return how an outcome looks; one that is missing or unknown never looks like ``clear``."""
    return appearance(session_meaning(outcome, status))


def check_appearance(check: RelatedCheck) -> Appearance:
    """Return how a check looks: its outcome, unless it never ran to its end."""
    return appearance(check_meaning(check.outcome, check.status))


def run_appearance(run: RefreshRun) -> Appearance:
    """Return how the state of a run looks."""
    if run.state not in RefreshRun.State.values:
        return Appearance("unknown", "?", run.state)
    tone, glyph = _RUN_STATES[RefreshRun.State(run.state)]
    return Appearance(tone, glyph, RefreshRun.State(run.state).label)


def status_label(status: str) -> str | Promise:
    """Return the label of a session's status, or an unknown word as it is."""
    return _SESSION_STATUSES.get(status, status) or _("No status")


def check_status_label(status: str) -> str | Promise:
    """Return the label of a check's status, or an unknown word as it is."""
    return _CHECK_STATUSES.get(status, status) or _("Unknown")


def check_type_label(check_type: str) -> str | Promise:
    """Return the vendor's human name of a check type; one without reads as words."""
    return _CHECK_TYPES.get(check_type) or word_in_words(check_type) or _("Check of unknown type")


def badge(look: Meaning) -> SafeString:
    """Return an outcome as a filled badge: colour, glyph and text."""
    return format_html(
        '<span class="ccs-badge ccs-tone-{}"><span class="ccs-glyph" aria-hidden="true">{}</span>'
        "<bdi>{}</bdi></span>",
        look.tone,
        look.glyph,
        look.label,
    )


def outcome_badge(outcome: str, status: str) -> SafeString:
    """Return the badge of a session's outcome; most rows of a list share a few of them."""
    return _outcome_badge(outcome, status, get_language())


@lru_cache(maxsize=1_000)
def _outcome_badge(outcome: str, status: str, language: str | None) -> SafeString:
    return badge(outcome_appearance(outcome, status))


def status_pill(status: str) -> SafeString:
    """Return a status as an outlined pill, which no one takes for an outcome."""
    return _status_pill(status, get_language())


@lru_cache(maxsize=1_000)
def _status_pill(status: str, language: str | None) -> SafeString:
    return format_html('<span class="ccs-status"><bdi>{}</bdi></span>', status_label(status))


def folded(text: str, css_class: str = "") -> SafeString:
    """Return a text; one that would fill the page is folded behind its beginning."""
    if len(text) <= FOLDED_LENGTH:
        return format_html('<bdi class="{}">{}</bdi>', css_class, text)
    rest = _("… (%(count)d more characters)") % {"count": len(text) - BEGINNING_LENGTH}
    return format_html(
        '<details class="ccs-long"><summary><bdi class="{0}">{1}</bdi> <span class="ccs-quiet">{2}</span>'
        '</summary><bdi class="{0}">{3}</bdi></details>',
        css_class,
        text[:BEGINNING_LENGTH],
        rest,
        text,
    )


def moment(when: datetime | None, *, with_zone: bool = True) -> SafeString | str:
    """Return a time in the site's time zone, or a dash."""
    if when is None:
        return DASH
    local = timezone.localtime(when)
    zone = f" {escape(local.tzname())}" if with_zone else ""
    # A list shows hundreds of times, and Django's format costs several times as much.
    text = local.isoformat(timespec="seconds")
    return SafeString(f'<time datetime="{text}">{text[:10]} {text[11:16]}{zone}</time>')


def ago(when: datetime) -> SafeString | str:
    """Return how long ago a time was, in its largest unit, with the time itself as a tooltip."""
    minutes = int((timezone.now() - when).total_seconds() // 60)
    if minutes < 1:
        return moment(when)
    text, size = next((text, size) for text, size in _AGES if minutes >= size)
    local = timezone.localtime(when)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        local.isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M"),
        local.tzname() or "",
        text % {"count": minutes // size},
    )


def short_id(text: str) -> SafeString | str:
    """Return an id that is shortened to look at only; a click copies all of it."""
    if not text:
        return DASH
    return format_html('<code class="ccs-copy" title="{0}">{0}</code>', text)


def duration(length: timedelta | None) -> str:
    """Return a length of time in its two largest units, or a dash."""
    if length is None:
        return DASH
    seconds = round(abs(length).total_seconds())
    sign = "\N{MINUS SIGN}" if length < timedelta(0) and seconds else ""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [
        _("%(number)d d") % {"number": days} if days else "",
        _("%(number)d h") % {"number": hours} if hours else "",
        _("%(number)d min") % {"number": minutes} if minutes else "",
        _("%(number)d s") % {"number": rest} if rest else "",
    ]
    shown = [part for part in parts if part][:2]
    return sign + " ".join(shown) if shown else _("0 s")


def between(start: datetime | None, end: datetime | None) -> timedelta | None:
    """Return the time from one moment to another, or None when either is unknown."""
    return end - start if start is not None and end is not None else None


def age_tone(days: int) -> str:
    """Return the tone of an age, stronger with every band of the overview."""
    return "refused" if days >= 7 else "attention" if days >= 3 else "waiting" if days else "none"


def age_badge(created_at: datetime | None) -> SafeString:
    """Return for how many days, by the calendar, a session has been there, as a badge."""
    if created_at is None:
        return badge(Appearance("none", DASH, gettext_lazy("Age unknown")))
    local = timezone.localtime(created_at)
    days = max((timezone.localdate() - local.date()).days, 0)
    return format_html(
        '<span title="{} {}">{}</span>',
        local.strftime("%Y-%m-%d %H:%M"),
        local.tzname() or "",
        _age_badge(days, get_language()),
    )


@lru_cache(maxsize=1_000)
def _age_badge(days: int, language: str | None) -> SafeString:
    label = ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
    return badge(
        Appearance(age_tone(days), "▲" if days >= 3 else "●", label if days else _("Today"))
    )


def change_field_label(change: SessionChange) -> str:
    """Return what changed, in words."""
    label = str(_CHANGE_FIELDS.get(change.field, change.field))
    if change.check_id and change.field in {"status", "outcome"}:
        return _("%(field)s of check") % {"field": label}
    return label


def change_value(change: SessionChange, value: str) -> SafeString:
    """Return one side of a change as the word that it was in its place."""
    if not value:
        return format_html('<span class="ccs-quiet">{}</span>', _("nothing"))
    if change.field == SessionChange.Field.OUTCOME:
        return badge(outcome_appearance(value))
    if change.field == SessionChange.Field.STATUS:
        return check_status_badge(value) if change.check_id else status_pill(value)
    presence = {"added": _("added"), "gone": _("gone")}
    return format_html("<bdi>{}</bdi>", presence.get(value, value))


def check_status_badge(status: str) -> SafeString:
    """Return the status of a check; that it failed to run is never overlooked."""
    if status == RelatedCheck.Status.FAILED:
        return badge(check_appearance(RelatedCheck(status=status)))
    return format_html('<span class="ccs-status"><bdi>{}</bdi></span>', check_status_label(status))
