"""
What the result of a check says in detail, in the shapes that the vendor documents per check type.

Source:
    API reference, the page of each check type. Keys and depth vary there too.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any, Final

Breakdown = dict[str, Any]

CLEAR, ATTENTION, NOT_PROCESSED = "clear", "attention", "not_processed"

GROUPS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "document_check": {
        "mrzAnalysis": ("mrzFormat", "mrzChecksum", "mrzConsistency"),
        "consistencyAnalysis": ("name", "dateOfBirth", "documentNumber", "gender"),
        "contentAnalysis": ("dataFields", "expiry", "issuingAuthority", "specimenCheck"),
        "formatAnalysis": ("modelIdentification", "aspectRatio", "formatValidation"),
        "forensicAnalysis": ("documentLivenessCheck", "photoTampering", "digitalTampering"),
        "frontAndBackAnalysis": ("sameDocument", "datesMatch"),
        "clientValidation": ("firstName", "lastName", "dateOfBirth"),
    },
    "driving_license_check": {
        "contentAnalysis": ("dataFields", "expiry", "licenceCategories"),
        "formatAnalysis": ("modelIdentification", "barcodeValidation"),
        "clientValidation": ("firstName", "lastName", "address"),
    },
    "identity_check": {
        "faceAnalysis": ("facialSimilarity", "previouslyEnrolledFace", "bannedFacesAnalysis"),
        "integrityAnalysis": ("faceDetection",),
        "authenticityAnalysis": ("spoofedImageAnalysis", "livenessCheck"),
    },
    "enhanced_identity_check": {
        "faceAnalysis": ("facialSimilarity", "previouslyEnrolledFace", "bannedFacesAnalysis"),
        "integrityAnalysis": ("faceDetection",),
        "authenticityAnalysis": (
            "spoofedVideoAnalysis",
            "livenessCheck",
            "livenessVoiceChallengeAnalysis",
            "livenessActionChallengeAnalysis",
        ),
    },
    "face_authentication_check": {
        "faceAnalysis": ("enrolledFaceSimilarity", "bannedFacesAnalysis"),
        "integrityAnalysis": ("faceDetection",),
        "authenticityAnalysis": ("livenessCheck",),
    },
    "proof_of_address_check": {
        "contentAnalysis": ("documentAge", "issuer", "pageCompleteness"),
        "clientValidation": ("name", "addressLine", "postalCode"),
        "forensicAnalysis": ("digitalTampering",),
    },
    "multi_bureau_check": {
        "dataVerification": ("name", "address", "dateOfBirth", "bureauOne", "bureauTwo"),
    },
    "identity_fraud_check": {
        "fraudAnalysis": ("syntheticIdentity", "deceasedRegister", "addressMismatch", "velocity"),
    },
    "ssn_check": {"dataVerification": ("ssn", "name", "dateOfBirth", "deathMaster")},
    "age_estimation_check": {"ageEstimationAnalysis": ("faceDetection", "ageThreshold")},
    "email_intelligence_check": {"riskAnalysis": ("domainAge", "breachHistory", "disposable")},
    "mobile_intelligence_check": {"riskAnalysis": ("simSwap", "lineType", "reassigned")},
    "eid_check": {"authenticityAnalysis": ("signature", "certificate", "assuranceLevel")},
    "device_intelligence_check": {
        "physicalDeviceAnalysis": ("emulator", "rooted", "tampering"),
        "networkAnalysis": ("proxy", "geolocationMismatch", "timezoneMismatch"),
    },
}
SCREENING: Final = {
    "pep": ("level1", "level2", "level3", "level4"),
    "watchlist": (
        "sanctionsLists",
        "otherOfficialLists",
        "warCrimes",
        "terror",
        "otherExclusionLists",
        "sanctionsControlAndOwnership",
    ),
    "adverseMedia": (
        "environmentProduction",
        "socialLabour",
        "competitiveFinancial",
        "regulatory",
    ),
    "otherLists": (
        "associatedEntity",
        "organisedCrime",
        "financialCrime",
        "taxCrime",
        "corruption",
        "trafficking",
    ),
}
# What a standard screening does not look at.
EXTENSIVE_ONLY: Final = frozenset({"adverseMedia", "otherLists"})
SOURCES: Final = {
    "pep": ("Register of politically exposed persons", "National assemblies"),
    "watchlist": (
        "EU consolidated list of financial sanctions",
        "UN Security Council consolidated list",
        "UK sanctions list",
    ),
    "adverseMedia": ("Regional newspaper archive", "News agency archive"),
    "otherLists": ("Register of disqualified directors", "Court register"),
}
# Where an analysis has a score, and under which name.
SCORED: Final = {
    "facialSimilarity": "facialSimilarityScore",
    "enrolledFaceSimilarity": "enrolledFaceSimilarityScore",
    "livenessCheck": "livenessCheckScore",
}
GROUPS_OF_SCORES: Final = ("faceAnalysis", "authenticityAnalysis")


def breakdown(kind: str, outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    """Return the breakdown of a complete check whose leaves explain its outcome."""
    if kind.endswith("screening_check"):
        return _screening(kind, outcome, entity_name, rng)
    result = _leaves(GROUPS[kind], _leaf(outcome), rng)
    if kind in EXTRAS:
        result.update(EXTRAS[kind](result, entity_name, rng))
    _score(result, rng)
    _compare(result, rng)
    return result


def _leaf(outcome: str) -> str:
    """Return what a leaf says under an outcome: a person's decision leaves the analysis as it was."""
    return outcome if outcome in {CLEAR, NOT_PROCESSED} else ATTENTION


