"""The workflow templates of the sandbox's invented company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Workflow:
    """A template with the descriptions of its versions, oldest first."""

    id: str
    name: str
    description: str
    versions: tuple[str, ...]
    checks: tuple[str, ...]
    policies: tuple[str, ...]

    def version_id(self, version: int) -> str:
        """Return the id of one version; the first one of the vendor's example is ``…7be7``."""
        return f"68566be3a37a78622f4f{int(self.id[-4:], 16) + 3 + version:04x}"


WORKFLOWS: Final = (
    Workflow(
        "68566be2a37a78622f4f7be3",
        "AML + Liveness + Document Verification flow",
        "Onboarding of private customers.",
        ("Initial version", "Passport or identity card", "Second attempt at the document"),
        ("document_check", "identity_check", "extensive_screening_check"),
        ("Identity assurance, medium", "AML screening"),
    ),
    Workflow(
        "68566be2a37a78622f4f7c13",
        "Standard onboarding",
        "Small accounts, without a selfie.",
        ("Initial version", "Screening first"),
        ("standard_screening_check", "document_check"),
        ("AML screening",),
    ),
    Workflow(
        "68566be2a37a78622f4f7c43",
        "Enhanced due diligence",
        "Customers of higher risk: proof of address and two bureaux on top.",
        ("Initial version",),
        (
            "extensive_screening_check",
            "document_check",
            "enhanced_identity_check",
            "proof_of_address_check",
            "multi_bureau_check",
        ),
        ("Identity assurance, high", "AML screening", "Address assurance"),
    ),
    Workflow(
        "68566be2a37a78622f4f7c73",
        "US onboarding",
        "Residents of the United States.",
        ("Initial version", "With identity fraud", "Licence instead of passport"),
        (
            "ssn_check",
            "identity_fraud_check",
            "driving_license_check",
            "standard_screening_check",
        ),
        ("Customer identification program",),
    ),
    Workflow(
        "68566be2a37a78622f4f7ca3",
        "eID onboarding (EU)",
        "",
        ("Initial version",),
        ("eid_check", "device_intelligence_check", "standard_screening_check"),
        ("Identity assurance, high",),
    ),
    Workflow(
        "68566be2a37a78622f4f7cd3",
        "Age gate",
        "Is the visitor an adult? Nothing else is asked.",
        ("Initial version", "Threshold 18 to 21"),
        ("age_estimation_check",),
        (),
    ),
    Workflow(
        "68566be2a37a78622f4f7d03",
        "Returning customer: step-up",
        "Before large payments.",
        ("Initial version",),
        (
            "face_authentication_check",
            "email_intelligence_check",
            "mobile_intelligence_check",
            "device_intelligence_check",
            "extensive_screening_check",
        ),
        ("Strong customer authentication",),
    ),
)
BY_ID: Final = {workflow.id: workflow for workflow in WORKFLOWS}
