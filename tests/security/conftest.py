from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses


@pytest.fixture(autouse=True)
def real_requests(mocked: responses.RequestsMock) -> Iterator[None]:
    """Let requests of this process reach the test's own local server."""
    mocked.stop(allow_assert=False)
    yield
    mocked.start()
