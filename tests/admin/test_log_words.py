"""The lines of the admin's own log, as their readers see them."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from complycube_sessions.admin.log_words import in_words

LINES = (
    ("Review taken.", "Review taken."),
    ("Exported evidence, SHA-256 ab12.", "Exported evidence, SHA-256 ab12."),
    (
        "Refresh from ComplyCube failed: ComplyCubeServerError.",
        "Refresh from ComplyCube failed: ComplyCube had an internal error. Nothing was changed. "
        "Try again later. (ComplyCubeServerError)",
    ),
    (
        "Cancellation at ComplyCube: not known whether done (ComplyCubeLostAnswerError).",
        "Cancellation at ComplyCube: answer lost; not known whether done (ComplyCubeLostAnswerError).",
    ),
    # What the app did not write stays as it is.
    ("Refresh from ComplyCube failed: OSError.", "Refresh from ComplyCube failed: OSError."),
    ('[{"changed": {"fields": ["name"]}}]', '[{"changed": {"fields": ["name"]}}]'),
)


@pytest.mark.parametrize(("line", "shown"), LINES)
def test_in_words(line: str, shown: str) -> None:
    assert in_words(line) == shown


def test_in_words__in_the_readers_language() -> None:
    with override("de"):
        assert in_words("Review taken.") == "Prüfung übernommen."
