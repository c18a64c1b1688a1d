"""
A removal that a test kills; see ``test_kills.py``.

Usage: ``python -m tests.privacy.kill_worker prune|erase``: remove all sessions of the client ``c``.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import django
from django.conf import settings


def main(kind: str) -> None:
    django.setup()
    from complycube_sessions.privacy.erase import erase_client
    from complycube_sessions.privacy.pruning import prune

    settings.COMPLYCUBE_RETENTION = {"WorkflowSession": timedelta(days=30)}
    if kind == "prune":
        prune()
    else:
        erase_client("c")


if __name__ == "__main__":
    main(*sys.argv[1:])
