"""Whether the vendor still sends events: a webhook that failed ten times is disabled without a word."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Subquery
from django.utils import timezone

from complycube_sessions.conf import account_names, webhook_secrets
from complycube_sessions.models import SessionChange, WebhookEvent
from complycube_sessions.services.database import write_alias

LOOKED_BACK: Final = timedelta(days=7)
# The vendor tries again after 1, 2 and 8 minutes; what is silent for longer has most likely stopped.
GRACE: Final = timedelta(hours=1)
CHANGES_WITHOUT_EVENT: Final = 3
# Of the newest changes; what stopped shows in them.
LOOKED_AT: Final = 50


def silent_accounts() -> list[str]:
    """
    Return the accounts whose events stopped while polling still found changes.

    Those are accounts with a webhook secret of which at least three changes of the last week, by the
    vendor's time, came an hour or more after the last event and were found by a refresh.
    """
    return [name for name in account_names() if webhook_secrets(name) and _is_silent(name)]


def _is_silent(account: str) -> bool:
    alias = write_alias()
    since = timezone.now() - LOOKED_BACK
    events = WebhookEvent.objects.filter(account=account).order_by("-received_at")
    newest = (
        SessionChange.objects.using(alias)
        .filter(
            session__account=account,
            source=SessionChange.Source.REFRESH,
            observed_at__gt=since,
            changed_at__gt=since,
        )
        .annotate(last_event=Subquery(events.values("received_at")[:1]))
        .order_by("-observed_at")
        .values_list("observed_at", "changed_at", "last_event")[:LOOKED_AT]
    )
    unheard = [
        changed
        for observed, changed, last_event in newest
        # The filter above leaves out what has no vendor's time.
        if changed and (last_event is None or min(observed, changed) > last_event + GRACE)
    ]
    return len(unheard) >= CHANGES_WITHOUT_EVENT
