"""
Signals, sent with ``send_robust`` after the change is committed.

``session_changed``
    Sent with ``session``, ``changes`` and ``source`` when a status, an outcome or the list of checks changed in a
    session that was stored before. ``changes`` is a list of ``SessionChange`` without primary keys.

``session_outcome_changed``
    Sent with ``session``, ``old``, ``new``, ``first_seen`` and ``source``, at least once for each change of a
    session's outcome, even if a process is killed between the commit and the signal. For a session that is seen
    for the first time, ``old`` is ``""`` and ``first_seen`` is True.

``review_decided``
    Sent with ``review``, at least once, when a decision is final (with four eyes: when it is confirmed).

``review_reopened``
    Sent with ``review``, at least once, when a decided review is reopened: its session has changed, or a lead has
    assigned it again. ``review.reopened_because`` says why.
"""

from __future__ import annotations

from django.dispatch import Signal

session_changed = Signal()
session_outcome_changed = Signal()
review_decided = Signal()
review_reopened = Signal()
