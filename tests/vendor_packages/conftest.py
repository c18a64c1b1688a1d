from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses

from project.sandbox.loading import load

# More than one page of the API's default size.
SESSIONS = 120


@pytest.fixture
def sandbox(
    live_server: Any, transactional_db: None, mocked: responses.RequestsMock
) -> Iterator[str]:
    """Serve a filled sandbox, and return the address of its API."""
    load(SESSIONS)
    mocked.stop(allow_assert=False)
    yield f"{live_server.url}/sandbox/v1"
    mocked.start()
