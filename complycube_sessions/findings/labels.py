"""The vendor's keys in words: documented keys have a label, other keys are split into words."""

from __future__ import annotations

import re
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

MAX_LABEL: Final = 80
# Word boundaries in a key: before a capital, and at anything but letters and digits.
_ENDS: Final = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+"
)
_ACRONYMS: Final = {
    word.casefold(): word
    for word in ("AML", "DOB", "eID", "ID", "IP", "KYB", "KYC", "MRZ", "NFC", "OCR", "PACE", "PEP")
} | {"rfid": "RFID", "sim": "SIM", "ssn": "SSN", "url": "URL", "vpn": "VPN"}
_SNAKE_CASE: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")

LABELS: Final[dict[str, str | Promise]] = {
    # Screening
    "pep": _("Politically exposed persons"),
    "pep.level1": _("Politically exposed persons, level 1"),
    "pep.level2": _("Politically exposed persons, level 2"),
    "pep.level3": _("Politically exposed persons, level 3"),
    "pep.level4": _("Politically exposed persons, level 4"),
    "watchlist": _("Watchlists"),
    "sanctionsLists": _("Sanctions lists"),
    "otherOfficialLists": _("Other official lists"),
    "warCrimes": _("War crimes"),
    "terror": _("Terrorism"),
    "otherExclusionLists": _("Other exclusion lists"),
    "sanctionsControlAndOwnership": _("Control or ownership by sanctioned parties"),
    "adverseMedia": _("Adverse media"),
    "environmentProduction": _("Adverse media on environment and production"),
    "socialLabour": _("Adverse media on social matters and labour"),
    "competitiveFinancial": _("Adverse media on competition and finance"),
    "regulatory": _("Adverse media on regulation"),
    "otherLists": _("Other lists"),
    "associatedEntity": _("Associated entities"),
    "organisedCrime": _("Organised crime"),
    "financialCrime": _("Financial crime"),
    "taxCrime": _("Tax crime"),
    "corruption": _("Corruption"),
    "trafficking": _("Trafficking"),
    "matches": _("Possible matches"),
    "summary": _("Summary"),
    # Groups of a breakdown
    "extractedData": _("Data read from the document"),
    "documentDetails": _("Document"),
    "holderDetails": _("Holder"),
    "mrzAnalysis": _("Machine-readable zone"),
    "consistencyAnalysis": _("Consistency"),
    "contentAnalysis": _("Content"),
    "formatAnalysis": _("Format"),
    "forensicAnalysis": _("Forensics"),
    "securityAndPatternAnalysis": _("Security features"),
    "frontAndBackAnalysis": _("Front and back"),
    "clientValidation": _("Comparison with the client's details"),
    "rfidAnalysis": _("Chip"),
    "faceAnalysis": _("Face"),
    "integrityAnalysis": _("Integrity"),
    "authenticityAnalysis": _("Authenticity"),
    "dataVerification": _("Comparison with records"),
    "fraudAnalysis": _("Fraud signals"),
    "ageEstimationAnalysis": _("Age estimation"),
    "riskAnalysis": _("Risk signals"),
    "riskLevel": _("Risk level"),
    "eIDInformation": _("eID"),
    "physicalDeviceAnalysis": _("Device"),
    "networkAnalysis": _("Network"),
    # Leaves that most types have
    "dateOfBirth": _("Date of birth"),
    "dob": _("Date of birth"),
    "expirationDate": _("Expires"),
    "issuingDate": _("Issued"),
    "validation": _("Decision"),
    "outcome": pgettext_lazy("complycube", "Outcome"),
    "score": _("Score"),
}


def label_of(key: str, group: str = "") -> str | Promise:
    """
    Return a key in words.

    Args:
        key: A key of an answer, such as ``mrzChecksum``, or a word of the vendor's, such as ``not_met``.
        group: The key of the object that contains it.
    """
    return LABELS.get(f"{group}.{key}") or LABELS.get(key) or in_words(key)


def in_words(key: str) -> str:
    """Return a key of the vendor's style as words, ``eIDInformation`` as "eID information"."""
    words = _ENDS.sub(" ", key[:MAX_LABEL].replace("eID", "Eid")).split()
    parts = [_ACRONYMS.get(word.casefold(), word.casefold()) for word in words]
    if not parts:
        return key[:MAX_LABEL]
    text = " ".join(parts)
    return text if parts[0] == "eID" else text[0].upper() + text[1:]


def word_in_words(word: str) -> str:
    """Return a snake-case word as words: ``company_check`` is "Company check"; keep other spellings."""
    return in_words(word) if _SNAKE_CASE.fullmatch(word) else word
