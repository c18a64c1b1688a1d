"""
Cutting out what is never stored: images and other files, and oversized text.

A file is known by what it is, whatever its length: a data URI, the first bytes of its kind, a key that
the vendor keeps images under. Base64 of over 2,000 characters is one in any case. Cut once is cut for
good: what the function returns it leaves as it is.
"""

from __future__ import annotations

import re
from typing import Any, Final

MAX_TEXT: Final = 10_000
MAX_BASE64: Final = 2_000
KEPT_OF_CUT_TEXT: Final = 500
# The smallest images there are have more, and what is shorter may be a word.
SHORTEST_FILE: Final = 16

# In base64: JPEG, PNG, GIF, WebP and WAV, PDF, TIFF of both kinds, MP4 and HEIC, WebM, SVG, JPEG 2000.
_FIRST_BYTES: Final = re.compile(
    r"/9j/|iVBOR|R0lGOD|UklGR|JVBERi|SUkqA|TU0AK|AAAA.{2}Z0eX|GkXfo|PHN2Zy|AAAADGpQ"
)
# As in the vendor's actualImageData.
_IMAGE_KEY: Final = re.compile(
    r"\w*(?:(?:image|photo|picture|selfie|portrait|video)s?_?(?:data|content|bytes)|base_?64)",
    re.IGNORECASE,
)
_ID: Final = re.compile(r"[0-9A-Fa-f-]+")
# In one piece, or in the lines of a mail.
_BASE64: Final = re.compile(r"(?:[\w+/-]{60,}\r?\n)*[\w+/-]+={0,2}\s*", re.ASCII)
_DATA_URI: Final = re.compile(
    r"data:[\w.+-]*(?:/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(?:[\w+/=-]|%[0-9A-F]{2}|\r?\n)*",
    re.ASCII | re.IGNORECASE,
)
_IMAGE_URI: Final = re.compile(r"data:(?:image|video|audio)/", re.IGNORECASE)


def without_oversized_text(value: Any, key: str = "") -> Any:
    """
    Return JSON without files and with text of at most 10,000 characters, each cut with a mark.

    Args:
        value: Any JSON.
        key: What it stands under.
    """
    if isinstance(value, str):
        return _cut(value, key)
    if isinstance(value, dict):
        return {without_oversized_text(k): without_oversized_text(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [without_oversized_text(item, key) for item in value]
    return value


def without_files(answer: dict[str, Any]) -> dict[str, Any]:
    """
    Return an answer with everything nested in it cut; of its own texts only images are cut.

    Those are the vendor's documented words, names and descriptions: one that is too long for its column
    stands whole in the answer.
    """
    return {
        key: _cut(value, key, by_length=False)
        if isinstance(value, str)
        else without_oversized_text(value, key)
        for key, value in answer.items()
    }


def _cut(text: str, key: str, *, by_length: bool = True) -> str:
    if len(text) < SHORTEST_FILE:
        return text
    if _is_file(text, key, by_length=by_length):
        return _mark(text)
    if ";base64," in text:
        text = _DATA_URI.sub(lambda found: _mark(found[0]), text)
    if by_length and len(text) > MAX_TEXT:
        return f"{text[:KEPT_OF_CUT_TEXT]} [cut: {len(text)} characters in all]"
    return text


def _is_file(text: str, key: str, *, by_length: bool) -> bool:
    if _IMAGE_URI.match(text):
        return True
    is_named = _IMAGE_KEY.fullmatch(key) and not _ID.fullmatch(text)
    is_long = by_length and len(text) > MAX_BASE64
    if not (is_named or is_long or _FIRST_BYTES.match(text)):
        return False
    return _BASE64.fullmatch(text) is not None


def _mark(text: str) -> str:
    return f"[cut: base64 data, {len(text)} characters]"
