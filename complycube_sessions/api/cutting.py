"""
Removing data that is never stored: images and other files, and oversized text.

Files are recognised at any length by a data URI, by the first bytes of a file type, or by a key that the
vendor uses for images. Base64 of more than 2,000 characters always counts as a file. The functions are
idempotent: they leave their own results unchanged.
"""

from __future__ import annotations

import re
from typing import Any, Final

MAX_TEXT: Final = 10_000
MAX_BASE64: Final = 2_000
KEPT_OF_CUT_TEXT: Final = 500
# The smallest images are longer; a shorter text may be a word.
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
# In one line, or in lines as in an email.
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
        key: The key of the value in its object.
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
    Return an answer with nested values cut; of the texts on its first level only images are cut.

    The first level has the vendor's documented words, names and descriptions, which are kept in full even if
    they are too long for their columns.
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
