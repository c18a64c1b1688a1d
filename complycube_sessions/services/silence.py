"""Whether the vendor still sends events: a webhook that failed ten times is disabled without a word."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, Subquery, When
from django.utils import timezone

from complycube_sessions.conf import account_names, webhook_secrets
from complycube_sessions.models import SessionChange, WebhookEvent
from complycube_sessions.services.clocks import is_believable
from complycube_sessions.services.database import write_alias

LOOKED_BACK: Final = timedelta(days=7)
# The vendor tries again after 1, 2 and 8 minutes; what is silent for longer has most likely stopped.
GRACE: Final = timedelta(hours=1)
CHANGES_WITHOUT_EVENT: Final = 3
# Of the newest changes, which show what has stopped.
LOOKED_AT: Final = 200


def silent_accounts() -> list[str]:
    """
    Return the accounts whose events stopped while polling still found changes.

    Those are accounts with a webhook secret of which at least three changes of the last week, by the
    vendor's time, came an hour or more after the last event and were found by a refresh.
    """
    names = [name for name in account_names() if webhook_secrets(name)]
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
    unheard = Counter(
        account
        for account, observed, changed, last_event in newest
        # The filter above leaves out what has no vendor's time.
        if changed and not _was_told(min(observed, changed), last_event, now)
    )
    return [name for name in names if unheard[name] >= CHANGES_WITHOUT_EVENT]


def _was_told(changed_at: datetime, last_event: datetime | None, now: datetime) -> bool:
    """Return whether an event came at about the time of a change, or later."""
    if last_event is None or not is_believable(last_event, now):
        return False
    return changed_at <= last_event + GRACE


def _last_event(account: str) -> Subquery:
    """Return when the newest event of an account came, by the key, which is an index."""
    events = WebhookEvent.objects.filter(account=account).order_by("-pk")
    return Subquery(events.values("received_at")[:1])
