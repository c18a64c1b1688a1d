"""
Signals, sent with ``send_robust`` after the change is committed.

``session_changed``
    Sent with ``session``, ``changes`` (a list of
    ``SessionChange``, whose primary keys are not set) and ``source`` when something of meaning changed in a session that was known before.

``session_outcome_changed``
    Sent with ``session``, ``old``, ``new``, ``first_seen`` and ``source``, at least once for each change
    of a session's outcome, even when a process is killed between the commit and the signal.
    A session that is seen for the first time announces its outcome with ``old=""`` and ``first_seen=True``.

``review_decided``
    Sent with ``review`` when a decision is final (with four eyes: when it was confirmed), at least once.

``review_reopened``
    Sent with ``review`` when what a decision was about has changed, or a lead has assigned a decided review
    again, at least once; ``review.reopened_because`` says why.
"""

from __future__ import annotations

from django.dispatch import Signal

session_changed = Signal()
session_outcome_changed = Signal()
review_decided = Signal()
review_reopened = Signal()
