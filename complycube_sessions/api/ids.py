"""Ids of the vendor: which are safe in a URL, and how one is shown in a message."""

from __future__ import annotations

import re
from typing import Final

from complycube_sessions.exceptions import ComplyCubeInvalidIdError

ID_LENGTH: Final = 128
# An id is opaque, but becomes part of a URL: it must not be able to end or leave the path.
_SAFE_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.~:=+@-]{0,127}")


def validate_id(value: object) -> str:
    """
    Return the id if it is safe in a URL.

    Raises:
        ComplyCubeInvalidIdError: It is not text, is empty or too long, or contains ``..`` or characters other
            than letters, digits and ``_ . ~ : = + @ -``.
    """
    if isinstance(value, str) and _SAFE_ID.fullmatch(value) and ".." not in value:
        return value
    raise ComplyCubeInvalidIdError(
        f"{printable_id(value)} is not a possible id: it must have 1 to {ID_LENGTH} letters, digits or "
        "_ . ~ : = + @ -, as the ComplyCube portal shows it."
    )


def printable_id(value: object) -> str:
    """Return a short, printable form of an id for a message."""
    text = value if isinstance(value, str) else type(value).__name__
    return ascii(text[:ID_LENGTH])
