"""The lengths of the text columns."""

from __future__ import annotations

ID_LENGTH = 128
NAME_LENGTH = 255
WORD_LENGTH = 64
ACCOUNT_LENGTH = 64
