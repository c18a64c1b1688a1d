from __future__ import annotations

import pytest

from complycube_sessions.models.name_words import fold, name_rotations, name_words, search_words


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
    assert [len(word) for word in words] == [64] * 7
    assert [len(rotation) for rotation in name_rotations(" ".join(words))] == [454] * 7
    assert len(name_words(" ".join(f"w{index}" for index in range(1000)))) == 16


def test_name_rotations__each_word_before_the_others() -> None:
    assert name_rotations("Ana María López") == [
        "ana maria lopez", "maria lopez ana", "lopez ana maria",
    ]  # fmt: skip
    assert name_rotations("") == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Gar María", ["gar", "maria"]),
        ("gar GARCÍA", ["garcia"]),
        ("maria maria", ["maria"]),
        ("a ab b", ["ab", "b"]),
        ("--", []),
    ],
)
def test_search_words__without_what_begins_another(typed: str, words: list[str]) -> None:
    """A word that begins another one that was typed asks for nothing more."""
    assert search_words(typed) == words


def test_fold__is_idempotent() -> None:
    assert fold(fold("Łukasz Ñandú")) == fold("Łukasz Ñandú")
