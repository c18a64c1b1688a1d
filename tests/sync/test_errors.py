"""Which error of one request ends a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from complycube_sessions.api.client import ComplyCubeClient
from complycube_sessions.api.throttle import Throttle
from complycube_sessions.conf import get_account
from complycube_sessions.exceptions import (
    ComplyCubeAuthenticationError,
    ComplyCubeBusyError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubeNotFoundError,
    ComplyCubePayloadError,
    ComplyCubePaymentError,
    ComplyCubePermissionError,
    ComplyCubeRateLimitError,
    ComplyCubeServerError,
)
from complycube_sessions.sync.errors import MAX_FAULTS_IN_A_ROW, FaultPolicy


@pytest.fixture
def client() -> Iterator[ComplyCubeClient]:
    client = ComplyCubeClient(get_account(), Throttle(1000))
    yield client
    client.close()


@pytest.fixture
def policy(client: ComplyCubeClient) -> FaultPolicy:
    return FaultPolicy(client)


@pytest.mark.parametrize(
    "error",
    [
        ComplyCubeAuthenticationError("x", status_code=401),
        ComplyCubeBusyError("x"),
        ComplyCubePaymentError("x", status_code=402),
        ComplyCubeRateLimitError("x", status_code=429),
        ComplyCubePermissionError("x", status_code=403),
    ],
)
def test_general__every_other_request_would_get_it(
    policy: FaultPolicy, error: ComplyCubeError
) -> None:
    """It is raised, and a 403 where nothing else was ever answered."""
    with pytest.raises(type(error)):
        policy.raise_if_general(error)


@pytest.mark.parametrize(
    "error",
    [
        ComplyCubeNotFoundError("x", status_code=404),
        ComplyCubePayloadError("x"),
        ComplyCubeServerError("x", status_code=500),
        ComplyCubeConnectionError("x"),
    ],
)
def test_general__one_sessions_own(policy: FaultPolicy, error: ComplyCubeError) -> None:
    """It ends nothing."""
    policy.raise_if_general(error)


def test_general__403_beside_other_answers(client: ComplyCubeClient, policy: FaultPolicy) -> None:
    """A 403 is one session's own where another request was answered."""
    client.answered_other_than_403 = True
    policy.raise_if_general(ComplyCubePermissionError("x", status_code=403))


def test_faults__in_a_row(policy: FaultPolicy) -> None:
    """So many requests without an answer end the run, and an answer begins the count anew."""
    for _ in range(2):
        for _ in range(MAX_FAULTS_IN_A_ROW - 1):
            policy.count_fault(ComplyCubeServerError("x", status_code=500), "sessions")
        assert not policy.is_answered
        policy.record_answer()
        assert policy.is_answered
    for _ in range(MAX_FAULTS_IN_A_ROW - 1):
        policy.count_fault(ComplyCubeConnectionError("x"), "clients")
    with pytest.raises(ComplyCubeConnectionError, match="20 clients in a row got no answer"):
        policy.count_fault(ComplyCubeServerError("x", status_code=500), "clients")


def test_faults__an_error_with_an_answer(policy: FaultPolicy) -> None:
    """An answer that cannot be read is no silence."""
    for _ in range(MAX_FAULTS_IN_A_ROW):
        policy.count_fault(ComplyCubePayloadError("x"), "sessions")
    assert policy.is_answered
