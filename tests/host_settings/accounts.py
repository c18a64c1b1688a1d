"""A host with two ComplyCube accounts, each with its own key, address and secret."""

from __future__ import annotations

from tests.host_settings import host
from tests.host_settings.host import *  # noqa: F403 - a variant of it

COMPLYCUBE_ACCOUNTS = {
    **host.COMPLYCUBE_ACCOUNTS,
    "branch": {
        "API_KEY": "test_key-of-the-branch",
        "WEBHOOK_SECRETS": ["the-secret-of-the-branch"],
        "BASE_URL": "https://branch.example/v1",
        "REQUESTS_PER_SECOND": 10_000,
    },
}
