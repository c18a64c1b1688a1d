"""
Sentences for the documented analyses: one per key, worst first.

Source:
    API reference, the page of each check type. A key without a sentence is named by its label.
"""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# ``group.leaf`` or ``leaf``, in the order of gravity.
SENTENCES: Final[dict[str, str | Promise]] = {
    # Forgery, and stolen or invented identities
    "specimenCheck": _("Document is a specimen"),
    "blacklist": _("Document is on a blacklist"),
    "digitalTampering": _("Image shows signs of digital tampering"),
    "photoTampering": _("Photo on the document may have been replaced"),
    "breakInSecurityFeatures": _("Security features of the document are interrupted"),
    "securityAndPatternAnalysis": _("Security feature of the document does not look genuine"),
    "documentLivenessCheck": _("Document may be a copy or a picture on a screen"),
    "spoofedImageAnalysis": _("Selfie may be a picture of a picture, or a mask"),
    "spoofedVideoAnalysis": _("Video may be a recording"),
    "bannedFacesAnalysis": _("Face is on the list of banned faces"),
    "deathMaster": _("Number belongs to a person who has died"),
    "deceasedRegister": _("Details are those of a person who has died"),
    "syntheticIdentity": _("Identity may be made up"),
    "passiveAuthentication": _("Chip's data is not signed by its issuer"),
    "activeAuthentication": _("Chip may be a copy"),
    "chipAuthentication": _("Chip could not prove that it is genuine"),
    "chipAndVisualFacialSimilarity": _("Photo in the chip differs from the printed one"),
    "authenticityAnalysis.signature": _("Signature of the eID is not valid"),
    "authenticityAnalysis.certificate": _("Certificate of the eID is not valid"),
    # Another person than claimed
    "facialSimilarity": _("Face differs from the photo on the document"),
    "enrolledFaceSimilarity": _("Face differs from the enrolled one"),
    "livenessCheck": _("Live presence is not certain"),
    "livenessVoiceChallengeAnalysis": _("Spoken words do not follow the challenge"),
    "livenessActionChallengeAnalysis": _("Movements do not follow the challenge"),
    "challengeFollowed": _("Challenge was not followed"),
    "previouslyEnrolledFace": _("Face is enrolled already, maybe for another client"),
    "faceDetection": _("No face, or more than one, was found"),
    "clientValidation.name": _("Name differs from the document"),
    "clientValidation.firstName": _("First name differs from the document"),
    "clientValidation.lastName": _("Last name differs from the document"),
    "clientValidation.dateOfBirth": _("Date of birth differs from the document"),
    "clientValidation.address": _("Address differs from the document"),
    "clientValidation.addressLine": _("Street and number differ from the document"),
    "clientValidation.postalCode": _("Postal code differs from the document"),
    "dataVerification.ssn": _("Social security number is not the client's"),
    "dataVerification.name": _("Name was not found in the records"),
    "dataVerification.dateOfBirth": _("Date of birth differs from the records"),
    "dataVerification.address": _("Address was not found in the records"),
    "dataVerification.bureauOne": _("First bureau does not know this person"),
    "dataVerification.bureauTwo": _("Second bureau does not know this person"),
    # Documents that cannot be accepted
    "expiry": _("Document has expired"),
    "documentExpiry": _("Document has expired"),
    "documentAge": _("Document is too old"),
    "issuingAuthority": _("Issuing authority is not known"),
    "issuer": _("Issuer is not known"),
    "pageCompleteness": _("Pages are missing"),
    "licenceCategories": _("Licence categories are not plausible"),
    "sameDocument": _("Front and back are of two documents"),
    "datesMatch": _("Dates on front and back differ"),
    "mrzChecksum": _("Check digits of the machine-readable zone are wrong"),
    "mrzConsistency": _("Machine-readable zone differs from the printed data"),
    "mrzFormat": _("Machine-readable zone has the wrong format"),
    "consistencyAnalysis.name": _("Name is not the same everywhere on the document"),
    "consistencyAnalysis.dateOfBirth": _(
        "Date of birth is not the same everywhere on the document"
    ),
    "consistencyAnalysis.documentNumber": _("Number is not the same everywhere on the document"),
    "consistencyAnalysis.gender": _("Gender is not the same everywhere on the document"),
    "dataFields": _("Printed data is incomplete or not plausible"),
    "modelIdentification": _("Model of the document was not recognised"),
    "barcodeValidation": _("Barcode does not match the printed data"),
    "formatValidation": _("Layout differs from the model of the document"),
    "aspectRatio": _("Document has the wrong proportions"),
    # Age and risk
    "ageThreshold": _("Person may be younger than the limit"),
    "ageAppropriate": _("Age of the face does not fit the date of birth"),
    "addressMismatch": _("Address does not belong to the person"),
    "velocity": _("Same details were used very often lately"),
    "simSwap": _("SIM card was swapped lately"),
    "reassigned": _("Number was given to somebody else lately"),
    "lineType": _("Number is not that of an ordinary mobile phone"),
    "disposable": _("Address is of a disposable mailbox"),
    "domainAge": _("Domain of the address is very new"),
    "breachHistory": _("Address was found in data breaches"),
    "emulator": _("Device is an emulator"),
    "rooted": _("Device is rooted"),
    "physicalDeviceAnalysis.tampering": _("Device or app was tampered with"),
    "proxy": _("Connection comes through a proxy or VPN"),
    "geolocationMismatch": _("Location of the device and of its connection differ"),
    "timezoneMismatch": _("Time zone of the device does not fit its location"),
    "assuranceLevel": _("Assurance level of the eID is too low"),
}
GRAVITY: Final = {key: place for place, key in enumerate(SENTENCES)}

# The reasons why a person refused a document: the words of "Validate a check".
REJECTIONS: Final[dict[str, str | Promise]] = {
    "document_appears_fake": _("Refused by a reviewer: document appears fake"),
    "document_is_blacklisted": _("Refused by a reviewer: document is on a blacklist"),
    "document_is_specimen": _("Refused by a reviewer: document is a specimen"),
    "document_has_expired": _("Refused by a reviewer: document has expired"),
    "document_age_below_threshold": _("Refused by a reviewer: person is too young"),
    "document_misread": _("Refused by a reviewer: document was misread"),
}
