"""Checking that the vendor still sends events: it disables a webhook without notice after ten failures."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, Subquery, When
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from complycube_sessions.conf import account_names, get_account, is_loopback, webhook_secrets
from complycube_sessions.db.clocks import is_believable
from complycube_sessions.db.connections import write_alias
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.models import SessionChange, WebhookEvent

LOOKED_BACK: Final = timedelta(days=7)
# The vendor retries after 1, 2 and 8 minutes; after a longer silence it has most likely stopped.
GRACE: Final = timedelta(hours=1)
CHANGES_WITHOUT_EVENT: Final = 3
# How many of the newest changes to examine.
LOOKED_AT: Final = 200


def silent_accounts() -> list[str]:
    """
    Return the accounts whose events stopped although polling still finds changes.

    An account with a webhook secret counts as silent if refreshes found at least three changes in the last
    week that happened an hour or more after the last event, by the vendor's time. Accounts that cannot
    receive events are skipped: the receiver has no URL, or the API is a local stand-in that has sent none.
    """
    names = [name for name in account_names() if webhook_secrets(name) and receiver_path(name)]
    if not names:
        return []
    since = timezone.now() - LOOKED_BACK
    newest = (
        SessionChange.objects.using(write_alias())
        .filter(
            session__account__in=names,
            source=SessionChange.Source.REFRESH,
            observed_at__gt=since,
            changed_at__gt=since,
        )
        .annotate(last_event=Case(*[When(session__account=n, then=_last_event(n)) for n in names]))
        .order_by("-observed_at")
        .values_list("session__account", "observed_at", "changed_at", "last_event")[:LOOKED_AT]
    )
    now = timezone.now()
    without_event = Counter(
        account
        for account, observed, changed, last_event in newest
        # The filter above excludes changes without the vendor's time.
        if changed and not _has_event(min(observed, changed), last_event, now)
    )
    return [
        name
        for name in names
        if without_event[name] >= CHANGES_WITHOUT_EVENT and not _is_stand_in_without_events(name)
    ]


def receiver_path(account: str) -> str:
    """Return the path at which this site receives an account's events, or ``""`` if there is none."""
    try:
        return reverse("complycube_sessions:webhook", args=[account])
    except NoReverseMatch:
        return ""


def _is_stand_in_without_events(account: str) -> bool:
    try:
        is_here = is_loopback(get_account(account).base_url)
    except ComplyCubeConfigurationError:
        return False
    events = WebhookEvent.objects.using(write_alias()).filter(account=account)
    return is_here and not events.exists()


def _has_event(changed_at: datetime, last_event: datetime | None, now: datetime) -> bool:
    """Return whether an event was received around the time of a change or later."""
    if last_event is None or not is_believable(last_event, now):
        return False
    return changed_at <= last_event + GRACE


def _last_event(account: str) -> Subquery:
    """Return when the newest event of an account, by primary key, was received."""
    events = WebhookEvent.objects.filter(account=account).order_by("-pk")
    return Subquery(events.values("received_at")[:1])
