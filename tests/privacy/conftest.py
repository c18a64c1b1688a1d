from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.admin.conftest import sign_in
from tests.fake_api import KEY
from tests.reliability.conftest import open_database
from tests.webhook_requests import SECRET

__all__ = ["open_database", "sign_in"]


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    """Configure an account that waits for nothing, and process no event that nobody asked to process."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {
            "API_KEY": KEY,
            "REQUESTS_PER_SECOND": 10_000,
            "MAX_RETRIES": 0,
            "WEBHOOK_SECRETS": [SECRET],
        }
    }
    settings.COMPLYCUBE_WEBHOOK_PROCESSING = "off"
