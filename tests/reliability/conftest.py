from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import responses

from tests.reliability.processes import OwnDatabase, own_database

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

OpenDatabase = Callable[[str], OwnDatabase]


@pytest.fixture
def real_requests(mocked: responses.RequestsMock) -> Iterator[None]:
    """Let requests of this process reach the test's own local server."""
    mocked.stop(allow_assert=False)
    yield
    mocked.start()


@pytest.fixture
def open_database(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[OpenDatabase]:
    """Make databases of the kind asked for, and drop them after the test."""
    with ExitStack() as stack:
        unblocked: AbstractContextManager[object] = django_db_blocker.unblock()
        stack.enter_context(unblocked)
        yield lambda kind: stack.enter_context(own_database(kind, tmp_path))
