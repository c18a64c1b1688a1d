from __future__ import annotations

import pytest

from complycube_sessions.names import fold, name_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("José Ñandú", ["jose", "nandu"]),
        ("Łukasz Żółć", ["lukasz", "zolc"]),
        ("Straße ØRSTED", ["strasse", "orsted"]),
        ("O'Brien-Smith", ["o", "brien", "smith"]),
        ("Иван Ёлкин", ["иван", "елкин"]),
        ("山田 太郎", ["山田", "太郎"]),
        ("محمد علي", ["محمد", "علي"]),
        ("김 철수", ["김", "철수"]),
        ("Ｆｕｌｌ Ｗｉｄｔｈ", ["full", "width"]),
        ("Ana ana ANA", ["ana"]),
        ("", []),
        ("<script>alert(1)</script>", ["script", "alert", "1"]),
    ],
)
def test_name_words__folded(name: str, words: list[str]) -> None:
    """Words are found without case, accents and width, in any script."""
    assert name_words(name) == words


def test_name_words__bounded() -> None:
    """A hostile name costs a bounded number of short words."""
    words = name_words(" ".join(f"w{index}{'x' * 200}" for index in range(1000)))
    assert len(words) == 16
    assert max(map(len, words)) == 64


def test_fold__is_idempotent() -> None:
    assert fold(fold("Łukasz Ñandú")) == fold("Łukasz Ñandú")
