"""The German translation is whole, and is that of the texts that the app has."""

from __future__ import annotations

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import django
import pytest

import complycube_sessions

pytestmark = pytest.mark.repository

PACKAGE = Path(complycube_sessions.__file__).parent
FOLDER = Path("locale/de/LC_MESSAGES")
# German has the same word.
SAME = {
    "status",
    "Status",
    "Workflow",
    "workflow",
    "Test",
    "name",
    "Webhook",
    "Filter",
    "Median",
    "Name",
    "Software",
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")


def entries(text: str) -> list[tuple[str, list[str], bool]]:
    """Return each entry of a catalogue: source, translations, whether it is fuzzy."""
    found = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        keyword = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if match := re.match(r"(msg\S+) (\".*\")", line):
                keyword = match[1]
                fields[keyword] = ast.literal_eval(match[2])
            elif line.startswith('"'):
                fields[keyword] += ast.literal_eval(line)
        if fields.get("msgid"):
            translations = [text for key, text in fields.items() if key.startswith("msgstr")]
            # A compiled catalogue keeps a context and its text apart in this way.
            context = f"{fields['msgctxt']}\x04" if "msgctxt" in fields else ""
            found.append((context + fields["msgid"], translations, "#, fuzzy" in block))
    return found


def catalogue() -> list[tuple[str, list[str], bool]]:
    return entries((PACKAGE / FOLDER / "django.po").read_text())


def test_german__nothing_empty_fuzzy_or_copied() -> None:
    """Every text has a translation, which is not the text itself."""
    found = catalogue()
    assert len(found) > 300
    for source, translations, is_fuzzy in found:
        assert not is_fuzzy, source
        for translation in translations:
            assert translation.strip(), source
            assert translation != source or source in SAME, source


def test_german__agrees_with_django() -> None:
    """
    No text is translated otherwise in Django, whose applications and forms share one catalogue with it.

    Whichever comes first wins: "Clear" would name an outcome in every form that takes a file. Such a word
    has a context of its own.
    """
    apps = ("conf", "contrib/admin", "contrib/admindocs", "contrib/auth", "contrib/sessions")
    paths = [Path(django.__file__).parent / app / FOLDER / "django.po" for app in apps]
    theirs = {
        source: translations
        for path in paths
        for source, translations, is_fuzzy in entries(path.read_text())
        if not is_fuzzy and all(translations)
    }
    ours = {source: translations for source, translations, _is_fuzzy in catalogue()}
    shared = theirs.keys() & ours.keys()
    assert shared
    assert {s: ours[s] for s in shared} == {s: theirs[s] for s in shared}


def test_german__placeholders_stay() -> None:
    """A translation has the same placeholders as its source, at least where it is the plural."""
    for source, translations, _is_fuzzy in catalogue():
        wanted = set(PLACEHOLDER.findall(source)) - {"%(total)s"}
        assert wanted <= set(PLACEHOLDER.findall(translations[-1])), source


def test_german__compiled() -> None:
    """The compiled catalogue is that of the source file."""
    with (PACKAGE / FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for source, translations, _is_fuzzy in catalogue():
        text = compiled.gettext(source) if len(translations) == 1 else translations[0]
        assert text == translations[0], source


@pytest.mark.skipif(not shutil.which("xgettext"), reason="gettext is not installed")
def test_german__every_text_of_the_app(tmp_path: Path) -> None:
    """The catalogue holds the texts of the code and the templates, no fewer and no more."""
    copy = tmp_path / "complycube_sessions"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "django", "makemessages", "-l", "de", "--no-obsolete"],
        cwd=copy,
        env={k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
        check=True,
        capture_output=True,
    )
    needed = {source for source, _, _ in entries((copy / FOLDER / "django.po").read_text())}
    assert needed == {source for source, _, _ in catalogue()}
