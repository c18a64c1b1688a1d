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
        "forensicAnalysis": (
            "documentLivenessCheck",
            "breakInSecurityFeatures",
            "photoTampering",
            "digitalTampering",
        ),
        "frontAndBackAnalysis": ("sameDocument", "datesMatch"),
        "clientValidation": ("firstName", "lastName", "dateOfBirth"),
    },
    "driving_license_check": {
        "contentAnalysis": ("dataFields", "expiry", "licenceCategories"),
        "formatAnalysis": ("modelIdentification", "barcodeValidation"),
        "clientValidation": ("firstName", "lastName", "address"),
    },
    "identity_check": {
        "faceAnalysis": ("faceDetection", "facialSimilarity", "previouslyEnrolledFace"),
        "authenticityAnalysis": ("spoofedImageAnalysis", "livenessCheck", "ageAppropriate"),
    },
    "enhanced_identity_check": {
        "faceAnalysis": ("faceDetection", "facialSimilarity", "previouslyEnrolledFace"),
        "authenticityAnalysis": ("spoofedVideoAnalysis", "livenessCheck", "challengeFollowed"),
    },
    "face_authentication_check": {
        "faceAnalysis": ("faceDetection", "enrolledFaceSimilarity"),
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
    "otherLists": ("associatedEntity", "organisedCrime", "financialCrime", "taxCrime"),
}
LISTS: Final = (
    "Consolidated list of financial sanctions targets",
    "Register of politically exposed persons",
    "Disqualified directors",
    "Regional newspaper archive",
)


def breakdown(kind: str, outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    """Return the breakdown of a complete check whose leaves explain its outcome."""
    if kind.endswith("screening_check"):
        return _screening(outcome, entity_name, rng)
    result = _leaves(GROUPS[kind], _leaf(outcome), rng)
    if kind in EXTRAS:
        result.update(EXTRAS[kind](outcome, entity_name, rng))
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


def _screening(outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    result: Breakdown = {"summary": _leaves(SCREENING, _leaf(outcome), rng)}
    if _leaf(outcome) == ATTENTION:
        count = rng.randint(1, 4)
        # One confirmed match is enough; the rest stay open or were rejected.
        verdicts = {"match_confirmed": "confirmed", "rejected": "rejected"}
        result["matches"] = [
            {
                "id": f"{rng.getrandbits(96):024x}",
                "name": entity_name,
                "score": round(rng.uniform(0.71, 0.99), 2),
                "validation": verdicts.get(outcome, "pending") if number == 0 else "rejected",
                "source": rng.choice(LISTS),
                "categories": rng.sample(sorted(SCREENING), 2),
                "dateOfBirth": _date(rng),
            }
            for number in range(count)
        ]
    return result


def _date(rng: random.Random, first: int = 1948, last: int = 2006) -> dict[str, int]:
    return {
        "day": rng.randint(1, 28),
        "month": rng.randint(1, 12),
        "year": rng.randint(first, last),
    }


def _document(outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    first, _, last = entity_name.partition(" ")
    extra: Breakdown = {
        "extractedData": {
            "documentDetails": {
                "documentType": rng.choice(["passport", "national_identity_card"]),
                "documentNumber": f"{rng.choice('CFKLMPX')}{rng.randrange(10**8):08d}",
                "issuingCountry": rng.choice(["GB", "DE", "PL", "JP", "BR", "IN", "EG"]),
                "issuingDate": _date(rng, 2015, 2025),
                "expirationDate": _date(rng, 2026, 2035),
            },
            "holderDetails": {
                "firstName": [first],
                "lastName": [last or first],
                "dob": _date(rng),
                "gender": rng.choice(["female", "male", "unspecified"]),
            },
        }
    }
    if outcome != CLEAR:
        extra["securityAndPatternAnalysis"] = [
            {
                "feature": "hologram",
                "outcome": _leaf(outcome),
                "similarityScore": rng.randint(18, 55),
                "actualImageData": base64.b64encode(
                    b"\xff\xd8\xff\xe0\x00\x10JFIF" + rng.randbytes(1200)
                ).decode(),
            }
        ]
    return extra


def _identity(outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    low, high = (82, 99) if outcome == CLEAR else (31, 68)
    return {
        "facialSimilarityScore": rng.randint(low, high),
        "livenessCheckScore": rng.randint(low, high),
    }


def _risk(outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    return {
        "riskLevel": rng.randint(0, 30) if outcome == CLEAR else rng.randint(60, 100),
        "firstSeen": _date(rng, 2009, 2025),
    }


def _age(outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    low = rng.randint(24, 60) if outcome == CLEAR else rng.randint(14, 19)
    return {"estimatedAgeRange": {"low": low, "high": low + 5}}


def _eid(outcome: str, entity_name: str, rng: random.Random) -> Breakdown:
    return {
        "eIDInformation": {
            "scheme": rng.choice(["national-eid", "bank-id", "mobile-id"]),
            "assuranceLevel": rng.choice(["substantial", "high"]),
        },
        "holderDetails": {"name": entity_name, "dob": _date(rng)},
    }


EXTRAS: Final[dict[str, Callable[[str, str, random.Random], Breakdown]]] = {
    "document_check": _document,
    "driving_license_check": _document,
    "identity_check": _identity,
    "enhanced_identity_check": _identity,
    "face_authentication_check": _identity,
    "age_estimation_check": _age,
    "email_intelligence_check": _risk,
    "mobile_intelligence_check": _risk,
    "eid_check": _eid,
}
