"""Names of invented people, in the scripts that compliance staff meet."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

# Given names, family names, and whether the family name comes first.
SCRIPTS: Final[tuple[tuple[str, str, bool], ...]] = (
    (
        "Amelia Ben Charlotte Daniel Eleanor Freya George Harriet Isaac Jasmine",
        "Whitcombe Okafor Ramsey Holloway Fenwick Adeyemi Prescott Tully Marlowe Quigley",
        False,
    ),
    (
        "Łukasz Žofia Björn Åsa José Chloë François Jürgen İpek Zoë Nuño Siobhán",
        "Dąbrowski Šimková Ångström Müller-Lüdenscheidt Núñez Gonçalves Ó_Súilleabháin Çelik Nguyễn Þórsdóttir D'Alembert Kovačić",
        False,
    ),
    (
        "Олена Дмитро Наталія Сергей Мирослава Ђорђе Георги Айгүл",
        "Шевчук Кузнецов Ковальчук Петровић Йорданов Лещенко Щербакова Нұрғалиева",
        False,
    ),
    (
        "Ελένη Γιώργος Αικατερίνη Νικόλαος Χρυσούλα Δημήτρης",
        "Παπαδοπούλου Οικονόμου Καραγιάννης Ζαχαρίου Βασιλείου Ξενάκης",
        False,
    ),
    (
        "فاطمة محمد ليلى يوسف نور خالد مریم",
        "الحسيني بن_سعيد العبدالله منصور حدّاد القحطاني رضایی",
        False,
    ),
    ("נועה דוד תמר אורי שׂרה יעל", "כהן בן־דוד פרידמן אלקיים מזרחי שפירא", False),
    ("伟 秀英 梓涵 建国 雨桐 思远", "王 欧阳 李 司马 赵 陳", True),
    ("さくら 健太 美咲 翔 陽菜 誠", "佐藤 髙橋 渡邊 小鳥遊 山﨑 中村", True),
    ("서연 민준 지우 하은 도윤 수빈", "김 남궁 이 박 최 황보", True),
    ("สมชาย กัญญา ณัฐพล พิมพ์ชนก อรทัย", "ศรีสุวรรณ วงศ์ไพบูลย์ เจริญสุข ณ_อยุธยา ทองดี", False),
    ("आरव प्रिया विवेक अनन्या श्रीकृष्ण", "शर्मा त्रिवेदी कुलकर्णी मिश्रा श्रीवास्तव", False),
)
# How often each script is drawn: mostly Latin, and every script on the first pages of a list.
WEIGHTS: Final = (38, 18, 8, 5, 7, 4, 6, 4, 4, 3, 3)

# Names that break careless pages, exports and columns.
AWKWARD: Final = (
    "<script>alert(1)</script>",
    "Robert'); DROP TABLE sessions;--",
    '=HYPERLINK("http://example.org","Refund")',
    "Ana\u202eevird\u202c Sólveig",
    "X Æ A-12 “Kit” O'Neil & Söhne <b>GmbH</b>",
    "Ng",
    "Zoe\u0308 Nu\u0301n\u0303ez",
    "👩🏽‍🚀 Iñaki Etxeberria",
    "Wolfeschlegelsteinhausenbergerdorff" + "welchevoralternwaren" * 6 + " Sr.",
    " ".join(["María de los Ángeles Inmaculada Concepción"] * 5) + " de la Vega y Montenegro",
    "{{ 7|add:7 }} %s {0} ${IFS}",
    "Le Thi Phuong Anh Ngoc Minh Chau Hoang Bao Tran Vu",
)


def entity_name(rng: random.Random, number: int) -> str:
    """Return the name of the client with that number; a few of the first hundred are awkward."""
    if number % 8 == 5 and number // 8 < len(AWKWARD):
        return AWKWARD[number // 8]
    given, family, family_first = rng.choices(SCRIPTS, WEIGHTS)[0]
    parts = [rng.choice(given.split()), rng.choice(family.split())]
    if family_first:
        return "".join(reversed(parts))
    if rng.random() < 0.15:
        parts.insert(1, rng.choice(given.split()))
    return " ".join(parts).replace("_", " ")


def client_of(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return the client of a session as GET by id shows it."""
    client_id, name = session["clientId"], session["entityName"]
    first, _, last = name.partition(" ")
    born = int(client_id[:6], 16)
    return {
        "id": client_id,
        "type": "person",
        "entityName": name,
        "email": f"{client_id}@example.org",
        "personDetails": {
            "firstName": first,
            "lastName": last or first,
            "dob": f"{1950 + born % 55}-{1 + born % 12:02d}-{1 + born % 28:02d}",
        },
        "createdAt": session["createdAt"],
        "updatedAt": session["createdAt"],
    }
