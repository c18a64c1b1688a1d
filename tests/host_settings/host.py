"""What the host projects have in common; each of them changes one thing."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - a variant of it
from tests.webhook_requests import SECRET

COMPLYCUBE_WEBHOOK_PROCESSING = "off"
COMPLYCUBE_ACCOUNTS = {
    "default": {
        "API_KEY": "test_dummy-key-of-the-tests",
        "WEBHOOK_SECRETS": [SECRET],
        "REQUESTS_PER_SECOND": 10_000,
    }
}
# How the visit signs in, and which sites it looks at.
BOSS = {"username": "boss"}
ADMIN_SITES = ["admin"]