def _leaves(groups: dict[str, tuple[str, ...]], leaf: str, rng: random.Random) -> Breakdown:
    names = [(group, name) for group, members in groups.items() for name in members]
    marked = set(rng.sample(names, min(len(names), rng.randint(1, 3)))) if leaf != CLEAR else set()
    return {
        group: {name: leaf if (group, name) in marked else CLEAR for name in members}
        for group, members in groups.items()
    }


def _score(result: Breakdown, rng: random.Random) -> None:
    """Add the scores of a face to its groups, of 0 to 100, low where the analysis is not clear."""
    for group in GROUPS_OF_SCORES:
        members = result.get(group, {})
        scores = {
            score: rng.randint(84, 99) if members[name] == CLEAR else rng.randint(31, 68)
            for name, score in SCORED.items()
            if name in members and members[name] != NOT_PROCESSED
        }
        if scores:
            members["breakdown"] = scores


def _compare(result: Breakdown, rng: random.Random) -> None:
    """Say of the client's details that differ how alike they are."""
    details = result.get("clientValidation", {})
    for name, outcome in details.items():
        if outcome == ATTENTION:
            details[name] = {"outcome": outcome, "similarity": rng.randint(38, 79)}


def _screening(kind: str, outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    leaf = _leaf(outcome)
    skipped = EXTENSIVE_ONLY if kind.startswith("standard") else frozenset()
    screened = {group: names for group, names in SCREENING.items() if group not in skipped}
    summary = _leaves(screened, leaf, rng)
    summary |= {group: dict.fromkeys(SCREENING[group], NOT_PROCESSED) for group in skipped}
    result: Breakdown = {"summary": summary}
    flagged = [
        (group, name)
        for group in screened
        for name, word in summary[group].items()
        if word == ATTENTION
    ]
    if flagged:
        result["matches"] = _matches(outcome, flagged, entity_name, rng)
    elif leaf == CLEAR and rng.random() < 0.25:
        # Somebody dismissed them all.
        result["matches"] = _matches(CLEAR, [("watchlist", "sanctionsLists")], entity_name, rng)
    return result


def _matches(
    outcome: str, flagged: list[tuple[str, str]], entity_name: str, rng: random.Random
) -> list[Breakdown]:
    """Return possible matches: one explains the outcome, the rest are open or were dismissed."""
    first = {"match_confirmed": "confirmed", CLEAR: "rejected"}.get(outcome, ATTENTION)
    count = rng.randint(max(1, len(flagged) - 1), len(flagged) + 1)
    matches = []
    for number in range(count):
        group, name = flagged[number % len(flagged)]
        match: Breakdown = {
            "id": f"{rng.getrandbits(96):024x}",
            "name": _alias(entity_name, rng),
            "score": rng.randint(86, 99),
            "lists": [name if group != "pep" else "pep"],
            "source": rng.choice(SOURCES[group]),
            "dateOfBirth": _date(rng) if rng.random() < 0.8 else {"year": rng.randint(1948, 2006)},
        }
        word = first if number == 0 else "rejected" if outcome == CLEAR else rng.choice(LATER)
        matches.append(match | ({"validation": word} if word else {}))
    return matches


# A match that nobody has looked at yet has no validation.
LATER: Final = ("rejected", "rejected", "")


def _alias(entity_name: str, rng: random.Random) -> str:
    """Return a name as a list may write it."""
    first, _, last = entity_name.rpartition(" ")
    return rng.choice([entity_name, entity_name, f"{last}, {first}" if first else last])


def _date(rng: random.Random, first: int = 1948, last: int = 2006) -> dict[str, int]:
    return {
        "day": rng.randint(1, 28),
        "month": rng.randint(1, 12),
        "year": rng.randint(first, last),
    }


def _document(result: Breakdown, entity_name: str, rng: random.Random) -> Breakdown:
    first, _, last = entity_name.partition(" ")
    has_expired = result["contentAnalysis"]["expiry"] == ATTENTION
    extra: Breakdown = {
        "extractedData": {
            "documentDetails": {
                "documentType": rng.choice(["passport", "national_identity_card"]),
                "documentNumber": f"{rng.choice('CFKLMPX')}{rng.randrange(10**8):08d}",
                "issuingCountry": rng.choice(["GB", "DE", "PL", "JP", "BR", "IN", "EG"]),
                "issuingDate": _date(rng, 2012, 2015) if has_expired else _date(rng, 2022, 2025),
                "expirationDate": _date(rng, 2022, 2025) if has_expired else _date(rng, 2031, 2035),
            },
            "holderDetails": {
                "firstName": [first],
                "lastName": [last or first],
                "dob": _date(rng),
                "gender": rng.choice(["female", "male", "unspecified"]),
            },
        }
    }
    if ATTENTION in result.get("forensicAnalysis", {}).values():
        extra["securityAndPatternAnalysis"] = [
            {
                "feature": rng.choice(["hologram", "watermark", "guilloche pattern"]),
                "outcome": ATTENTION,
                "similarityScore": rng.randint(18, 55),
                "actualImageData": base64.b64encode(
                    b"\xff\xd8\xff\xe0\x00\x10JFIF" + rng.randbytes(1200)
                ).decode(),
            }
        ]
    return extra


def _risk(result: Breakdown, entity_name: str, rng: random.Random) -> Breakdown:
    is_clear = ATTENTION not in result["riskAnalysis"].values()
    return {
        "riskLevel": rng.randint(0, 30) if is_clear else rng.randint(60, 100),
        "firstSeen": _date(rng, 2009, 2025),
    }


def _age(result: Breakdown, entity_name: str, rng: random.Random) -> Breakdown:
    is_clear = result["ageEstimationAnalysis"]["ageThreshold"] == CLEAR
    low = rng.randint(24, 60) if is_clear else rng.randint(14, 19)
    return {"estimatedAgeRange": {"low": low, "high": low + 5}}


def _eid(result: Breakdown, entity_name: str, rng: random.Random) -> Breakdown:
    return {
        "eIDInformation": {
            "scheme": rng.choice(["national-eid", "bank-id", "mobile-id"]),
            "assuranceLevel": rng.choice(["substantial", "high"]),
        },
        "holderDetails": {"name": entity_name, "dob": _date(rng)},
    }


EXTRAS: Final[dict[str, Callable[[Breakdown, str, random.Random], Breakdown]]] = {
    "document_check": _document,
    "driving_license_check": _document,
    "age_estimation_check": _age,
    "email_intelligence_check": _risk,
    "mobile_intelligence_check": _risk,
    "eid_check": _eid,
}
